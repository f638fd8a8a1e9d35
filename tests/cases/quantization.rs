//! Rows of DequantizeLinear.

use super::{Case, Random};
use gristmill::ops::dequantize::dequantize_linear;
use gristmill::{DType, Tensor};

pub fn cases() -> Vec<Case> {
    let mut random = Random::new(8);
    let mut cases = Vec::new();
    for (name, dtype, shape, axis, low, high) in [
        ("i8_first", DType::I8, vec![5, 3], 0, -128, 128),
        ("i8_last", DType::I8, vec![2, 3, 7], -1, -128, 128),
        ("u8_middle", DType::U8, vec![2, 4, 3], 1, 0, 256),
        ("i32", DType::I32, vec![6], 0, -5000, 5000),
        ("empty", DType::I8, vec![0, 4], 1, -128, 128),
    ] {
        let extent = shape[if axis < 0 { shape.len() - 1 } else { axis as usize }];
        let (data, each) = (random.integers(dtype, &shape, low, high), random.floats(&[extent]));
        let zero_points = random.integers(dtype, &[extent], low, high);
        let op = dequantize_linear(axis, None);
        cases.push(Case::new(format!("dequantize/{name}"), op.clone(), vec![data.clone(), Tensor::scalar(0.25f32)]));
        cases.push(Case::new(format!("dequantize/{name}_axis"), op, vec![data, each, zero_points]).weights(&[1, 2]));
    }
    let inputs = vec![random.integers(DType::U8, &[3, 4], 0, 256), random.floats(&[4]), random.integers(DType::U8, &[4], 0, 256)];
    cases.push(Case::new("dequantize/constants", dequantize_linear(1, None), inputs).weights(&[0, 1, 2]));
    let golden = Tensor::new([2], &[-1.0f32, 1.5]).expect("two elements");
    let inputs = vec![Tensor::vector(&[1u8, 6]), Tensor::scalar(0.5f32), Tensor::scalar(3u8)];
    cases.push(Case::new("dequantize/golden", dequantize_linear(0, None), inputs).golden(vec![golden]));
    cases
}
