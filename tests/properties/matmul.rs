//! Matrix products: batches that broadcast, vectors, operands in any memory order, constant weights, epilogues.

use super::{Draw, Net, numbers, property};
use crate::cases::{F32, Tolerance};
use gristmill::DType;
use gristmill::internals::graph::ValueId;
use gristmill::internals::ops::matmul::matmul;

const EXTENTS: [usize; 16] = [4, 1, 3, 5, 8, 7, 16, 17, 32, 33, 64, 65, 2, 48, 130, 0];

fn operand(draw: &mut Draw, net: &mut Net, shape: &[usize]) -> ValueId {
    match draw.within(0, 3) {
        0 => net.weights(false, shape),
        1 => net.weights(true, shape),
        _ => net.transposed(draw, shape),
    }
}

#[test]
fn products() {
    property(24, F32, |draw, net| {
        let (m, k, n) = (draw.pick(&EXTENTS), draw.pick(&EXTENTS), draw.pick(&EXTENTS));
        let rank = draw.within(0, 3);
        let batch = draw.shape(rank, &[1, 2, 3, 5], 6);
        let side = |draw: &mut Draw, matrix: [usize; 2]| [draw.narrower(&batch), matrix.to_vec()].concat();
        // A vector has no batch.
        let left = if draw.rarely(6) { vec![k] } else { side(draw, [m, k]) };
        let right = if draw.rarely(6) { vec![k] } else { side(draw, [k, n]) };
        let (a, b) = (operand(draw, net, &left), operand(draw, net, &right));
        let y = net.apply(matmul(), &[a, b]);
        let bias = if right.len() == 1 { vec![] } else { vec![n] };
        vec![net.epilogue(draw, y, &bias)]
    });
}

/// Sums of so many terms of both signs end near zero, with the rounding of what they were on the way.
const LONG: Tolerance = Tolerance { relative: 1e-4, absolute: 1e-4 };

/// Longer rows, where kernels split the sum.
#[test]
fn long_products() {
    property(12, LONG, |draw, net| {
        let k = draw.pick(&[256, 100, 511, 1024, 2050]);
        let (m, n) = (draw.pick(&[1, 2, 4, 9]), draw.pick(&[1, 3, 64, 70, 130]));
        let a = net.floats(&[m, k]);
        let b = if draw.flag() { net.transposed(draw, &[k, n]) } else { net.weights(draw.flag(), &[k, n]) };
        let y = net.apply(matmul(), &[a, b]);
        vec![net.epilogue(draw, y, &[n])]
    });
}

#[test]
fn products_of_integers() {
    property(10, F32, |draw, net| {
        let dtype = draw.pick(&[DType::I32, DType::I64, DType::U32, DType::F16]);
        let (m, k, n) = (draw.pick(&EXTENTS[..6]), draw.pick(&EXTENTS[..6]), draw.pick(&EXTENTS[..6]));
        let (a, b) = (numbers(&mut net.random, dtype, &[m, k]), numbers(&mut net.random, dtype, &[k, n]));
        let (a, b) = (net.input(a), net.constant(b));
        vec![net.apply(matmul(), &[a, b])]
    });
}
