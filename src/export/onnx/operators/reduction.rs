//! Reductions over axes.

use super::{Row, rows};
use crate::error::Result;
use crate::export::onnx::context::Context;
use crate::export::onnx::form::form;
use crate::ops::argreduce::ArgReduce;
use crate::ops::reduce::{Reduce, Reduction};

pub(super) const ROWS: &[Row] = rows! {
    Reduce => reduce,
    ArgReduce => |op, c| {
        let form = form(if op.greatest { "ArgMax" } else { "ArgMin" }).int("axis", op.axis).flag("keepdims", op.keepdims);
        c.emit(&form.flag("select_last_index", op.select_last_index))
    },
};

fn reduce(op: &Reduce, c: &mut Context<'_, '_>) -> Result<()> {
    let name = match op.reduction {
        Reduction::Sum => "ReduceSum",
        Reduction::Mean => "ReduceMean",
        Reduction::Max => "ReduceMax",
        Reduction::Min => "ReduceMin",
        Reduction::Prod => "ReduceProd",
        Reduction::L1 => "ReduceL1",
        Reduction::L2 => "ReduceL2",
        Reduction::LogSum => "ReduceLogSum",
        Reduction::LogSumExp => "ReduceLogSumExp",
        Reduction::SumSquare => "ReduceSumSquare",
    };
    let form = form(name).flag("keepdims", op.keepdims).flag("noop_with_empty_axes", op.noop_with_empty_axes);
    match &op.axes {
        Some(axes) if !axes.is_empty() => {
            let axes = c.ints("axes", axes);
            let inputs = vec![c.input(0)?, axes];
            c.emit_over(&form, inputs)
        }
        _ => c.emit(&form),
    }
}
