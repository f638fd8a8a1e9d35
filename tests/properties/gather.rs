//! Reading and writing by indices.

use super::{DTYPES, Draw, Net, numbers, property};
use crate::cases::{F32, Random};
use gristmill::internals::graph::ValueId;
use gristmill::internals::ops::gather::{gather, gather_elements, gather_nd};
use gristmill::internals::ops::scatter::{Combine, scatter_elements, scatter_nd};
use gristmill::internals::ops::tensor_scatter::tensor_scatter;
use gristmill::{DType, Tensor};

const EXTENTS: [usize; 7] = [4, 1, 3, 2, 5, 9, 17];

/// Indices into an extent, counted from either end.
fn indices(draw: &mut Draw, random: &mut Random, shape: &[usize], extent: usize) -> Tensor {
    let low = if draw.flag() { -(extent as i64) } else { 0 };
    random.integers(draw.pick(&[DType::I64, DType::I32]), shape, low, extent as i64)
}

fn place(draw: &mut Draw, net: &mut Net, tensor: Tensor) -> ValueId {
    if draw.rarely(3) { net.constant(tensor) } else { net.input(tensor) }
}

#[test]
fn gathers() {
    property(28, F32, |draw, net| {
        let rank = draw.within(1, 4);
        let shape = draw.filled(rank, &EXTENTS, 800);
        let dtype = draw.pick(&DTYPES);
        let data = numbers(&mut net.random, dtype, &shape);
        let data = net.input(data);
        let axis = draw.axis(rank);
        let at = if axis < 0 { axis + rank as i64 } else { axis } as usize;
        if draw.flag() {
            let rank = draw.within(0, 3);
            let wanted = draw.shape(rank, &[2, 1, 3, 7], 30);
            let indices = indices(draw, &mut net.random, &wanted, shape[at]);
            let indices = place(draw, net, indices);
            return vec![net.apply(gather(axis), &[data, indices])];
        }
        let mut wanted: Vec<usize> = shape.iter().map(|d| draw.within(1, *d)).collect();
        wanted[at] = draw.pick(&[2, 1, 5, 0]);
        let indices = indices(draw, &mut net.random, &wanted, shape[at]);
        let indices = place(draw, net, indices);
        vec![net.apply(gather_elements(axis), &[data, indices])]
    });
}

/// Tuples of indices into the leading axes of a shape, past those of the batch.
fn tuples(draw: &mut Draw, net: &mut Net, outer: &[usize], extents: &[usize]) -> Tensor {
    let count: usize = outer.iter().product();
    let mut values = Vec::new();
    for _ in 0..count {
        for extent in extents {
            let index = (net.random.next() % *extent as u64) as i64;
            values.push(if draw.rarely(5) { index - *extent as i64 } else { index });
        }
    }
    Tensor::new([outer, &[extents.len()]].concat(), &values).expect("as many elements")
}

#[test]
fn gathers_by_tuples() {
    property(16, F32, |draw, net| {
        let rank = draw.within(1, 4);
        let shape = draw.filled(rank, &EXTENTS, 800);
        let batch = draw.within(0, rank - 1);
        let depth = draw.within(1, rank - batch);
        let dtype = draw.pick(&DTYPES);
        let data = numbers(&mut net.random, dtype, &shape);
        let data = net.input(data);
        let outer = [&shape[..batch], &[draw.pick(&[3, 1, 4, 0])]].concat();
        let indices = tuples(draw, net, &outer, &shape[batch..batch + depth]);
        let indices = place(draw, net, indices);
        vec![net.apply(gather_nd(batch as i64), &[data, indices])]
    });
}

fn combine(draw: &mut Draw) -> Option<Combine> {
    draw.pick(&[None, Some(Combine::Add), Some(Combine::Max), Some(Combine::Min), Some(Combine::Mul)])
}

/// Replacing writes each element at most once: which of several writers wins is open.
#[test]
fn scatters() {
    property(24, F32, |draw, net| {
        let rank = draw.within(1, 4);
        let shape = draw.filled(rank, &EXTENTS, 400);
        let dtype = draw.pick(&[DType::F32, DType::I32, DType::F32]);
        let data = numbers(&mut net.random, dtype, &shape);
        let data = if draw.rarely(4) { net.constant(data) } else { net.input(data) };
        let combine = combine(draw);
        if draw.flag() {
            let depth = draw.within(1, rank);
            let rows: usize = shape[..depth].iter().product();
            let count = if combine.is_some() { draw.pick(&[3, 1, 9, 0]) } else { draw.within(1, rows) };
            let values: Vec<i64> = (0..count)
                .flat_map(|i| {
                    let mut row = if combine.is_some() { net.random.next() as usize % rows } else { i };
                    let mut index = vec![0i64; depth];
                    for k in (0..depth).rev() {
                        index[k] = (row % shape[k]) as i64;
                        row /= shape[k];
                    }
                    index
                })
                .collect();
            let indices = Tensor::new([count, depth], &values).expect("as many elements");
            let indices = place(draw, net, indices);
            let updates = numbers(&mut net.random, dtype, &[&[count], &shape[depth..]].concat());
            let updates = net.input(updates);
            return vec![net.apply(scatter_nd(combine), &[data, indices, updates])];
        }
        let axis = draw.axis(rank);
        let at = if axis < 0 { axis + rank as i64 } else { axis } as usize;
        let mut wanted: Vec<usize> = shape.iter().map(|d| draw.within(1, *d)).collect();
        let indices = if combine.is_some() {
            wanted[at] = draw.pick(&[2, 1, 7, 0]);
            indices(draw, &mut net.random, &wanted, shape[at])
        } else {
            // Counted down along the axis, so that no two meet.
            let inner: usize = wanted[at + 1..].iter().product();
            let count: usize = wanted.iter().product();
            let values: Vec<i64> = (0..count).map(|i| (shape[at] - 1 - i / inner % wanted[at]) as i64).collect();
            Tensor::new(wanted.clone(), &values).expect("as many elements")
        };
        let indices = place(draw, net, indices);
        let updates = numbers(&mut net.random, dtype, &wanted);
        let updates = net.input(updates);
        vec![net.apply(scatter_elements(axis, combine), &[data, indices, updates])]
    });
}

/// Caches that are written and read on: the old contents are wanted no more, or they are.
#[test]
fn caches() {
    property(20, F32, |draw, net| {
        let rank = draw.within(2, 4);
        let shape = draw.filled(rank, &EXTENTS, 800);
        let at = draw.within(1, rank - 1);
        let axis = if draw.flag() { at as i64 } else { at as i64 - rank as i64 };
        let mut rows = shape.clone();
        rows[at] = draw.within(1, shape[at]);
        let dtype = draw.pick(&DTYPES);
        let [data, update] = [&shape, &rows].map(|shape| numbers(&mut net.random, dtype, shape));
        let (data, update) = (place(draw, net, data), net.input(update));
        let circular = draw.flag();
        let (low, high) = if circular { (-40, 40) } else { (0, (shape[at] - rows[at]) as i64 + 1) };
        let indices = draw.flag().then(|| {
            let indices = net.random.integers(draw.pick(&[DType::I64, DType::I32]), &shape[..1], low, high);
            place(draw, net, indices)
        });
        let made = net.apply_to(tensor_scatter(axis, circular), &[Some(data), Some(update), indices], 1);
        let again = if draw.rarely(3) { data } else { made[0] };
        let read = net.integers(&[0]);
        vec![made[0], net.apply(gather(axis), &[again, read])]
    });
}
