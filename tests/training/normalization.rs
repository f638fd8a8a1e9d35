//! Gradients of normalizations.

use super::rule_check::{COARSE, Check, FINE, doubles};
use gristmill::Tensor;
use gristmill::operators::{
    Operator, batch_normalization, group_normalization, instance_normalization, layer_normalization, rms_normalization,
};

const EPSILON: f32 = 1e-3;

fn check(op: Operator, shapes: &[&[usize]], outputs: &[usize]) -> Check {
    let inputs = shapes.iter().enumerate().map(|(k, shape)| Some(doubles(k as u64, shape))).collect();
    let subjects = (0..shapes.len()).collect();
    Check { op, inputs, outputs: outputs.to_vec(), count: outputs.iter().max().map_or(1, |k| k + 1), subjects, step: FINE }
}

#[test]
fn training_normalization_of_rows() {
    check(layer_normalization(-1, EPSILON), &[&[3, 4], &[4], &[4]], &[0]).holds("layer");
    check(layer_normalization(1, EPSILON), &[&[2, 3, 4], &[3, 4], &[3, 4]], &[0]).holds("layer over two axes");
    check(layer_normalization(0, EPSILON), &[&[5], &[5]], &[0]).holds("layer over all axes");
    check(layer_normalization(-1, EPSILON), &[&[2, 3, 4], &[2, 3, 1], &[4]], &[0]).holds("layer, a scale for each row");
    check(layer_normalization(2, EPSILON), &[&[2, 3, 4], &[], &[3, 4]], &[0]).holds("layer, one scale");
    check(rms_normalization(-1, EPSILON), &[&[3, 4], &[4]], &[0]).holds("rms");
    check(rms_normalization(1, EPSILON), &[&[2, 3, 4], &[1, 4]], &[0]).holds("rms, a scale for each column");
}

#[test]
fn training_normalization_with_statistics() {
    let mut all = check(layer_normalization(1, EPSILON), &[&[2, 3, 4], &[3, 4], &[3, 4]], &[0, 1, 2]);
    all.step = COARSE;
    all.holds("layer, its mean and deviation");
    all = check(layer_normalization(-1, EPSILON), &[&[2, 3, 4], &[4]], &[2]);
    (all.step, all.count, all.subjects) = (COARSE, 3, vec![0]);
    all.holds("layer, its deviation alone");
}

#[test]
fn training_normalization_of_channels() {
    for shape in [&[2, 6, 3, 2][..], &[3, 6, 4], &[1, 6, 2, 1, 3]] {
        check(instance_normalization(EPSILON), &[shape, &[6], &[6]], &[0]).holds("instance");
        check(group_normalization(3, EPSILON), &[shape, &[6], &[6]], &[0]).holds("group");
        check(group_normalization(3, EPSILON), &[shape, &[3], &[3]], &[0]).holds("group, a scale for each");
    }
}

#[test]
fn training_batch_normalization_at_inference() {
    for shape in [&[2, 3, 2, 2][..], &[4, 3], &[5]] {
        let channels = [shape.get(1).copied().unwrap_or(1)];
        let mut check = check(batch_normalization(EPSILON), &[shape, &channels, &channels, &channels, &channels], &[0]);
        let variance: Vec<f64> = doubles(4, &channels).to_f64().iter().map(|v| v.abs() + 0.5).collect();
        check.inputs[4] = Some(Tensor::from_f64(doubles(4, &channels).ty().clone(), &variance).expect("as many"));
        check.holds("batch");
    }
}
