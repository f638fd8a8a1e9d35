//! Dropout in training form: ratios, keys and streams, and how a mask is cut into words.

use super::{Case, Random, Tolerance};
use gristmill::internals::graph::Op;
use gristmill::internals::ops::dropout::dropout;
use gristmill::{DType, Tensor};
use std::sync::Arc;

/// The factor is the nearest f32, and the product is rounded.
const CLOSE: Tolerance = Tolerance { relative: 2e-7, absolute: 0.0 };

fn op(ratio: f64, stream: u32) -> Arc<dyn Op> {
    dropout(ratio, stream).expect("a ratio from 0 to 1")
}

fn key(seed: i32, step: i32) -> Tensor {
    Tensor::vector(&[seed, step])
}

pub fn cases() -> Vec<Case> {
    let mut random = Random::new(0xD207);
    let mut cases = golden();
    for (name, shape, ratio) in [
        ("tenth", vec![4, 33], 0.1),
        ("half_in_fours", vec![3, 64], 0.5),
        ("most", vec![1000], 0.9),
        ("least", vec![64, 64], 1e-9),
        ("all_but", vec![64, 64], 1.0 - 1e-9),
        ("nothing", vec![2, 5], 0.0),
        ("everything", vec![2, 5], 1.0),
        ("scalar", vec![], 0.5),
        ("past_one_group", vec![5, 7, 11, 13], 0.3),
        ("empty", vec![0, 3], 0.5),
    ] {
        let inputs = || vec![key(0x1234_5678, 42)];
        let data = random.floats(&shape);
        let with = |outputs: usize| {
            let inputs = std::iter::once(data.clone()).chain(inputs()).collect();
            Case::new(format!("dropout/{name}_{outputs}"), op(ratio, 9), inputs).outputs(outputs).tolerance(CLOSE)
        };
        cases.extend([with(1), with(2)]);
    }
    let data = random.floats(&[3, 8]);
    for (name, key, stream) in [
        ("negative_key", key(-1, i32::MIN), 0),
        ("unsigned_key", Tensor::vector(&[u32::MAX, 1 << 31]), 0),
        ("last_stream", key(1, 2), u32::MAX),
    ] {
        cases.push(Case::new(format!("dropout/{name}"), op(0.5, stream), vec![data.clone(), key]).outputs(2).tolerance(CLOSE));
    }
    for (name, ratio, training) in [("ratio_given", 0.75, true), ("not_in_training", 0.75, false), ("ratio_zero", 0.0, true)] {
        let inputs = vec![data.clone(), key(3, 4), Tensor::scalar(ratio), Tensor::scalar(training)];
        cases.push(Case::new(format!("dropout/{name}"), op(0.5, 1), inputs).outputs(2).tolerance(CLOSE));
    }
    let half = Tensor::from_f64(gristmill::TensorType::new(DType::F16, [3, 8]), &data.to_f64()).expect("as many elements");
    let close = Tolerance { relative: 1.0 / 1024.0, absolute: 0.0 };
    cases.push(Case::new("dropout/halves", op(0.25, 1), vec![half, key(5, 6)]).outputs(2).tolerance(close));
    cases
}

/// Masks from Threefry written down a second time, in Python.
fn golden() -> Vec<Case> {
    let ones = |count: usize| Tensor::vector(&vec![3.0f32; count]);
    let expected = |mask: &[bool], kept: f32| {
        let values: Vec<f32> = mask.iter().map(|kept_here| if *kept_here { kept } else { 0.0 }).collect();
        vec![Tensor::vector(&values), Tensor::vector(mask)]
    };
    let (no, yes) = (false, true);
    vec![
        Case::new("dropout/golden_zero_key", op(0.5, 0), vec![ones(2), key(0, 0)]).outputs(2).golden(expected(&[no, yes], 6.0)),
        Case::new("dropout/golden", op(0.25, 3), vec![ones(11), key(7, -1)])
            .outputs(2)
            .golden(expected(&[yes, yes, no, yes, yes, no, yes, yes, no, yes, yes], 4.0)),
    ]
}
