//! How nodes read values: what several passes ask.

use crate::error::Result;
use crate::graph::{Node, ValueId, Writer};
use crate::kernel::Program;
use crate::tensor::{Shape, View};

/// How a value is read by who has a view of its own for it, or else reads it as it is.
pub(crate) fn read_as(writer: &Writer, id: ValueId, own: &Option<View>) -> Result<View> {
    match own {
        Some(view) => Ok(view.clone()),
        None => Ok(View::contiguous(writer.fact(id)?.shape())),
    }
}

/// Operand `k` of an elementwise node as it is seen by an output of this shape; `None` when it raises the rank of the result
/// or widens it, or cannot be seen so.
pub(crate) fn seen(writer: &Writer, node: &Node, program: &Program, k: usize, shape: &Shape) -> Option<View> {
    read_as(writer, node.input(k)?, &program.operands.get(k)?.view).ok()?.broadcast(shape)
}

/// True when operand `k` of an elementwise node has the result's shape and is read element by element in its order.
pub(crate) fn plain(writer: &Writer, node: &Node, program: &Program, k: usize, shape: &Shape) -> bool {
    let fact = node.input(k).and_then(|id| writer.fact(id).ok());
    fact.is_some_and(|fact| fact.shape() == shape)
        && program
            .operands
            .get(k)
            .is_some_and(|operand| operand.view.as_ref().is_none_or(|v| v.is_contiguous() && &v.shape == shape))
}
