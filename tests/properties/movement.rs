//! Chains of operators that only move data, of every dtype.

use super::{DTYPES, Draw, Net, numbers, property};
use crate::cases::F32;
use gristmill::Tensor;
use gristmill::internals::graph::ValueId;
use gristmill::internals::ops::pad::{PadMode, pad};
use gristmill::internals::ops::transpose::{BlockOrder, depth_to_space, space_to_depth, transpose};
use gristmill::internals::ops::{concat::concat, expand, reshape, slice, triangle::trilu};

const EXTENTS: [usize; 8] = [4, 1, 3, 2, 5, 6, 8, 17];

/// Elements that a chain may grow to.
const LIMIT: usize = 5000;

/// A part of an axis, in steps forwards or backwards.
fn sliced(draw: &mut Draw, net: &mut Net, x: ValueId, axis: i64) -> ValueId {
    let extent = net.shape(x)[axis as usize] as i64;
    let step = draw.pick(&[1, 2, -1, -2, 3]);
    let (low, high) = (draw.within(0, 3) as i64, extent - draw.within(0, 2) as i64);
    let (start, end) = if step > 0 { (low, high) } else { (high, low - extent - 1) };
    let inputs = [start, end, axis, step].map(|n| net.integers(&[n]));
    net.apply(slice::slice(), &[x, inputs[0], inputs[1], inputs[2], inputs[3]])
}

/// Extents regrouped: two neighbours become one, or one becomes two.
fn regrouped(draw: &mut Draw, net: &mut Net, x: ValueId, axis: usize) -> ValueId {
    let mut wanted: Vec<i64> = net.shape(x).iter().map(|d| *d as i64).collect();
    let rank = wanted.len();
    if rank > 1 && axis + 1 < rank && draw.flag() {
        wanted[axis] *= wanted[axis + 1];
        wanted.remove(axis + 1);
    } else if wanted[axis] > 0 && wanted[axis] % 2 == 0 && rank < 8 {
        wanted[axis] /= 2;
        wanted.insert(axis, 2);
    } else {
        wanted = vec![wanted.iter().product()];
    }
    let wanted = net.integers(&wanted);
    net.apply(reshape::reshape(true), &[x, wanted])
}

/// One more link of a chain; unchanged where the shape allows none of the kind that is drawn.
pub fn link(draw: &mut Draw, net: &mut Net, x: ValueId) -> ValueId {
    let shape = net.shape(x);
    let (rank, elements) = (shape.len(), shape.iter().product::<usize>());
    if rank == 0 {
        let axes = net.integers(&[0]);
        return net.apply(reshape::unsqueeze(), &[x, axes]);
    }
    let axis = draw.within(1, rank) as i64 - 1;
    let extent = shape[axis as usize] as i64;
    match draw.within(0, 9) {
        0 | 1 => {
            let order = draw.permutation(rank).iter().map(|a| *a as i64).collect();
            net.apply(transpose(Some(order)), &[x])
        }
        2 | 3 => sliced(draw, net, x, axis),
        4 => regrouped(draw, net, x, axis as usize),
        5 if elements * 2 <= LIMIT => {
            let parts: Vec<ValueId> = (0..draw.within(1, 3)).map(|_| x).collect();
            net.apply(concat(axis - rank as i64), &parts)
        }
        6 if elements * 3 <= LIMIT => {
            let modes = [PadMode::Constant, PadMode::Edge, PadMode::Reflect];
            let mode = if extent > 2 { draw.pick(&modes) } else { PadMode::Constant };
            let (before, after) = (draw.within(0, 2) as i64, draw.within(0, 2) as i64 - 1);
            let (pads, axes) = (net.integers(&[before, after.max(-extent - before)]), net.integers(&[axis]));
            net.apply_to(pad(mode), &[Some(x), Some(pads), None, Some(axes)], 1)[0]
        }
        7 if rank < 8 && elements * 3 <= LIMIT => {
            let wanted: Vec<i64> = std::iter::once(draw.within(1, 3) as i64)
                .chain(shape.iter().map(|d| if *d == 1 { draw.pick(&[1, 2]) } else { *d as i64 }))
                .collect();
            let wanted = net.integers(&wanted);
            net.apply(expand::expand(), &[x, wanted])
        }
        8 if elements * 4 <= LIMIT => {
            let repeats: Vec<i64> = (0..rank).map(|a| if a as i64 == axis { draw.pick(&[2, 1, 3, 0]) } else { 1 }).collect();
            let repeats = net.integers(&repeats);
            net.apply(expand::tile(), &[x, repeats])
        }
        _ if extent > 1 => {
            let at = draw.within(1, extent as usize - 1) as i64;
            let sizes = net.integers(&[at, extent - at]);
            let parts = net.apply_to(slice::split(axis, 2), &[Some(x), Some(sizes)], 2);
            draw.pick(&parts)
        }
        _ => x,
    }
}

#[test]
fn chains() {
    property(48, F32, |draw, net| {
        let rank = draw.within(0, 6);
        let shape = draw.shape(rank, &EXTENTS, 600);
        let dtype = draw.pick(&DTYPES);
        let x = numbers(&mut net.random, dtype, &shape);
        let mut x = net.input(x);
        for _ in 0..draw.within(1, 5) {
            x = link(draw, net, x);
        }
        vec![net.apply(reshape::identity(), &[x])]
    });
}

#[test]
fn concatenations() {
    property(20, F32, |draw, net| {
        let rank = draw.within(1, 5);
        let shape = draw.shape(rank, &EXTENTS, 400);
        let axis = draw.axis(rank);
        let at = if axis < 0 { axis + rank as i64 } else { axis } as usize;
        let dtype = draw.pick(&DTYPES);
        let parts: Vec<ValueId> = (0..draw.within(1, 11))
            .map(|_| {
                let mut shape = shape.clone();
                shape[at] = draw.pick(&[1, 2, 3, 4, 0, 8]);
                if dtype == gristmill::DType::F32 && draw.rarely(4) {
                    return net.transposed(draw, &shape);
                }
                let tensor = numbers(&mut net.random, dtype, &shape);
                if draw.rarely(4) { net.constant(tensor) } else { net.input(tensor) }
            })
            .collect();
        vec![net.apply(concat(axis), &parts)]
    });
}

#[test]
fn blocks_and_triangles() {
    property(16, F32, |draw, net| {
        let dtype = draw.pick(&DTYPES);
        let block = draw.pick(&[2, 1, 3]);
        let (n, c, h, w) = (draw.pick(&[1, 2]), draw.pick(&[1, 2, 3]), draw.pick(&[2, 1, 3, 0]), draw.pick(&[2, 1, 5]));
        let order = if draw.flag() { BlockOrder::ColumnFirst } else { BlockOrder::DepthFirst };
        match draw.within(0, 2) {
            0 => {
                let x = numbers(&mut net.random, dtype, &[n, c * block * block, h, w]);
                let x = net.input(x);
                vec![net.apply(depth_to_space(block as i64, order), &[x])]
            }
            1 => {
                let x = numbers(&mut net.random, dtype, &[n, c, h * block, w * block]);
                let x = net.input(x);
                vec![net.apply(space_to_depth(block as i64, order), &[x])]
            }
            _ => {
                let x = numbers(&mut net.random, dtype, &[n, c, h, w]);
                let x = net.input(x);
                let k = draw.within(0, 6) as i64 - 3;
                let k = net.constant(Tensor::scalar(k));
                vec![net.apply(trilu(draw.flag()), &[x, k])]
            }
        }
    });
}
