//! Reductions over axes: ReduceSum and its relatives, ArgMax, ArgMin.

use super::{Row, row};
use crate::error::{Error, Result};
use crate::import::onnx::context::Context;
use crate::ops::argreduce;
use crate::ops::reduce::{Reduction, reduce};

/// Rows of reductions whose axes were an attribute up to a version and are an input since, and the rows after them.
macro_rules! reductions {
    ($($name:literal until $last:literal: $reduction:ident,)*; $($other:expr,)*) => {
        &[
            $(
                row($name, 1, 1..=1, 1, |c| by_attribute(c, Reduction::$reduction)).until($last),
                row($name, $last + 1, 1..=2, 1, |c| by_input(c, Reduction::$reduction)),
            )*
            $($other,)*
        ]
    };
}

pub(super) const ROWS: &[Row] = reductions! {
    "ReduceSum" until 12: Sum,
    "ReduceMean" until 17: Mean,
    "ReduceMax" until 17: Max,
    "ReduceMin" until 17: Min,
    "ReduceProd" until 17: Prod,
    "ReduceL1" until 17: L1,
    "ReduceL2" until 17: L2,
    "ReduceLogSum" until 17: LogSum,
    "ReduceLogSumExp" until 17: LogSumExp,
    "ReduceSumSquare" until 17: SumSquare,
    ;
    row("ArgMax", 1, 1..=1, 1, |c| arg_reduce(c, argreduce::arg_max)),
    row("ArgMin", 1, 1..=1, 1, |c| arg_reduce(c, argreduce::arg_min)),
};

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
