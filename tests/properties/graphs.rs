//! Small random networks of operators from all families: views that are absorbed, epilogues that are fused, values with
//! several users, outputs in the middle.

use super::movement::link;
use super::{Draw, Net, property};
use crate::cases::Tolerance;
use gristmill::internals::graph::ValueId;
use gristmill::internals::ops::conv::{SlidingWindow, conv};
use gristmill::internals::ops::elementwise::{binary, unary};
use gristmill::internals::ops::matmul::matmul;
use gristmill::internals::ops::norm::{instance_normalization, layer_normalization};
use gristmill::internals::ops::reduce::{Reduction, reduce};
use gristmill::internals::ops::softmax::softmax;

/// What several layers of sums may add up to.
const LAYERS: Tolerance = Tolerance { relative: 1e-3, absolute: 1e-3 };

/// A node of any family on one of the values so far.
fn grow(draw: &mut Draw, net: &mut Net, values: &[ValueId]) -> ValueId {
    let x = values[values.len() - 1 - draw.within(0, values.len() - 1).min(2)];
    let shape = net.shape(x);
    let (rank, last) = (shape.len(), shape.last().copied().unwrap_or(1));
    let elements: usize = shape.iter().product();
    match draw.within(0, 11) {
        0 | 1 => {
            let wanted = draw.pick(&[4, 3, 8, 1, 16]);
            if rank == 0 || elements / last.max(1) * wanted > 4000 {
                return net.apply(unary("Tanh").expect("a function"), &[x]);
            }
            let w = net.weights(true, &[last, wanted]);
            net.apply(matmul(), &[x, w])
        }
        2 | 3 => net.apply(unary(draw.pick(&["Relu", "Tanh", "Sigmoid", "Abs", "Neg"])).expect("a function"), &[x]),
        4 | 5 => {
            let fitting: Vec<ValueId> = values.iter().copied().filter(|v| net.shape(*v) == shape).collect();
            let y = draw.pick(&fitting);
            let y = if draw.flag() { y } else { net.weights(draw.flag(), &draw.narrower(&shape)) };
            net.apply(binary(draw.pick(&["Add", "Mul", "Sub", "Max"])).expect("a function"), &[x, y])
        }
        6 if rank > 0 => {
            let scale = net.weights(true, &[last]);
            net.apply(layer_normalization(-1, 0.1), &[x, scale])
        }
        7 if rank > 0 => net.apply(softmax(draw.axis(rank)), &[x]),
        8 if rank > 0 => net.apply(reduce(Reduction::Mean, Some(vec![draw.axis(rank)]), draw.flag(), false), &[x]),
        9 if rank >= 3 && shape[2..].iter().all(|d| *d > 0) && rank <= 5 && elements <= 2000 => {
            let (channels, filters) = (shape[1], draw.pick(&[2, 3, 4]));
            if draw.rarely(3) {
                let (scale, bias) = (net.weights(true, &[channels]), net.weights(true, &[channels]));
                return net.apply(instance_normalization(0.1), &[x, scale, bias]);
            }
            let w = net.weights(true, &[&[filters, channels], &vec![3; rank - 2][..]].concat());
            net.apply(conv(SlidingWindow { pads: vec![1; 2 * (rank - 2)], ..SlidingWindow::default() }, 1), &[x, w])
        }
        _ => link(draw, net, x),
    }
}

#[test]
fn networks() {
    property(60, LAYERS, |draw, net| {
        let rank = draw.within(1, 5);
        let shape = draw.shape(rank, &[4, 2, 3, 1, 5, 8, 7], 500);
        let mut values = vec![net.floats(&shape)];
        for _ in 0..draw.within(2, 9) {
            let made = grow(draw, net, &values);
            values.push(made);
        }
        let mut outputs = vec![values[values.len() - 1]];
        if draw.rarely(3) {
            outputs.push(draw.pick(&values[1..]));
        }
        outputs.dedup();
        outputs
    });
}
