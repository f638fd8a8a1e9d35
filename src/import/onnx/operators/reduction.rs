//! Reductions over axes: ReduceSum and its relatives, ArgMax, ArgMin.

use super::{Row, row};
use crate::error::{Error, Result};
use crate::import::onnx::context::Context;
use crate::ops::argreduce;
use crate::ops::reduce::{Reduction, reduce};

/// The axes of ReduceSum became an input in version 13, those of the others in version 18.
pub(super) const ROWS: &[Row] = &[
    row("ReduceSum", 1, 1..=1, 1, |c| by_attribute(c, Reduction::Sum)).until(12),
    row("ReduceSum", 13, 1..=2, 1, |c| by_input(c, Reduction::Sum)),
    row("ReduceMean", 1, 1..=1, 1, |c| by_attribute(c, Reduction::Mean)).until(17),
    row("ReduceMean", 18, 1..=2, 1, |c| by_input(c, Reduction::Mean)),
    row("ReduceMax", 1, 1..=1, 1, |c| by_attribute(c, Reduction::Max)).until(17),
    row("ReduceMax", 18, 1..=2, 1, |c| by_input(c, Reduction::Max)),
    row("ReduceMin", 1, 1..=1, 1, |c| by_attribute(c, Reduction::Min)).until(17),
    row("ReduceMin", 18, 1..=2, 1, |c| by_input(c, Reduction::Min)),
    row("ReduceProd", 1, 1..=1, 1, |c| by_attribute(c, Reduction::Prod)).until(17),
    row("ReduceProd", 18, 1..=2, 1, |c| by_input(c, Reduction::Prod)),
    row("ReduceL1", 1, 1..=1, 1, |c| by_attribute(c, Reduction::L1)).until(17),
    row("ReduceL1", 18, 1..=2, 1, |c| by_input(c, Reduction::L1)),
    row("ReduceL2", 1, 1..=1, 1, |c| by_attribute(c, Reduction::L2)).until(17),
    row("ReduceL2", 18, 1..=2, 1, |c| by_input(c, Reduction::L2)),
    row("ReduceLogSum", 1, 1..=1, 1, |c| by_attribute(c, Reduction::LogSum)).until(17),
    row("ReduceLogSum", 18, 1..=2, 1, |c| by_input(c, Reduction::LogSum)),
    row("ReduceLogSumExp", 1, 1..=1, 1, |c| by_attribute(c, Reduction::LogSumExp)).until(17),
    row("ReduceLogSumExp", 18, 1..=2, 1, |c| by_input(c, Reduction::LogSumExp)),
    row("ReduceSumSquare", 1, 1..=1, 1, |c| by_attribute(c, Reduction::SumSquare)).until(17),
    row("ReduceSumSquare", 18, 1..=2, 1, |c| by_input(c, Reduction::SumSquare)),
    row("ArgMax", 1, 1..=1, 1, |c| arg_reduce(c, argreduce::arg_max)),
    row("ArgMin", 1, 1..=1, 1, |c| arg_reduce(c, argreduce::arg_min)),
];

fn by_attribute(c: &mut Context<'_, '_>, reduction: Reduction) -> Result<()> {
    let axes = c.ints("axes")?.unwrap_or_default();
    c.emit(reduce(reduction, Some(axes), c.flag("keepdims", true)?, false), &c.inputs())
}

fn by_input(c: &mut Context<'_, '_>, reduction: Reduction) -> Result<()> {
    let (keepdims, noop) = (c.flag("keepdims", true)?, c.flag("noop_with_empty_axes", false)?);
    // Axes that the file holds become attributes, so that nothing has to be known before the run.
    match c.optional(1) {
        Some(_) => match c.known(1).map(|axes| axes.to_i64()) {
            Some(axes) => c.emit(reduce(reduction, Some(axes), keepdims, noop), &[c.optional(0)]),
            None => c.emit(reduce(reduction, None, keepdims, noop), &c.inputs()),
        },
        None => c.emit(reduce(reduction, Some(Vec::new()), keepdims, noop), &c.inputs()),
    }
}

fn arg_reduce(c: &mut Context<'_, '_>, op: fn(i64, bool, bool) -> std::sync::Arc<dyn crate::graph::Op>) -> Result<()> {
    let last = c.flag("select_last_index", false)?;
    if last && c.version < 12 {
        return Err(Error::invalid_model(format!(
            "attribute `select_last_index` exists from version 12 on, the model asks for {}",
            c.version
        )));
    }
    c.emit(op(c.int("axis", 0)?, c.flag("keepdims", true)?, last), &c.inputs())
}
