//! Dropout, which is one of two things: at inference its input, in training elements dropped at random.

use crate::error::Result;
use crate::graph::ValueId;
use crate::import::onnx::context::Context;
use crate::ops::elementwise::cast_like;
use crate::ops::{dropout, reshape, shape};
use crate::tensor::Tensor;

/// The ratio of a node that names none.
const RATIO: f64 = 0.5;

/// Before version 12 a node is in inference form.
pub(super) fn until_11(c: &mut Context<'_, '_>) -> Result<()> {
    c.emit_output(0, reshape::identity(), &[c.optional(0)]);
    if c.wants(1) {
        let mask = all_true(c)?;
        match c.version >= 10 {
            true => c.emit_output(1, reshape::identity(), &[Some(mask)]),
            // The mask had the element type of the data then.
            false => c.emit_output(1, cast_like(), &[Some(mask), c.optional(0)]),
        }
    }
    Ok(())
}

/// Since then the ratio is input 1, and input 2 says whether anything is dropped. What the file does not say a run must.
pub(super) fn by_inputs(c: &mut Context<'_, '_>) -> Result<()> {
    let number = |c: &Context<'_, '_>, index: usize| c.known(index).and_then(|tensor| tensor.to_f64().first().copied());
    let ratio = if c.optional(1).is_some() { number(c, 1) } else { Some(RATIO) };
    let training = if c.optional(2).is_some() { number(c, 2) } else { Some(0.0) };
    if training == Some(0.0) || ratio == Some(0.0) {
        return until_11(c);
    }
    let stream = c.dropout_stream()?;
    let key = c.dropout_key();
    let mut inputs = vec![c.optional(0), Some(key)];
    inputs.push(if ratio.is_none() { c.optional(1) } else { None });
    inputs.push(if training.is_none() { c.optional(2) } else { None });
    while inputs.last().is_some_and(Option::is_none) {
        inputs.pop();
    }
    c.emit(dropout::dropout(ratio.unwrap_or(RATIO), stream)?, &inputs)
}

/// The mask of a Dropout that drops nothing.
fn all_true(c: &mut Context<'_, '_>) -> Result<ValueId> {
    let extents = c.apply(shape::shape(0, None), c.input(0)?);
    Ok(c.apply(shape::constant_of_shape(Some(Tensor::vector(&[true]))), extents))
}
