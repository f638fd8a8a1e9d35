//! The classification extension: the greatest elements of an output, as text.

use super::datatype::Datatype;
use super::tensor::InferTensor;
use crate::failure::{Failure, Result};
use bytes::Bytes;
use half::{bf16, f16};

/// The `count` greatest elements along the last axis as strings `value:index`, greatest first, of equals the one with the smaller index.
///
/// # Errors
/// [`InvalidArgument`](crate::Code::InvalidArgument) for an output without axes, or whose elements have no order of magnitude.
pub fn classify(tensor: &InferTensor, count: usize) -> Result<InferTensor> {
    let Some((length, outer)) = tensor.shape.split_last().filter(|(length, _)| **length > 0) else {
        return Err(Failure::invalid(format!("output `{}` of shape {:?} has no classes", tensor.name, tensor.shape)));
    };
    let count = count.min(*length);
    let values = numbers(tensor)
        .ok_or_else(|| Failure::invalid(format!("output `{}` of type {} has no classes", tensor.name, tensor.datatype)))?;
    let mut data = Vec::new();
    for row in values.chunks(*length) {
        let mut order: Vec<(usize, f64)> = row.iter().copied().enumerate().collect();
        order.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        for (index, value) in order.into_iter().take(count) {
            let text = format!("{value:.6}:{index}");
            data.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
            data.extend(text.as_bytes());
        }
    }
    let shape = outer.iter().copied().chain([count]).collect();
    InferTensor::new(tensor.name.clone(), Datatype::Bytes, shape, Bytes::from(data))
}

/// The elements as doubles; none for types without order.
fn numbers(tensor: &InferTensor) -> Option<Vec<f64>> {
    fn each<const N: usize>(data: &[u8], number: fn([u8; N]) -> f64) -> Vec<f64> {
        data.as_chunks::<N>().0.iter().map(|bytes| number(*bytes)).collect()
    }
    let data = &tensor.data;
    Some(match tensor.datatype {
        Datatype::Fp64 => each(data, f64::from_le_bytes),
        Datatype::Fp32 => each(data, |bytes| f32::from_le_bytes(bytes).into()),
        Datatype::Fp16 => each(data, |bytes| f16::from_le_bytes(bytes).into()),
        Datatype::Bf16 => each(data, |bytes| bf16::from_le_bytes(bytes).into()),
        Datatype::Int8 => each(data, |bytes| i8::from_le_bytes(bytes).into()),
        Datatype::Int16 => each(data, |bytes| i16::from_le_bytes(bytes).into()),
        Datatype::Int32 => each(data, |bytes| i32::from_le_bytes(bytes).into()),
        Datatype::Uint8 => each(data, |bytes| u8::from_le_bytes(bytes).into()),
        Datatype::Uint16 => each(data, |bytes| u16::from_le_bytes(bytes).into()),
        Datatype::Uint32 => each(data, |bytes| u32::from_le_bytes(bytes).into()),
        Datatype::Bool | Datatype::Int64 | Datatype::Uint64 | Datatype::Bytes => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::tensor::strings;

    #[test]
    fn the_greatest_come_first() {
        let values = [0.5f32, 2.0, 2.0, -1.0, 9.0, 0.0];
        let data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let tensor = InferTensor::new("y", Datatype::Fp32, vec![2, 3], data).expect("it fits");
        let classes = classify(&tensor, 2).expect("it has classes");
        assert_eq!(classes.shape, [2, 2]);
        let texts: Vec<&[u8]> = strings(&classes.data).flatten().collect();
        assert_eq!(texts, [&b"2.000000:1"[..], b"2.000000:2", b"9.000000:1", b"0.000000:2"]);
    }
}
