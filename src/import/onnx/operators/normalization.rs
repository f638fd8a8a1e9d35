//! Softmax and its relatives, and the normalizations.

use super::{Row, row};
use crate::error::Result;
use crate::graph::Op;
use crate::import::onnx::context::Context;
use crate::ops::{lrn, norm, reshape, softmax};
use std::sync::Arc;

pub(super) const ROWS: &[Row] = &[
    row("Softmax", 1, 1..=1, 1, |c| flattened(c, softmax::softmax)).until(12),
    row("Softmax", 13, 1..=1, 1, |c| c.emit(softmax::softmax(c.int("axis", -1)?), &c.inputs())),
    row("LogSoftmax", 1, 1..=1, 1, |c| flattened(c, softmax::log_softmax)).until(12),
    row("LogSoftmax", 13, 1..=1, 1, |c| c.emit(softmax::log_softmax(c.int("axis", -1)?), &c.inputs())),
    row("Hardmax", 1, 1..=1, 1, |c| flattened(c, softmax::hardmax)).until(12),
    row("Hardmax", 13, 1..=1, 1, |c| c.emit(softmax::hardmax(c.int("axis", -1)?), &c.inputs())),
    row("LayerNormalization", 17, 2..=3, 3, |c| {
        c.emit(norm::layer_normalization(c.int("axis", -1)?, c.float("epsilon", 1e-5)?), &c.inputs())
    }),
    row("RMSNormalization", 23, 2..=2, 1, |c| {
        c.emit(norm::rms_normalization(c.int("axis", -1)?, c.float("epsilon", 1e-5)?), &c.inputs())
    }),
    row("InstanceNormalization", 1, 3..=3, 1, |c| c.emit(norm::instance_normalization(c.float("epsilon", 1e-5)?), &c.inputs())),
    row("GroupNormalization", 18, 3..=3, 1, group_normalization),
    row("BatchNormalization", 1, 5..=5, 5, batch_normalization_until_13).until(13),
    row("BatchNormalization", 14, 5..=5, 3, batch_normalization),
    row("LpNormalization", 1, 1..=1, 1, |c| c.emit(norm::lp_normalization(c.int("axis", -1)?, c.int("p", 2)?)?, &c.inputs())),
    row("LRN", 1, 1..=1, 1, local_response),
    row("MeanVarianceNormalization", 9, 1..=1, 1, mean_variance_normalization),
];

/// Before version 13 the input was seen as a matrix, split at `axis`, and rows of that were normalised.
fn flattened(c: &mut Context<'_, '_>, op: fn(i64) -> Arc<dyn Op>) -> Result<()> {
    let axis = c.int("axis", 1)?;
    let input = c.input(0)?;
    if axis == -1 || c.rank(input).and_then(|r| i64::try_from(r).ok()).is_some_and(|rank| axis.checked_add(1) == Some(rank)) {
        return c.emit(op(-1), &c.inputs());
    }
    let matrix = c.apply(reshape::flatten(axis), input);
    let rows = c.apply(op(-1), matrix);
    let shape = c.apply(crate::ops::shape::shape(0, None), input);
    c.emit(reshape::reshape(true), &[Some(rows), Some(shape)])
}

fn group_normalization(c: &mut Context<'_, '_>) -> Result<()> {
    if !c.attributes.has("num_groups") {
        return Err(c.missing("num_groups"));
    }
    c.emit(norm::group_normalization(c.count("num_groups", 1)?, c.float("epsilon", 1e-5)?), &c.inputs())
}

/// Before version 14 a node with one output is in inference form; versions 1 and 6 also say so by `is_test`.
fn batch_normalization_until_13(c: &mut Context<'_, '_>) -> Result<()> {
    if c.wants(1) || c.wants(2) || c.wants(3) || c.wants(4) {
        return Err(c.unsupported("the training form before version 14 (more than one output) is not implemented"));
    }
    if !c.flag("spatial", true)? {
        return Err(c.unsupported("spatial = 0 (statistics per element) is not implemented"));
    }
    let op = batch(c)?;
    c.emit_output(0, Arc::new(op), &c.inputs());
    Ok(())
}

/// What all versions have, in inference form.
fn batch(c: &Context<'_, '_>) -> Result<norm::BatchNormalization> {
    let (epsilon, momentum) = (c.float("epsilon", 1e-5)?, c.float("momentum", 0.9)?);
    Ok(norm::BatchNormalization { epsilon, momentum: momentum.into(), ..norm::BatchNormalization::default() })
}

fn batch_normalization(c: &mut Context<'_, '_>) -> Result<()> {
    let op = norm::BatchNormalization { training_mode: c.flag("training_mode", false)?, ..batch(c)? };
    c.emit(Arc::new(op), &c.inputs())
}

fn local_response(c: &mut Context<'_, '_>) -> Result<()> {
    if !c.attributes.has("size") {
        return Err(c.missing("size"));
    }
    c.emit(lrn::lrn(c.float("alpha", 1e-4)?, c.float("beta", 0.75)?, c.float("bias", 1.0)?, c.count("size", 1)?)?, &c.inputs())
}

fn mean_variance_normalization(c: &mut Context<'_, '_>) -> Result<()> {
    let axes = c.ints("axes")?.unwrap_or_else(|| vec![0, 2, 3]);
    c.emit(norm::mean_variance_normalization(axes), &c.inputs())
}
