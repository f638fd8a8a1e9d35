//! Requests as JSON, with tensors in it or as bytes behind it.

use super::datatype::Datatype;
use super::elements as values;
use super::parameters::{Parameters, unsupported, unsupported_of_tensor};
use super::request::{InferRequest, RequestedOutput};
use super::tensor::{InferTensor, MAX_TENSORS, elements};
use crate::failure::{Code, Failure, Result};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    parameters: Parameters,
    #[serde(borrow)]
    inputs: Vec<Input<'a>>,
    #[serde(default)]
    outputs: Vec<Output>,
}

#[derive(Deserialize)]
struct Input<'a> {
    name: String,
    shape: Vec<u64>,
    datatype: String,
    #[serde(default)]
    parameters: Parameters,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Output {
    name: String,
    #[serde(default)]
    parameters: Parameters,
}

/// Reads a request from a body: JSON alone, or JSON of `json_length` bytes and then the bytes of tensors, in the order of the inputs that
/// have a `binary_data_size`. Tensors share the memory of the body.
///
/// # Errors
/// [`InvalidArgument`](Code::InvalidArgument) for what is malformed, [`TooLarge`](Code::TooLarge) for shapes and numbers of tensors
/// beyond the limits, [`Unimplemented`](Code::Unimplemented) for shared memory.
pub fn read_request(body: &Bytes, json_length: Option<usize>) -> Result<InferRequest> {
    let length = json_length.unwrap_or(body.len());
    let Some(json) = body.get(..length) else {
        let found = body.len();
        return Err(Failure::invalid(format!(
            "Inference-Header-Content-Length: expected at most the {found} bytes of the body, found {length}"
        )));
    };
    let head: Head<'_> =
        serde_json::from_slice(json).map_err(|e| Failure::invalid(format!("the request is no inference request in JSON: {e}")))?;
    unsupported(&head.parameters)?;
    for (what, count) in [("inputs", head.inputs.len()), ("outputs", head.outputs.len())] {
        if count > MAX_TENSORS {
            let message = format!("expected at most {MAX_TENSORS} {what}, found {count}");
            return Err(Failure::new(Code::TooLarge, message));
        }
    }
    let mut rest = body.slice(length..);
    let inputs = head.inputs.into_iter().map(|input| input.tensor(&mut rest)).collect::<Result<Vec<_>>>()?;
    if !rest.is_empty() {
        return Err(Failure::invalid(format!("the body has {} bytes more than the inputs' binary_data_size", rest.len())));
    }
    let binary = head.parameters.flag("binary_data_output")?.unwrap_or(false);
    Ok(InferRequest {
        id: head.id.unwrap_or_default(),
        inputs,
        outputs: head.outputs.into_iter().map(|output| output.requested(binary)).collect::<Result<_>>()?,
        binary,
        priority: head.parameters.priority()?,
        timeout: head.parameters.timeout()?,
        sequence: head.parameters.sequence()?,
        trace: head.parameters.flag("trace")?.unwrap_or(false),
    })
}

impl Input<'_> {
    /// The tensor, whose bytes may be the next of `rest`.
    fn tensor(self, rest: &mut Bytes) -> Result<InferTensor> {
        let Input { name, shape, datatype, parameters, data } = self;
        unsupported_of_tensor(&parameters)?;
        let datatype = Datatype::named(&datatype).map_err(|e| Failure::invalid(format!("input `{name}`: {e}")))?;
        // More than a machine counts is too large for a tensor, too.
        let shape: Vec<usize> = shape.into_iter().map(|extent| usize::try_from(extent).unwrap_or(usize::MAX)).collect();
        let count = elements(&name, &shape)?;
        let data = match (parameters.number("binary_data_size")?, data) {
            (None, Some(data)) => {
                let read = values::read(data, datatype, count);
                Bytes::from(read.map_err(|e| Failure::invalid(format!("input `{name}`: {e}")))?)
            }
            (Some(size), None) => {
                let size = usize::try_from(size).ok().filter(|size| *size <= rest.len());
                let missing = || {
                    let left = rest.len();
                    Failure::invalid(format!("input `{name}`: binary_data_size is more than the {left} bytes left in the body"))
                };
                rest.split_to(size.ok_or_else(missing)?)
            }
            (Some(_), Some(_)) => {
                return Err(Failure::invalid(format!("input `{name}`: expected either data or binary_data_size, found both")));
            }
            (None, None) => {
                return Err(Failure::invalid(format!("input `{name}`: expected data, or binary_data_size, found neither")));
            }
        };
        InferTensor::new(name, datatype, shape, data)
    }
}

impl Output {
    fn requested(self, binary: bool) -> Result<RequestedOutput> {
        unsupported_of_tensor(&self.parameters)?;
        let classes = self.parameters.number("classification")?.unwrap_or(0);
        Ok(RequestedOutput {
            binary: self.parameters.flag("binary_data")?.unwrap_or(binary),
            classes: usize::try_from(classes).unwrap_or(usize::MAX),
            name: self.name,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::parameters::{Sequence, SequenceId};
    use super::*;

    fn of(json: &str, tail: &[u8]) -> Result<InferRequest> {
        let body: Bytes = [json.as_bytes(), tail].concat().into();
        read_request(&body, (!tail.is_empty()).then_some(json.len()))
    }

    #[test]
    fn both_forms_give_the_same_tensor() {
        let text = of(r#"{"id":"a","inputs":[{"name":"x","shape":[1,2],"datatype":"INT16","data":[[1,-2]]}]}"#, &[]);
        let json = r#"{"id":"a","inputs":[{"name":"x","shape":[1,2],"datatype":"INT16","parameters":{"binary_data_size":4}}]}"#;
        assert_eq!(text, of(json, &[1, 0, 254, 255]));
        assert_eq!(text.map(|request| request.id), Ok("a".to_string()));
    }

    #[test]
    fn lengths_must_agree() {
        let json = |size: u64| {
            format!(r#"{{"inputs":[{{"name":"x","shape":[2],"datatype":"INT8","parameters":{{"binary_data_size":{size}}}}}]}}"#)
        };
        assert!(of(&json(2), &[1, 2]).is_ok());
        for (size, tail) in [(2, 1), (1, 1), (2, 3), (u64::MAX, 2)] {
            let failure = of(&json(size), &vec![0; tail]).expect_err("lengths differ");
            assert_eq!(failure.code(), Code::InvalidArgument, "{failure}");
        }
        let body = Bytes::from_static(b"{}");
        assert!(read_request(&body, Some(3)).is_err());
    }

    #[test]
    fn what_is_asked_of_outputs() {
        let json = r#"{"inputs":[],"parameters":{"binary_data_output":true,"priority":2,"timeout":5},
            "outputs":[{"name":"a"},{"name":"b","parameters":{"binary_data":false,"classification":3}}]}"#;
        let request = of(json, &[]).expect("it is well formed");
        assert!(request.returns_bytes("a") && !request.returns_bytes("b"));
        assert_eq!((request.outputs[1].classes, request.priority), (3, Some(2)));
        assert_eq!(request.timeout.map(|timeout| timeout.as_micros()), Some(5));
    }

    #[test]
    fn sequences_are_named_by_numbers_or_text() {
        let sequence = |parameters: &str| {
            of(&format!(r#"{{"inputs":[],"parameters":{{{parameters}}}}}"#), &[]).map(|request| request.sequence)
        };
        let all = |id, start, end| Ok(Some(Sequence { id, start, end }));
        assert_eq!(sequence(r#""sequence_id":7,"sequence_start":true"#), all(Some(SequenceId::Number(7)), true, false));
        assert_eq!(sequence(r#""sequence_id":"7","sequence_end":true"#), all(Some(SequenceId::Text("7".into())), false, true));
        assert_eq!(sequence(r#""sequence_id":0,"sequence_start":false"#), Ok(None));
        assert_eq!(sequence(r#""sequence_id":"","sequence_start":true"#), all(None, true, false));
        assert_ne!(SequenceId::Number(7).to_string(), SequenceId::Text("7".into()).to_string());
        for wrong in
            [r#""sequence_id":-1"#, r#""sequence_id":1.5"#, r#""sequence_id":true"#, r#""sequence_id":7,"sequence_start":1"#]
        {
            assert_eq!(sequence(wrong).expect_err(wrong).code(), Code::InvalidArgument);
        }
        let long = format!(r#""sequence_id":"{}""#, "a".repeat(129));
        assert!(sequence(&long).expect_err("it is too long").message().contains("128"));
    }

    #[test]
    fn what_is_not_implemented_is_said() {
        let json = r#"{"inputs":[],"parameters":{"shared_memory_region":"a"}}"#;
        assert_eq!(of(json, &[]).expect_err("shared memory").code(), Code::Unimplemented);
        let json = r#"{"inputs":[{"name":"x","shape":[1],"datatype":"INT8","parameters":{"sequence_id":7},"data":[1]}]}"#;
        assert_eq!(of(json, &[]).expect_err("a tensor has no sequence").code(), Code::Unimplemented);
        for text in ["", "[]", "{", r#"{"inputs":[{"name":"x","shape":[-1],"datatype":"INT8","data":[]}]}"#, r#"{"inputs":NaN}"#] {
            assert_eq!(of(text, &[]).expect_err(text).code(), Code::InvalidArgument);
        }
        let huge = r#"{"inputs":[{"name":"x","shape":[4294967296,4294967296],"datatype":"INT8","data":[]}]}"#;
        assert_eq!(of(huge, &[]).expect_err("it overflows").code(), Code::TooLarge);
    }
}
