//! What is made where it is joined: an operator that puts its inputs side by side ([`Op::joins`](crate::graph::Op::joins)) copies only those
//! that a kernel cannot make in their places at once.

use super::options::PlanOptions;
use super::placement::{Form, Placement, aliases, lower};
use crate::error::Result;
use crate::graph::{Graph, Node, ValueId};
use crate::kernel::Caps;
use std::collections::{BTreeSet, HashMap};

/// For each value that is made in its place, the value that it is a part of, and the element of that at which it starts.
pub(super) type Parts = HashMap<ValueId, (ValueId, usize)>;

/// Decides for every node that joins what it reads, once it is known which nodes write over what they read.
pub(super) fn join(graph: &Graph, caps: &Caps, options: &PlanOptions, placements: &mut [Placement]) -> Result<Parts> {
    if !graph.nodes().iter().any(|node| node.op.joins().is_some()) {
        return Ok(Parts::new());
    }
    let mut joining = Joining::new(graph, placements);
    for (node, placement) in graph.nodes().iter().zip(&*placements) {
        if matches!(placement, Placement::Gpu(_)) {
            joining.add(node);
        }
    }
    joining.separate();
    let Joining { root, parts, .. } = joining;
    for (index, node) in graph.nodes().iter().enumerate() {
        let Some(output) = joined_to(node) else { continue };
        let in_place =
            |id: &Option<ValueId>| id.is_some_and(|id| parts.get(&root[id.index()]).is_some_and(|part| part.0 == output));
        let joined: Vec<bool> = node.inputs.iter().map(in_place).collect();
        if joined.contains(&true) {
            let form = Form { joined, ..Form::default() };
            placements[index] = lower(graph, node, caps, options, form).map_err(|e| e.at(&node.path))?;
        }
    }
    Ok(parts)
}

/// What a node joins its inputs to.
fn joined_to(node: &Node) -> Option<ValueId> {
    node.op.joins().and(node.outputs.first().copied().flatten())
}

struct Joining<'a> {
    graph: &'a Graph,
    placements: &'a [Placement],
    /// For each value, the one whose buffer it shares as a whole.
    root: Vec<ValueId>,
    /// For each value, the one whose buffer it shares as a whole or in part.
    base: Vec<ValueId>,
    /// Roots that stay where they are: what runs return, and what is written over.
    fixed: BTreeSet<ValueId>,
    producers: Vec<Option<usize>>,
    parts: Parts,
}

impl<'a> Joining<'a> {
    fn new(graph: &'a Graph, placements: &'a [Placement]) -> Self {
        let root = aliases(graph, placements, false);
        let mut fixed: BTreeSet<ValueId> = graph.outputs().iter().map(|id| root[id.index()]).collect();
        for (node, placement) in graph.nodes().iter().zip(placements) {
            if let Placement::Gpu(work) = placement
                && let Some((output, input)) = work.updates
            {
                fixed.extend(node.outputs.get(output).copied().flatten());
                fixed.extend(node.input(input).map(|id| root[id.index()]));
            }
        }
        let base = aliases(graph, placements, true);
        Joining { graph, placements, root, base, fixed, producers: graph.producers(), parts: Parts::new() }
    }

    /// Finds out which inputs of a node that joins them can be made in their places.
    fn add(&mut self, node: &Node) {
        let (Some(places), Some(output)) = (node.op.joins(), joined_to(node)) else { return };
        if self.fixed.contains(&output) {
            return;
        }
        for (input, first) in node.inputs.iter().zip(places) {
            let Some(root) = input.map(|id| self.root[id.index()]) else { continue };
            let Some(maker) = self.producers[root.index()] else { continue };
            let is_made = matches!(self.placements[maker], Placement::Gpu(_)) && self.graph.nodes()[maker].op.joins().is_none();
            // What lies at two places is copied to both: one dispatch may not read one and write the other.
            let is_once = node.inputs.iter().flatten().filter(|id| self.root[id.index()] == root).count() == 1;
            if is_made && is_once && super::memory::is_bindable(first) && !self.fixed.contains(&root) {
                self.parts.entry(root).or_insert((output, first));
            }
        }
    }

    /// Leaves out what a dispatch would read while it writes another part of the same buffer, which WebGPU forbids.
    fn separate(&mut self) {
        let whole = |parts: &Parts, id: &ValueId| parts.get(&self.base[id.index()]).map(|part| part.0);
        let dispatched = |(_, placement): &(&Node, &Placement)| matches!(placement, Placement::Gpu(_));
        for (node, _) in self.graph.nodes().iter().zip(self.placements).filter(dispatched) {
            let written: BTreeSet<ValueId> = node.outputs.iter().flatten().filter_map(|id| whole(&self.parts, id)).collect();
            for input in node.inputs.iter().flatten() {
                if whole(&self.parts, input).is_some_and(|whole| written.contains(&whole)) {
                    self.parts.remove(&self.base[input.index()]);
                }
            }
        }
    }
}
