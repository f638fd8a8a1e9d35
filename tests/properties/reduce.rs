//! Reductions over any axes, softmax along any axis, ArgMax and running sums.

use super::{Draw, Net, numbers, property};
use crate::cases::{F32, Tolerance};
use gristmill::DType;
use gristmill::internals::graph::ValueId;
use gristmill::internals::ops::argreduce::{arg_max, arg_min};
use gristmill::internals::ops::cumulative::cum_sum;
use gristmill::internals::ops::reduce::{Reduction, reduce};
use gristmill::internals::ops::softmax::{hardmax, log_softmax, softmax};
use gristmill::internals::ops::top_k::top_k;

const EXTENTS: [usize; 10] = [4, 1, 3, 2, 5, 8, 17, 33, 64, 257];

fn operand(draw: &mut Draw, net: &mut Net, shape: &[usize]) -> ValueId {
    if draw.rarely(3) { net.transposed(draw, shape) } else { net.floats(shape) }
}

/// Sums of values of both signs are near zero where their terms are not.
const SUMS: Tolerance = Tolerance { relative: 1e-4, absolute: 2e-4 };

#[test]
fn reductions_of_floats() {
    use Reduction::{L1, L2, LogSumExp, Max, Mean, Min, Prod, Sum, SumSquare};
    property(24, SUMS, |draw, net| {
        let rank = draw.within(0, 6);
        let shape = draw.shape(rank, &EXTENTS, 6000);
        let x = operand(draw, net, &shape);
        let reduction = draw.pick(&[Sum, Mean, Max, Min, L1, L2, SumSquare, LogSumExp, Prod]);
        let count = draw.within(0, rank);
        let mut axes: Vec<i64> = draw.permutation(rank)[..count].iter().map(|a| *a as i64).collect();
        axes.iter_mut().for_each(|a| *a -= if draw.flag() { rank as i64 } else { 0 });
        let (keepdims, noop) = (draw.flag(), draw.rarely(4));
        let y = if draw.flag() {
            net.apply(reduce(reduction, Some(axes), keepdims, noop), &[x])
        } else {
            let axes = net.integers(&axes);
            net.apply(reduce(reduction, None, keepdims, noop), &[x, axes])
        };
        vec![net.epilogue(draw, y, &[])]
    });
}

#[test]
fn reductions_of_integers() {
    use Reduction::{L1, Max, Mean, Min, Sum, SumSquare};
    property(16, F32, |draw, net| {
        let rank = draw.within(1, 4);
        let shape = draw.shape(rank, &EXTENTS[..8], 3000);
        let dtype = draw.pick(&[DType::I32, DType::I64, DType::U8, DType::I8, DType::U32, DType::F16]);
        let x = numbers(&mut net.random, dtype, &shape);
        let x = net.input(x);
        let axis = draw.axis(rank);
        // ONNX sums no narrow integers.
        let narrow = dtype.size() == 1;
        let reduction = draw.pick(if narrow { &[Max, Min][..] } else { &[Sum, Max, Min, Mean, L1, SumSquare] });
        vec![net.apply(reduce(reduction, Some(vec![axis]), draw.flag(), false), &[x])]
    });
}

#[test]
fn softmax_along_any_axis() {
    property(20, F32, |draw, net| {
        let rank = draw.within(1, 5);
        let extents = [4, 1, 3, 5, 8, 31, 32, 65, 128, 1000];
        let shape = draw.shape(rank, &extents, 8000);
        let x = operand(draw, net, &shape);
        let axis = draw.axis(rank);
        let op = match draw.within(0, 4) {
            0..=2 => softmax(axis),
            3 => log_softmax(axis),
            _ => hardmax(axis),
        };
        let y = net.apply(op, &[x]);
        vec![net.epilogue(draw, y, &[])]
    });
}

#[test]
fn places_of_extremes() {
    property(20, F32, |draw, net| {
        let rank = draw.within(1, 5);
        let shape = draw.filled(rank, &EXTENTS, 4000);
        let axis = draw.axis(rank);
        // Few distinct values, so that there are ties.
        let dtype = draw.pick(&[DType::F32, DType::I32, DType::U8]);
        let x = net.random.integers(dtype, &shape, 0, 7);
        let x = net.input(x);
        let (keepdims, last) = (draw.flag(), draw.flag());
        if draw.rarely(3) {
            let extent = shape[if axis < 0 { axis + rank as i64 } else { axis } as usize];
            let k = net.integers(&[draw.within(0, extent) as i64]);
            return net.apply_to(top_k(axis, draw.flag()), &[Some(x), Some(k)], 2);
        }
        vec![net.apply(if draw.flag() { arg_min(axis, keepdims, last) } else { arg_max(axis, keepdims, last) }, &[x])]
    });
}

#[test]
fn running_sums() {
    property(10, SUMS, |draw, net| {
        let rank = draw.within(1, 4);
        let shape = draw.shape(rank, &EXTENTS, 3000);
        let x = operand(draw, net, &shape);
        let axis = draw.axis(rank);
        let axis = net.constant(gristmill::Tensor::scalar(axis));
        vec![net.apply(cum_sum(draw.flag(), draw.flag()), &[x, axis])]
    });
}
