//! Cross entropy with labels: many classes and few, along the last axis and within, weights, ignored labels and smoothing.

use super::{Case, Random};
use gristmill::internals::ops::cross_entropy::{check_classes, cross_entropy};
use gristmill::{DType, Tensor};

pub fn cases() -> Vec<Case> {
    let mut random = Random::new(0xC2055);
    let mut cases = golden();
    let shapes: &[(&str, &[usize], i64)] = &[
        ("few", &[70, 10], 1),
        ("many", &[5, 1000], -1),
        ("many_odd", &[3, 1237], 1),
        ("many_long", &[2, 20_000], 1),
        ("positions", &[2, 7, 33], 1),
        ("images", &[2, 5, 9, 8], 1),
        ("last_of_three", &[2, 3, 130], 2),
        ("first", &[6, 11], 0),
        ("one_class", &[4, 1], 1),
        ("one_row", &[1, 64], 1),
        ("no_rows", &[0, 5], 1),
    ];
    for (name, shape, axis) in shapes {
        let at = if *axis < 0 { shape.len() - 1 } else { *axis as usize };
        let classes = shape[at];
        let others: Vec<usize> = shape.iter().enumerate().filter(|(k, _)| *k != at).map(|(_, extent)| *extent).collect();
        for (what, weighted, ignore_index, smoothing, outputs) in [
            ("plain", false, None, 0.0, 1),
            ("slopes", false, None, 0.0, 2),
            ("weighted", true, Some(0), 0.0, 3),
            ("smoothed", false, Some(-100), 0.1, 3),
            ("all", true, Some(classes as i64 / 2), 0.25, 3),
        ] {
            let mut inputs = vec![random.floats(shape), random.integers(DType::I64, &others, 0, classes as i64)];
            inputs.extend(weighted.then(|| random.integers(DType::I32, &[classes], 1, 5)).map(|weights| floats(&weights)));
            let op = cross_entropy(*axis, ignore_index, smoothing);
            cases.push(Case::new(format!("cross_entropy/{name}_{what}"), op, inputs).outputs(outputs));
        }
    }
    let masked = Tensor::new([2, 3], &[1.0f32, f32::NEG_INFINITY, 2.0, 1e4, -1e4, 0.0]).expect("as many elements");
    let inputs = vec![masked, Tensor::vector(&[0i32, 2])];
    cases.push(Case::new("cross_entropy/infinite_logits", cross_entropy(1, None, 0.0), inputs).outputs(3));
    let labels = random.integers(DType::I64, &[3, 501], 0, 7);
    cases.push(Case::new("cross_entropy/check_all_name_classes", check_classes(7, None), vec![labels]));
    let labels = Tensor::vector(&[3i32, -100, 0]);
    cases.push(Case::new("cross_entropy/check_ignores", check_classes(4, Some(-100)), vec![labels]));
    cases
}

/// As f32.
fn floats(tensor: &Tensor) -> Tensor {
    Tensor::from_f64(gristmill::TensorType::new(DType::F32, tensor.shape().clone()), &tensor.to_f64()).expect("as many elements")
}

/// Written down by hand: two classes of equal logits, of which each has a half.
fn golden() -> Vec<Case> {
    let half = std::f32::consts::LN_2;
    let logits = Tensor::new([2, 2], &[3.0f32; 4]).expect("as many elements");
    let weights = Tensor::vector(&[2.0f32, 4.0]);
    let inputs = vec![logits, Tensor::vector(&[0i64, 1]), weights];
    let slopes = Tensor::new([2, 2], &[-1.0f32, 1.0, 2.0, -2.0]).expect("as many elements");
    let golden = vec![Tensor::vector(&[2.0 * half, 4.0 * half]), slopes, Tensor::vector(&[2.0f32, 4.0])];
    vec![Case::new("cross_entropy/golden", cross_entropy(1, None, 0.0), inputs).outputs(3).golden(golden)]
}
