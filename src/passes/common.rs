//! What several passes need, and dropping nodes that repeat others.

use super::{Options, Pass};
use crate::error::{Error, Result};
use crate::graph::{Node, NodeId, ValueId, Writer};
use crate::kernel::{Program, ScalarFunction};
use crate::ops::elementwise::function;
use crate::tensor::{Shape, View};

/// A scalar function that the passes themselves need.
pub(crate) fn elementwise(name: &'static str) -> Result<&'static ScalarFunction> {
    function(name).ok_or_else(|| Error::internal(format!("no scalar function is named {name}")))
}

/// Operand `k` of an elementwise node as it is seen by an output of this shape; `None` when it raises the rank of the result
/// or widens it, or cannot be seen so.
pub(crate) fn seen(writer: &Writer, node: &Node, program: &Program, k: usize, shape: &Shape) -> Option<View> {
    let whole = || Some(View::contiguous(writer.fact(node.input(k)?).ok()?.shape()));
    program.operands.get(k)?.view.clone().or_else(whole)?.broadcast(shape)
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

/// Drops nodes that do what an earlier one does with the same inputs.
#[derive(Debug)]
pub(crate) struct Deduplicate;

impl Pass for Deduplicate {
    fn name(&self) -> &str {
        "deduplicate"
    }

    fn visit(&self, writer: &mut Writer, id: NodeId, _: &Options) -> Result<()> {
        let Some(node) = writer.node(id) else { return Ok(()) };
        let Some(read) = node.inputs.iter().flatten().next() else { return Ok(()) };
        let replaceable = |(mine, theirs): (&Option<ValueId>, &Option<ValueId>)| match (mine, theirs) {
            (None, _) => true,
            (Some(mine), Some(_)) => !writer.is_output(*mine),
            (Some(_), None) => false,
        };
        let same = |other: &Node| {
            other.inputs == node.inputs
                && other.op.name() == node.op.name()
                && node.outputs.len() <= other.outputs.len()
                && node.outputs.iter().zip(&other.outputs).all(replaceable)
                && format!("{:?}", other.op) == format!("{:?}", node.op)
        };
        let earlier = writer.consumers(*read).take_while(|other| *other < id);
        let Some(first) = earlier.filter_map(|other| writer.node(other)).find(|other| same(other)) else { return Ok(()) };
        let pairs = node.outputs.iter().zip(&first.outputs);
        let pairs: Vec<(ValueId, ValueId)> = pairs.filter_map(|(mine, theirs)| Some(((*mine)?, (*theirs)?))).collect();
        pairs.into_iter().for_each(|(mine, theirs)| writer.redirect(mine, theirs));
        writer.remove(id);
        Ok(())
    }
}
