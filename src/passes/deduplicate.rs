//! Dropping nodes that repeat others.

use super::{Options, Pass};
use crate::error::Result;
use crate::graph::{Key, Node, NodeId, ValueId, Writer};

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
                && Key::of(&*other.op) == Key::of(&*node.op)
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
