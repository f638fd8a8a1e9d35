//! Responses as JSON, with tensors in it or as bytes behind it.

use super::datatype::Datatype;
use super::request::{InferRequest, InferResponse};
use super::tensor::{InferTensor, strings};
use crate::failure::{Failure, Result};
use bytes::Bytes;
use half::{bf16, f16};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Instant;

/// The body of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// The JSON, and behind it the bytes of tensors, which are those of the response and no copies.
    pub parts: Vec<Bytes>,
    /// The length of the JSON, where bytes of tensors follow.
    pub json_length: Option<usize>,
}

/// Writes what a request is answered with. Floats that are no numbers stand as `null` in JSON, which has no word for them.
///
/// # Errors
/// [`Internal`](crate::Code::Internal) where bytes do not fit their type.
pub fn write_response(request: &InferRequest, response: &InferResponse) -> Result<Body> {
    let start = Instant::now();
    let mut json = Vec::new();
    json.extend_from_slice(b"{\"model_name\":");
    text(&mut json, &response.model)?;
    json.extend_from_slice(b",\"model_version\":");
    text(&mut json, &response.version)?;
    if !response.id.is_empty() {
        json.extend_from_slice(b",\"id\":");
        text(&mut json, &response.id)?;
    }
    json.extend_from_slice(b",\"outputs\":[");
    let mut tail = Vec::new();
    for (index, output) in response.outputs.iter().enumerate() {
        json.extend_from_slice(if index == 0 { b"{\"name\":" } else { b",{\"name\":" });
        text(&mut json, &output.name)?;
        json.extend_from_slice(b",\"datatype\":");
        text(&mut json, output.datatype.name())?;
        json.extend_from_slice(b",\"shape\":");
        text(&mut json, &output.shape)?;
        if request.returns_bytes(&output.name) {
            json.extend_from_slice(b",\"parameters\":{\"binary_data_size\":");
            text(&mut json, &output.data.len())?;
            json.extend_from_slice(b"}}");
            tail.push(output.data.clone());
        } else {
            json.extend_from_slice(b",\"data\":");
            elements(&mut json, output)?;
            json.push(b'}');
        }
    }
    json.push(b']');
    if let Some(times) = &response.times {
        // Behind the outputs, so that the time of writing them is known.
        json.extend_from_slice(b",\"parameters\":");
        text(&mut json, &BTreeMap::from(times.named(start.elapsed())))?;
    }
    json.push(b'}');
    let json_length = (!tail.is_empty()).then_some(json.len());
    Ok(Body { parts: [Bytes::from(json)].into_iter().chain(tail).collect(), json_length })
}

fn text<T: Serialize + ?Sized>(json: &mut Vec<u8>, value: &T) -> Result<()> {
    serde_json::to_writer(json, value).map_err(|e| Failure::internal(format!("a response cannot be written: {e}")))
}

/// A list of elements, flat.
fn elements(json: &mut Vec<u8>, tensor: &InferTensor) -> Result<()> {
    let data = &tensor.data;
    match tensor.datatype {
        Datatype::Bool => list(json, data.iter().map(|byte| *byte != 0)),
        Datatype::Uint8 => list(json, data.iter()),
        Datatype::Int8 => each(json, data, i8::from_le_bytes),
        Datatype::Uint16 => each(json, data, u16::from_le_bytes),
        Datatype::Int16 => each(json, data, i16::from_le_bytes),
        Datatype::Uint32 => each(json, data, u32::from_le_bytes),
        Datatype::Int32 => each(json, data, i32::from_le_bytes),
        Datatype::Uint64 => each(json, data, u64::from_le_bytes),
        Datatype::Int64 => each(json, data, i64::from_le_bytes),
        Datatype::Fp16 => each(json, data, |bytes| f16::from_le_bytes(bytes).to_f32()),
        Datatype::Bf16 => each(json, data, |bytes| bf16::from_le_bytes(bytes).to_f32()),
        Datatype::Fp32 => each(json, data, f32::from_le_bytes),
        Datatype::Fp64 => each(json, data, f64::from_le_bytes),
        Datatype::Bytes => list(json, strings(data).map(|string| String::from_utf8_lossy(string.unwrap_or_default()).into_owned())),
    }
}

fn each<const N: usize, T: Serialize>(json: &mut Vec<u8>, data: &[u8], number: fn([u8; N]) -> T) -> Result<()> {
    list(json, data.as_chunks::<N>().0.iter().map(|bytes| number(*bytes)))
}

fn list(json: &mut Vec<u8>, elements: impl Iterator<Item = impl Serialize>) -> Result<()> {
    json.push(b'[');
    for (index, element) in elements.enumerate() {
        if index > 0 {
            json.push(b',');
        }
        text(json, &element)?;
    }
    json.push(b']');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::request::RequestedOutput;

    #[test]
    fn tensors_stand_in_the_json_or_behind_it() {
        let data: Bytes = [1.5f32, f32::NAN].iter().flat_map(|value| value.to_le_bytes()).collect();
        let output = |name: &str| InferTensor::new(name, Datatype::Fp32, vec![2], data.clone()).expect("it fits");
        let outputs = vec![output("a"), output("b\"")];
        let response = InferResponse { model: "m".into(), version: "1".into(), id: "7".into(), outputs, times: None };
        let named = RequestedOutput { name: "a".into(), binary: true, classes: 0 };
        let request = InferRequest { outputs: vec![named], ..InferRequest::default() };
        let body = write_response(&request, &response).expect("it can be written");
        let json = String::from_utf8(body.parts[0].to_vec()).expect("it is text");
        let expected = concat!(
            r#"{"model_name":"m","model_version":"1","id":"7","outputs":["#,
            r#"{"name":"a","datatype":"FP32","shape":[2],"parameters":{"binary_data_size":8}},"#,
            r#"{"name":"b\"","datatype":"FP32","shape":[2],"data":[1.5,null]}]}"#
        );
        assert_eq!(json, expected);
        assert_eq!(body.json_length, Some(expected.len()));
        assert_eq!(body.parts[1..], [data]);
    }
}
