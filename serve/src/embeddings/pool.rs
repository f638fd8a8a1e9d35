//! From what a model gives for the tokens of a text to one vector.

use crate::failure::{Failure, Result};
use crate::protocol::{Datatype, InferTensor};
use crate::repository::Pooling;
use half::{bf16, f16};

/// The vector of a text, by an output of shape `[1, tokens, dimensions]` or `[1, dimensions]`. It has as many dimensions as the output.
pub(super) fn pooled(output: &InferTensor, pooling: Pooling) -> Result<Vec<f64>> {
    let values = numbers(output)?;
    let unexpected = || Failure::internal(format!("output `{}` of shape {:?} is no vector of a text", output.name, output.shape));
    match output.shape.as_slice() {
        [1, dimensions] if values.len() == *dimensions => Ok(values),
        [1, tokens, dimensions] if *tokens > 0 && *dimensions > 0 => {
            let mut rows = values.chunks_exact(*dimensions);
            let row = match pooling {
                Pooling::Cls => rows.next().map(<[f64]>::to_vec),
                Pooling::Last => rows.next_back().map(<[f64]>::to_vec),
                Pooling::Mean => {
                    let mut sum = vec![0.0; *dimensions];
                    rows.for_each(|row| sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += value));
                    sum.iter_mut().for_each(|sum| *sum /= *tokens as f64);
                    Some(sum)
                }
            };
            row.ok_or_else(unexpected)
        }
        _ => Err(unexpected()),
    }
}

/// The first dimensions of a vector, of length 1 where that is asked for and it has one.
pub(super) fn finished(mut vector: Vec<f64>, dimensions: usize, normalize: bool) -> Vec<f32> {
    vector.truncate(dimensions);
    let length = vector.iter().map(|value| value * value).sum::<f64>().sqrt();
    let scale = if normalize && length > 0.0 { 1.0 / length } else { 1.0 };
    vector.into_iter().map(|value| (value * scale) as f32).collect()
}

fn numbers(output: &InferTensor) -> Result<Vec<f64>> {
    let data = &output.data;
    Ok(match output.datatype {
        Datatype::Fp32 => data.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes).into()).collect(),
        Datatype::Fp16 => data.as_chunks::<2>().0.iter().map(|bytes| f16::from_le_bytes(*bytes).into()).collect(),
        Datatype::Bf16 => data.as_chunks::<2>().0.iter().map(|bytes| bf16::from_le_bytes(*bytes).into()).collect(),
        _ => return Err(Failure::internal(format!("output `{}` holds no floats", output.name))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_become_one_vector() {
        let data = [1.0f32, 2.0, 5.0, 4.0].iter().flat_map(|value| value.to_le_bytes()).collect();
        let output = InferTensor::new("y", Datatype::Fp32, vec![1, 2, 2], data).expect("it fits");
        let of = |pooling| pooled(&output, pooling).expect("it is one");
        assert_eq!((of(Pooling::Mean), of(Pooling::Cls), of(Pooling::Last)), (vec![3.0, 3.0], vec![1.0, 2.0], vec![5.0, 4.0]));
        let flat = InferTensor { shape: vec![1, 4], ..output.clone() };
        assert_eq!(pooled(&flat, Pooling::Mean), Ok(vec![1.0, 2.0, 5.0, 4.0]));
        assert!(pooled(&InferTensor { shape: vec![2, 2], ..output }, Pooling::Mean).is_err());
    }

    #[test]
    fn vectors_are_cut_and_then_of_length_1() {
        assert_eq!(finished(vec![3.0, 4.0, 9.0], 2, true), [0.6, 0.8]);
        assert_eq!(finished(vec![3.0, 4.0], 2, false), [3.0, 4.0]);
        assert_eq!(finished(vec![0.0, 0.0], 2, true), [0.0, 0.0]);
    }
}
