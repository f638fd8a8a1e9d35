//! RotaryEmbedding, written out in simpler operators.

use super::{Row, row};
use crate::error::Result;
use crate::graph::ValueId;
use crate::import::onnx::context::Context;
use crate::ops::elementwise::binary;
use crate::ops::{concat, gather, reshape, slice, transpose};

pub(super) const ROWS: &[Row] = &[row("RotaryEmbedding", 23, 3..=4, 1, rotary_embedding)];

/// Pairs of elements of each head turned by an angle that depends on the position; inputs 1 and 2 are the cosines and
/// sines, which the positions in input 3 pick, where given.
fn rotary_embedding(c: &mut Context<'_, '_>) -> Result<()> {
    let data = c.input(0)?;
    let heads = c.int("num_heads", 0)?;
    let joined = c.rank(data).map_or(heads > 0, |rank| rank == 3);
    // [batch, length, heads, size]
    let apart = if joined {
        if heads < 1 {
            return Err(c.missing("num_heads"));
        }
        let extents = c.int_constant("heads", &[0, 0, heads, -1])?;
        c.node(reshape::reshape(false), &[Some(data), Some(extents)])
    } else {
        c.apply(transpose::transpose(Some(vec![0, 2, 1, 3])), data)
    };
    let turned_size = c.int("rotary_embedding_dim", 0)?;
    let (turned, rest) = if turned_size > 0 {
        (part(c, apart, 0, turned_size, 1)?, Some(part(c, apart, turned_size, i64::MAX, 1)?))
    } else {
        (apart, None)
    };
    let cosine = angle(c, 1)?;
    let sine = angle(c, 2)?;
    let interleaved = c.flag("interleaved", false)?;
    let (first, second) = if interleaved {
        (part(c, turned, 0, i64::MAX, 2)?, part(c, turned, 1, i64::MAX, 2)?)
    } else {
        let halves = c.nodes(slice::split(-1, 2), &[Some(turned)], 2);
        match halves.as_slice() {
            [first, second] => (*first, *second),
            _ => return Err(c.unsupported("a split without two halves")),
        }
    };
    let multiply = |c: &mut Context<'_, '_>, a, b| Ok::<_, crate::Error>(c.node(binary("Mul")?, &[Some(a), Some(b)]));
    let (a, b) = (multiply(c, cosine, first)?, multiply(c, sine, second)?);
    let real = c.node(binary("Sub")?, &[Some(a), Some(b)]);
    let (a, b) = (multiply(c, sine, first)?, multiply(c, cosine, second)?);
    let imaginary = c.node(binary("Add")?, &[Some(a), Some(b)]);
    let mut result = if interleaved {
        let last = c.int_constant("last", &[-1])?;
        let real = c.node(reshape::unsqueeze(), &[Some(real), Some(last)]);
        let imaginary = c.node(reshape::unsqueeze(), &[Some(imaginary), Some(last)]);
        let pairs = c.node(concat::concat(-1), &[Some(real), Some(imaginary)]);
        let extents = c.int_constant("flat", &[0, 0, 0, -1])?;
        c.node(reshape::reshape(false), &[Some(pairs), Some(extents)])
    } else {
        c.node(concat::concat(-1), &[Some(real), Some(imaginary)])
    };
    if let Some(rest) = rest {
        result = c.node(concat::concat(-1), &[Some(result), Some(rest)]);
    }
    if joined {
        let extents = c.int_constant("joined", &[0, 0, -1])?;
        return c.emit(reshape::reshape(false), &[Some(result), Some(extents)]);
    }
    c.emit(transpose::transpose(Some(vec![0, 2, 1, 3])), &[Some(result)])
}

/// A part of the last axis.
fn part(c: &mut Context<'_, '_>, value: ValueId, start: i64, end: i64, step: i64) -> Result<ValueId> {
    let start = c.int_constant("start", &[start])?;
    let end = c.int_constant("end", &[end])?;
    let axis = c.int_constant("axis", &[-1])?;
    let step = c.int_constant("step", &[step])?;
    Ok(c.node(slice::slice(), &[Some(value), Some(start), Some(end), Some(axis), Some(step)]))
}

/// Cosines or sines as `[batch, length, 1, pairs]`.
fn angle(c: &mut Context<'_, '_>, index: usize) -> Result<ValueId> {
    let mut angles = c.input(index)?;
    if let Some(positions) = c.optional(3) {
        angles = c.node(gather::gather(0), &[Some(angles), Some(positions)]);
    }
    let axis = c.int_constant("head_axis", &[2])?;
    Ok(c.node(reshape::unsqueeze(), &[Some(angles), Some(axis)]))
}
