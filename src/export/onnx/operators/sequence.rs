//! Sequences and optionals of tensors.

use super::{Row, rows};
use crate::error::{Error, Result};
use crate::export::onnx::context::Context;
use crate::export::onnx::form::form;
use crate::graph::{Flow, Flowing};
use crate::ops::flow::arrange::Arrangement;
use crate::ops::flow::sequence::{ConcatFromSequence, SplitToSequence};

pub(super) const ROWS: &[Row] = rows! {
    Flowing<Arrangement> => arrangement,
    Flowing<SplitToSequence> => |op, c| {
        c.emit(&form("SplitToSequence").int("axis", op.0.axis).flag("keepdims", op.0.keepdims))
    },
    Flowing<ConcatFromSequence> => |op, c| {
        c.emit(&form("ConcatFromSequence").int("axis", op.0.axis).flag("new_axis", op.0.new_axis))
    },
};

fn arrangement(op: &Flowing<Arrangement>, c: &mut Context<'_, '_>) -> Result<()> {
    if op.0 == Arrangement::Optional && c.node.input(0).is_none() {
        return Err(Error::unsupported("an optional that holds nothing says of what type in ONNX"));
    }
    c.emit(&form(op.0.name()))
}
