//! Rows of QuantizeLinear and DequantizeLinear.

use super::{Case, Random};
use gristmill::internals::ops::dequantize::dequantize_linear;
use gristmill::internals::ops::quantize::quantize_linear;
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
    cases.extend(quantized());
    cases
}

/// Values between and beyond the whole numbers of each type; quotients of powers of two, so that ties are ties on every device.
fn quantized() -> Vec<Case> {
    let mut random = Random::new(9);
    let mut cases = Vec::new();
    for (dtype, spread) in [(DType::I8, 1e3), (DType::U8, 1e3), (DType::I16, 1e5), (DType::U16, 1e5)] {
        let scaled: Vec<f32> = random.floats(&[36]).to_f64().iter().map(|x| (x * spread).round() as f32 / 4.0).collect();
        let data = Tensor::new([4, 9], &scaled).expect("as many values as elements");
        let zeros = random.integers(dtype, &[4], 0, 100);
        let case = |name: &str, op, inputs: Vec<Tensor>| {
            let weights: Vec<usize> = (1..inputs.len()).collect();
            Case::new(format!("quantize/{name}_{dtype}"), op, inputs).weights(&weights)
        };
        cases.push(case("typed", quantize_linear(1, Some(dtype)), vec![data.clone(), Tensor::scalar(0.5f32)]));
        let scales = Tensor::vector(&[0.25f32, 0.5, 1.0, 2.0]);
        cases.push(case("axis", quantize_linear(0, None), vec![data.clone(), scales, zeros]));
        let one = random.integers(dtype, &[], 0, 100);
        cases.push(case("one", quantize_linear(-1, None), vec![data, Tensor::scalar(1.0f32), one]));
    }
    let inputs =
        vec![Tensor::vector(&[-1e9f32, -3.0, 0.25, 0.75, 1.25, 5e4, f32::INFINITY]), Tensor::scalar(0.5f32), Tensor::scalar(7i16)];
    let golden = Tensor::vector(&[-32768i16, 1, 7, 9, 9, 32767, 32767]);
    cases.push(Case::new("quantize/golden", quantize_linear(1, None), inputs).golden(vec![golden]));
    cases
}
