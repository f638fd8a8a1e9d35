//! Tensors made from shapes and a few numbers.

use super::{Case, Random};
use gristmill::internals::ops::shape::{constant_of_shape, eye_like, range, shape, size};
use gristmill::{DType, Tensor};

pub fn cases() -> Vec<Case> {
    let mut random = Random::new(0x54A9);
    let data = random.floats(&[3, 4, 5]);
    let mut cases = vec![];
    for (name, start, end, golden) in [
        ("all", 0, None, vec![3i64, 4, 5]),
        ("from", -2, None, vec![4, 5]),
        ("up_to", 0, Some(-1), vec![3, 4]),
        ("clamped", -9, Some(9), vec![3, 4, 5]),
        ("backwards", 2, Some(1), vec![]),
    ] {
        let row = Case::new(format!("shape/{name}"), shape(start, end), vec![data.clone()]);
        cases.push(row.golden(vec![Tensor::vector(&golden)]));
    }
    cases.push(Case::new("shape/scalar", shape(0, None), vec![Tensor::scalar(1.0f32)]));
    cases.push(Case::new("size/rank_3", size(), vec![data]).golden(vec![Tensor::scalar(60i64)]));
    cases.push(Case::new("size/empty", size(), vec![random.floats(&[3, 0])]).golden(vec![Tensor::scalar(0i64)]));
    cases.push(Case::new("constant_of_shape/default", constant_of_shape(None), vec![Tensor::vector(&[2i64, 3])]));
    let seven = constant_of_shape(Some(Tensor::vector(&[7i64])));
    cases.push(Case::new("constant_of_shape/i64", seven.clone(), vec![Tensor::vector(&[2i64, 0])]));
    cases.push(Case::new("constant_of_shape/scalar", seven, vec![Tensor::vector(&[] as &[i64])]));
    let numbers = |values: [f32; 3]| values.map(Tensor::scalar).to_vec();
    let integers = |values: [i64; 3]| values.map(Tensor::scalar).to_vec();
    let halves = Tensor::vector(&[1.0f32, 1.5, 2.0]);
    cases.push(Case::new("range/floats", range(), numbers([1.0, 2.2, 0.5])).golden(vec![halves]));
    cases.push(Case::new("range/backwards", range(), integers([10, 4, -2])).golden(vec![Tensor::vector(&[10i64, 8, 6])]));
    cases.push(Case::new("range/nothing", range(), integers([3, 3, 1])));
    // Values too large to be folded; the last one also folds the grid.
    let large = |value| constant_of_shape(Some(value));
    let shape_of = || vec![Tensor::vector(&[4097i64, 4099])];
    cases.push(Case::new("constant_of_shape/large", large(Tensor::vector(&[-2.5f32])), shape_of()));
    cases.push(Case::new("constant_of_shape/large_bool", large(Tensor::vector(&[true])), shape_of()));
    cases.push(Case::new("range/large", range(), integers([-5, 33_600_000, 2])));
    for (name, k, dtype) in [("main", 0, None), ("above", 1, Some(DType::I64)), ("below", -2, None), ("outside", 9, None)] {
        cases.push(Case::new(format!("eye_like/{name}"), eye_like(dtype, k), vec![random.floats(&[3, 4])]));
    }
    cases
}
