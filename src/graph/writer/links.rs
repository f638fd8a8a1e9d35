//! Who makes and who uses each value of a graph that is being written.

use super::{NodeId, Writer};
use crate::graph::{Node, ValueId};
use crate::tensor::View;
use std::collections::{BTreeSet, HashSet};

/// Who makes and who uses a value.
#[derive(Clone, Debug, Default)]
pub(super) struct Links {
    pub(super) producer: Option<NodeId>,
    pub(super) consumers: BTreeSet<NodeId>,
    pub(super) output: bool,
}

impl Writer {
    /// Whether a value is an output of the graph.
    pub fn is_output(&self, id: ValueId) -> bool {
        self.links.get(id.0).is_some_and(|links| links.output)
    }

    /// The node that makes a value.
    pub fn producer(&self, id: ValueId) -> Option<NodeId> {
        self.links.get(id.0)?.producer
    }

    /// The node that makes a value, itself.
    pub fn maker(&self, id: ValueId) -> Option<&Node> {
        self.node(self.producer(id)?)
    }

    /// The nodes that use a value, each once, those that were added first at the front.
    pub fn consumers(&self, id: ValueId) -> impl Iterator<Item = NodeId> {
        self.links.get(id.0).into_iter().flat_map(|links| links.consumers.iter().copied())
    }

    /// The one node that uses a value (however often), unless the value is an output of the graph as well.
    pub fn only_consumer(&self, id: ValueId) -> Option<NodeId> {
        let mut consumers = self.consumers(id);
        let first = consumers.next()?;
        (!self.is_output(id) && consumers.next().is_none()).then_some(first)
    }

    /// Whether a value is made from anything that a node makes.
    pub fn depends_on(&self, id: ValueId, node: NodeId) -> bool {
        let (mut seen, mut left) = (HashSet::new(), vec![id]);
        while let Some(id) = left.pop() {
            let Some(producer) = self.producer(id).filter(|producer| seen.insert(*producer)) else { continue };
            if producer == node {
                return true;
            }
            left.extend(self.node(producer).into_iter().flat_map(|node| &node.inputs).flatten());
        }
        false
    }

    /// Output `output` of a node as a view of the node's input 0.
    pub fn view(&self, node: &Node, output: usize) -> Option<(ValueId, View)> {
        let facts = self.input_facts(node).ok()?;
        Some((node.input(0)?, node.op.view(&facts, output)?))
    }

    /// The value as a view of the input of the node that makes it, where that node only moves data.
    pub fn moved(&self, id: ValueId) -> Option<(ValueId, View)> {
        let node = self.maker(id)?;
        self.view(node, node.outputs.iter().position(|o| *o == Some(id))?)
    }

    /// The value that one is another name of: all its elements, in order, under other extents.
    pub fn alias(&self, id: ValueId) -> Option<ValueId> {
        let (input, view) = self.moved(id)?;
        (view.is_contiguous() && self.fact(input).ok()?.ty.elements() == view.shape.elements()).then_some(input)
    }

    /// Puts a node in its place and notes what it makes and uses.
    pub(super) fn link(&mut self, id: NodeId, node: Node) {
        for input in node.inputs.iter().flatten() {
            if let Some(links) = self.links.get_mut(input.0) {
                links.consumers.insert(id);
            }
        }
        for output in node.outputs.iter().flatten() {
            if let Some(links) = self.links.get_mut(output.0) {
                links.producer = Some(id);
            }
        }
        if let Some(changes) = &mut self.changes {
            changes.made.push(node.path.clone());
        }
        self.nodes[id.0] = Some(node);
    }

    /// Takes a node out of its place, and what it makes and uses out of the notes.
    pub(super) fn unlink(&mut self, id: NodeId) -> Option<Node> {
        let node = self.nodes.get_mut(id.0)?.take()?;
        for input in node.inputs.iter().flatten() {
            if let Some(links) = self.links.get_mut(input.0) {
                links.consumers.remove(&id);
            }
        }
        for output in node.outputs.iter().flatten() {
            if let Some(links) = self.links.get_mut(output.0).filter(|links| links.producer == Some(id)) {
                links.producer = None;
            }
        }
        if let Some(changes) = &mut self.changes {
            changes.gone.push(node.path.clone());
        }
        Some(node)
    }

    /// Takes away what only a node that is gone has read.
    pub(super) fn sweep(&mut self, gone: Option<Node>) {
        let mut left: Vec<ValueId> = gone.into_iter().flat_map(|node| node.inputs).flatten().collect();
        while let Some(value) = left.pop() {
            let Some(producer) = self.producer(value) else { continue };
            let used = |id: &ValueId| self.consumers(*id).next().is_some() || self.is_output(*id);
            if !self.node(producer).is_some_and(|node| node.outputs.iter().flatten().any(used)) {
                left.extend(self.unlink(producer).into_iter().flat_map(|node| node.inputs).flatten());
            }
        }
    }
}
