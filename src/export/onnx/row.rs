//! Rows of the export table.

use super::context::Context;
use crate::error::{Error, Result};
use crate::graph::Op;

/// A row: it writes a node of its operator, and does not look at others.
pub(super) type Row = fn(&dyn Op, &mut Context<'_, '_>) -> Option<Result<()>>;

/// Rows by the types of their operators: `Type => |op, c| ...`.
macro_rules! rows {
    ($($type:ty => $write:expr,)*) => {
        &[$(|op, c| {
            let write: fn(&$type, &mut $crate::export::onnx::context::Context<'_, '_>) -> $crate::error::Result<()> = $write;
            $crate::graph::OpExt::downcast::<$type>(op).map(|op| write(op, c))
        }),*]
    };
}

pub(super) use rows;

/// Operators that read their inputs through views are made by passes.
pub(super) fn whole(is_whole: bool) -> Result<()> {
    match is_whole {
        true => Ok(()),
        false => Err(Error::unsupported("it reads an input through a view")),
    }
}
