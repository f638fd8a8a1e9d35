//! Layer, RMS, Instance, Group and BatchNormalization, and those composed of other operators.

use super::{Case, Random};
use gristmill::Tensor;
use gristmill::internals::ops::norm::{
    batch_normalization, group_normalization, instance_normalization, layer_normalization, lp_normalization,
    mean_variance_normalization, norm_gradient, rms_normalization,
};

const EPSILON: f32 = 1e-5;

pub fn cases() -> Vec<Case> {
    let mut random = Random::new(0x4E0A);
    let mut cases = layer(&mut random);
    cases.extend(broadcast_and_far(&mut random));
    cases.extend(channels(&mut random));
    cases.extend(composed(&mut random));
    cases.extend(gradients());
    cases
}

/// Shapes that take each kernel: rows in registers with and without a remainder, in fours and not, and rows too long for
/// that.
fn layer(random: &mut Random) -> Vec<Case> {
    let mut cases = vec![];
    let rows: &[(&str, &[usize], i64)] = &[
        ("vector", &[5], 0),
        ("last_axis_odd", &[3, 4, 37], -1),
        ("last_axis_fours", &[6, 64], 1),
        ("two_axes", &[5, 6, 7], 1),
        ("all_axes", &[2, 3, 4], 0),
        ("one_column", &[6, 1], -1),
        ("one_row", &[1, 768], -1),
        ("many_rows", &[70, 12], -1),
        ("copied", &[66, 1020], -1),
        ("long_row", &[2, 20011], -1),
        ("long_row_fours", &[3, 80000], -1),
        ("longest_row", &[1, 300001], -1),
        ("rank_8", &[1, 2, 1, 3, 2, 1, 2, 5], 4),
        ("no_rows", &[0, 4], 1),
        ("no_columns", &[4, 0], 1),
    ];
    for (name, shape, axis) in rows {
        let axis_index = if *axis < 0 { shape.len() as i64 + axis } else { *axis } as usize;
        let parameter = &shape[axis_index..];
        let inputs = vec![random.floats(shape), random.floats(parameter), random.floats(parameter)];
        let rms = inputs[..2].to_vec();
        let no_bias = inputs[..2].to_vec();
        cases.push(Case::new(format!("layer_norm/{name}"), layer_normalization(*axis, EPSILON), inputs.clone()));
        cases.push(Case::new(format!("layer_norm/{name}_no_bias"), layer_normalization(*axis, EPSILON), no_bias));
        cases.push(Case::new(format!("rms_norm/{name}"), rms_normalization(*axis, EPSILON), rms.clone()));
        if ["last_axis_fours", "copied", "two_axes"].contains(name) {
            let constants = [
                ("layer_norm", layer_normalization(*axis, EPSILON), &inputs),
                ("rms_norm", rms_normalization(*axis, EPSILON), &rms),
            ];
            for (family, op, inputs) in constants {
                cases
                    .push(Case::new(format!("{family}/{name}_constants"), op, inputs.clone()).weights(&[1, 2][..inputs.len() - 1]));
            }
        }
        if *name != "no_columns" {
            cases.push(Case::new(format!("layer_norm/{name}_moments"), layer_normalization(*axis, EPSILON), inputs).outputs(3));
        }
    }
    cases
}

/// Scales and biases of other shapes than the row's, and data whose moments are hard to come by.
fn broadcast_and_far(random: &mut Random) -> Vec<Case> {
    let mut cases = vec![];
    for (name, shape) in [("scalar_scale", &[1][..]), ("scale_with_leading_ones", &[1, 1, 12])] {
        let inputs = vec![random.floats(&[3, 5, 12]), random.floats(shape), random.floats(shape)];
        cases.push(Case::new(format!("layer_norm/{name}"), layer_normalization(-1, EPSILON), inputs));
    }
    // Scale and bias of different shapes, as they broadcast to the input.
    let shapes: [(&str, &[usize], &[usize]); 4] = [
        ("scale_by_row", &[1, 5, 12], &[12]),
        ("bias_by_row", &[1, 1, 12], &[5, 12]),
        ("scale_by_batch", &[3, 1, 1], &[1]),
        ("both_whole", &[3, 5, 12], &[3, 5, 12]),
    ];
    for (name, scale, bias) in shapes {
        let inputs = vec![random.floats(&[3, 5, 12]), random.floats(scale), random.floats(bias)];
        let op = layer_normalization(-1, EPSILON);
        cases.push(Case::new(format!("layer_norm/{name}_moments"), op, inputs.clone()).outputs(3));
        cases.push(Case::new(format!("rms_norm/{name}"), rms_normalization(1, EPSILON), inputs[..2].to_vec()));
    }
    // Each row of two is normalized to -1 and 1.
    let rows = [[[1f32, 3.0], [2.0, 6.0]], [[0.0, 2.0], [-4.0, 4.0]]].concat().concat();
    let (rows, scale) = (Tensor::new([2, 2, 2], &rows), Tensor::new([2, 1], &[2f32, 3.0]));
    let inputs = [rows, scale, Ok(Tensor::vector(&[10f32, 20.0]))].map(|t| t.expect("as many elements")).to_vec();
    let golden = Tensor::new([2, 2, 2], &[8f32, 22.0, 7.0, 23.0, 8.0, 22.0, 7.0, 23.0]).expect("as many elements");
    let case = Case::new("layer_norm/scale_of_rows_and_bias_of_columns", layer_normalization(2, EPSILON), inputs);
    cases.push(case.golden(vec![golden]));
    // A mean far above the spread: a variance taken as the mean of squares less the square of the mean has no digit left.
    let shifted: Vec<f32> = random.floats(&[4, 96]).to_f64().iter().map(|x| 1000.0 + *x as f32).collect();
    let shifted = Tensor::new([4, 96], &shifted).expect("as many elements");
    let inputs = vec![shifted, random.floats(&[96]), random.floats(&[96])];
    cases.push(Case::new("layer_norm/far_mean", layer_normalization(-1, EPSILON), inputs).tolerance(FAR_MEAN));
    cases
}

/// Operators that run as others.
fn composed(random: &mut Random) -> Vec<Case> {
    let mut cases = vec![];
    for (name, shape) in [("image", &[2usize, 3, 4, 5][..]), ("two_axes", &[4, 3]), ("no_pixels", &[2, 3, 0])] {
        let positive = Tensor::vector(&[0.5f32, 2.0, 1.25]);
        let mut inputs = vec![random.floats(shape)];
        inputs.extend((0..3).map(|_| random.floats(&[3])));
        inputs.push(positive);
        for weights in [&[][..], &[1, 2, 3, 4]] {
            let kind = if weights.is_empty() { "computed" } else { "constant" };
            let case = Case::new(format!("batch_norm/{name}_{kind}"), batch_normalization(EPSILON), inputs.clone());
            cases.push(case.weights(weights));
        }
        for p in [1, 2] {
            let op = lp_normalization(1, p).expect("an order that exists");
            cases.push(Case::new(format!("lp_norm/{name}_{p}"), op, vec![random.floats(shape)]));
        }
        let op = mean_variance_normalization(vec![0, -1]);
        cases.push(Case::new(format!("mean_variance_norm/{name}"), op, vec![random.floats(shape)]));
    }
    let zeros = Tensor::zeros(gristmill::TensorType::new(gristmill::DType::F32, [2, 3]));
    cases.push(Case::new("lp_norm/zeros", lp_normalization(1, 2).expect("an order that exists"), vec![zeros]));
    cases
}

/// The mean of values near 1000 is itself rounded to 3e-5.
const FAR_MEAN: super::Tolerance = super::Tolerance { relative: 1e-3, absolute: 3e-4 };

fn channels(random: &mut Random) -> Vec<Case> {
    let mut cases = vec![];
    let inputs = |random: &mut Random, shape: &[usize], parameter: usize| {
        vec![random.floats(shape), random.floats(&[parameter]), random.floats(&[parameter])]
    };
    let shapes: &[(&str, &[usize])] = &[
        ("image", &[2, 6, 5, 7]),
        ("image_fours", &[2, 6, 8, 8]),
        ("large_image", &[1, 6, 128, 100]),
        ("sequence", &[3, 6, 11]),
        ("volume", &[1, 6, 3, 4, 5]),
        ("pixel", &[2, 6, 1, 1]),
        ("no_spatial_axes", &[4, 6]),
        ("no_batch", &[0, 6, 4]),
        ("no_pixels", &[2, 6, 0]),
    ];
    for (name, shape) in shapes {
        let op = instance_normalization(EPSILON);
        cases.push(Case::new(format!("instance_norm/{name}"), op, inputs(random, shape, 6)));
        for groups in [1, 2, 3, 6] {
            let op = group_normalization(groups, EPSILON);
            cases.push(Case::new(format!("group_norm/{name}_{groups}"), op.clone(), inputs(random, shape, 6)));
            cases.push(Case::new(format!("group_norm/{name}_{groups}_per_group"), op, inputs(random, shape, groups)));
        }
    }
    cases
}

/// What changes of rows, scale and bias are worth: rows in fours and not, several chunks of rows, and one.
fn gradients() -> Vec<Case> {
    let mut random = Random::new(0x6A4D);
    let mut cases = vec![];
    for (name, rows, columns) in [
        ("odd", 12, 37),
        ("fours", 6, 64),
        ("one_row", 1, 768),
        ("one_column", 5, 1),
        ("chunks", 70, 12),
        ("chunks_odd", 333, 5),
        ("most_chunks", 5000, 4),
        ("long_row", 2, 20011),
        ("long_row_fours", 3, 8000),
    ] {
        for (kind, centered) in [("layer", true), ("rms", false)] {
            let inputs = vec![random.floats(&[rows, columns]), random.floats(&[columns]), random.floats(&[rows, columns])];
            for outputs in [1, 3] {
                let op = norm_gradient(centered, EPSILON);
                let name = format!("norm_gradient/{kind}_{name}_{outputs}");
                cases.push(Case::new(name, op, inputs.clone()).outputs(outputs));
            }
        }
    }
    cases
}
