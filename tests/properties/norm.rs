//! Normalizations.

use super::{Draw, Net, property};
use crate::cases::Tolerance;
use gristmill::Tensor;
use gristmill::internals::graph::ValueId;
use gristmill::internals::ops::lrn::lrn;
use gristmill::internals::ops::norm::{
    batch_normalization, group_normalization, instance_normalization, layer_normalization, lp_normalization,
    mean_variance_normalization, rms_normalization,
};

/// Rows of two nearly equal values divide rounding errors by a small deviation.
const NORM: Tolerance = Tolerance { relative: 1e-3, absolute: 5e-4 };

const EPSILON: f32 = 1e-3;

fn operand(draw: &mut Draw, net: &mut Net, shape: &[usize]) -> ValueId {
    if draw.rarely(3) { net.transposed(draw, shape) } else { net.floats(shape) }
}

#[test]
fn rows() {
    property(28, NORM, |draw, net| {
        let rank = draw.within(1, 5);
        let shape = draw.shape(rank, &[4, 1, 3, 5, 8, 12, 31, 64, 100, 770], 8000);
        let axis = draw.axis(rank);
        let x = operand(draw, net, &shape);
        let from = if axis < 0 { axis + rank as i64 } else { axis } as usize;
        let parameter = if draw.rarely(4) { draw.narrower(&shape[from..]) } else { shape[from..].to_vec() };
        let scale = net.weights(draw.flag(), &parameter);
        let y = if draw.rarely(3) {
            net.apply(rms_normalization(axis, EPSILON), &[x, scale])
        } else if draw.flag() {
            net.apply(layer_normalization(axis, EPSILON), &[x, scale])
        } else {
            let bias = net.weights(draw.flag(), &parameter);
            if draw.rarely(4) {
                return net.apply_to(layer_normalization(axis, EPSILON), &[Some(x), Some(scale), Some(bias)], 3);
            }
            net.apply(layer_normalization(axis, EPSILON), &[x, scale, bias])
        };
        vec![net.epilogue(draw, y, &[])]
    });
}

#[test]
fn channels() {
    property(24, NORM, |draw, net| {
        let (groups, each) = (draw.pick(&[2, 1, 3, 4]), draw.pick(&[2, 1, 3, 8]));
        let spatial = draw.within(0, 3);
        let spatial = draw.shape(spatial, &[4, 1, 3, 7, 16, 33], 1200);
        let channels = groups * each;
        let shape = [vec![draw.pick(&[1, 2, 3, 0]), channels], spatial].concat();
        let x = operand(draw, net, &shape);
        let constant = !draw.rarely(3);
        let (scale, bias) = (net.weights(constant, &[channels]), net.weights(constant, &[channels]));
        let y = match draw.within(0, 5) {
            0 | 1 => net.apply(instance_normalization(EPSILON), &[x, scale, bias]),
            2 | 3 => net.apply(group_normalization(groups, EPSILON), &[x, scale, bias]),
            _ => {
                let mean = net.weights(constant, &[channels]);
                let variance: Vec<f32> = net.random.floats(&[channels]).to_f64().iter().map(|v| v.abs() as f32 + 0.1).collect();
                let variance = Tensor::vector(&variance);
                let variance = if constant { net.constant(variance) } else { net.input(variance) };
                net.apply(batch_normalization(EPSILON), &[x, scale, bias, mean, variance])
            }
        };
        vec![net.epilogue(draw, y, &[])]
    });
}

#[test]
fn composed() {
    property(10, NORM, |draw, net| {
        let rank = draw.within(1, 4);
        let shape = draw.shape(rank, &[4, 1, 3, 7, 16, 33], 2000);
        let x = operand(draw, net, &shape);
        let op = match draw.within(0, 2) {
            0 => lp_normalization(draw.axis(rank), draw.pick(&[2, 1])).expect("an order of 1 or 2"),
            1 if rank > 1 => mean_variance_normalization(vec![0, -1]),
            _ if rank > 2 => lrn(0.1, 0.75, 1.0, draw.pick(&[3, 1, 2, 5])).expect("a size"),
            _ => lp_normalization(-1, 2).expect("an order of 2"),
        };
        vec![net.apply(op, &[x])]
    });
}
