//! Which nodes write over what they read: an operator that can ([`Op::updates`](crate::graph::Op::updates)) does, where it is the last that
//! reads the old contents.

use super::choices::Chosen;
use super::joins::{Parts, join};
use super::options::PlanOptions;
use super::placement::{Form, GpuNode, Placement, aliases, lower, place_apart};
use super::schedule::groups;
use super::states::{is_uninterrupted, resident};
use crate::error::{ErrorKind, Result};
use crate::graph::{Graph, Node, ValueId};
use crate::kernel::Caps;
use std::collections::{BTreeMap, BTreeSet};

/// Decides for every node of a specialised graph. Nodes write over what they read where they may and have a form for it; a variant that
/// is asked for by name stays.
pub(super) fn place(graph: &Graph, caps: &Caps, options: &PlanOptions) -> Result<(Vec<Placement>, Parts)> {
    let mut placements = place_apart(graph, caps, options)?;
    let order = Order::new(graph, &placements);
    let mut updating = BTreeMap::new();
    for (index, node) in graph.nodes().iter().enumerate() {
        let Placement::Gpu(plain) = &placements[index] else { continue };
        let Some(updates) = order.updates(index)? else { continue };
        match lower(graph, node, caps, options, Form { updates: Some(updates), ..Form::default() }) {
            Ok(Placement::Gpu(work)) => drop(updating.insert(index, with_names_of(plain, work))),
            Ok(_) => {}
            Err(e) if e.kind() == ErrorKind::Unsupported => {}
            Err(e) => return Err(e.at(&node.path)),
        }
    }
    if !updating.is_empty() && !graph.states().is_empty() {
        order.keep_states(&mut updating)?;
    }
    updating.into_iter().for_each(|(index, work)| placements[index] = Placement::Gpu(work));
    let parts = join(graph, caps, options, &mut placements)?;
    Ok((placements, parts))
}

/// The one of a node's two forms that is taken, with the names of the other's variants.
fn with_names_of(plain: &GpuNode, mut updating: Box<GpuNode>) -> Box<GpuNode> {
    if plain.chosen == Chosen::Named && updating.chosen != Chosen::Named {
        let mut plain = Box::new(plain.clone());
        plain.variants.extend(updating.variants);
        return plain;
    }
    updating.variants.extend(&plain.variants);
    updating.declined.retain(|(name, _)| !plain.variants.contains(name));
    updating
}

/// Who reads what, and when, in the order in which a plan runs its nodes.
struct Order<'a> {
    graph: &'a Graph,
    placements: &'a [Placement],
    root: Vec<ValueId>,
    /// For each node, its group and its place in it. The host's nodes of a group stand last.
    time: Vec<(usize, usize)>,
    /// For each root, the nodes that read it; one that reads it twice stands there twice.
    readers: Vec<Vec<usize>>,
    is_output: Vec<bool>,
    is_input: Vec<bool>,
}

impl<'a> Order<'a> {
    fn new(graph: &'a Graph, placements: &'a [Placement]) -> Self {
        let count = graph.values().len();
        let root = aliases(graph, placements, true);
        let mut time = vec![(0, 0); graph.nodes().len()];
        for (number, group) in groups(graph, placements).iter().enumerate() {
            group.gpu.iter().enumerate().for_each(|(at, node)| time[*node] = (number, at));
            group.host.iter().for_each(|node| time[*node] = (number, usize::MAX));
        }
        let mut readers = vec![Vec::new(); count];
        for (index, node) in graph.nodes().iter().enumerate() {
            if !matches!(placements[index], Placement::Alias(_) | Placement::Window(..)) {
                node.inputs.iter().flatten().for_each(|id| readers[root[id.index()].index()].push(index));
            }
        }
        let (mut is_output, mut is_input) = (vec![false; count], vec![false; count]);
        graph.outputs().iter().for_each(|id| is_output[root[id.index()].index()] = true);
        graph.inputs().iter().for_each(|input| is_input[input.value.index()] = true);
        Order { graph, placements, root, time, readers, is_output, is_input }
    }

    /// The output and the input of a node of which one may be written over the other.
    fn updates(&self, index: usize) -> Result<Option<(usize, usize)>> {
        let node = &self.graph.nodes()[index];
        let facts = self.graph.input_facts(node)?;
        let Some((output, input)) = node.op.updates(&facts) else { return Ok(None) };
        let (Some(old), Some(Some(new))) = (node.input(input), node.outputs.get(output)) else { return Ok(None) };
        let (from, to) = (self.graph.fact(old)?, self.graph.fact(*new)?);
        let fits = from.ty == to.ty && from.scalar() == to.scalar() && from.ty.elements() > 0;
        Ok((fits && self.is_last(index, node, old)).then_some((output, input)))
    }

    /// Leaves out nodes that would write over a state, unless what they make is what that state becomes, and all is done in one
    /// submission: a run that fails must leave states as they were.
    fn keep_states(&self, updating: &mut BTreeMap<usize, Box<GpuNode>>) -> Result<()> {
        let producers = self.graph.producers();
        let whole = is_uninterrupted(self.graph, self.placements);
        let source = |index: usize, updating: &BTreeMap<usize, Box<GpuNode>>| {
            let (_, input) = updating.get(&index)?.updates?;
            self.graph.nodes()[index].input(input).map(|id| self.root[id.index()])
        };
        let mut allowed = BTreeSet::new();
        let mut held = BTreeSet::new();
        for state in self.graph.states() {
            if resident(self.graph, state)?.is_none() {
                continue;
            }
            held.insert(state.input);
            let mut chain = Vec::new();
            let mut value = self.root[state.output.index()];
            while let Some(index) = producers[value.index()]
                && let Some(before) = source(index, updating)
            {
                chain.push(index);
                value = before;
            }
            if value == state.input && whole {
                allowed.extend(chain);
            }
        }
        // Nodes stand in order, so that what an earlier one leaves in a state's buffer is known.
        for index in updating.keys().copied().collect::<Vec<_>>() {
            let in_state = source(index, updating).is_some_and(|value| held.contains(&value));
            if in_state && allowed.contains(&index) && self.is_guarded(index) {
                let output = updating.get(&index).and_then(|work| work.updates).map_or(0, |(output, _)| output);
                held.extend(self.graph.nodes()[index].outputs.get(output).copied().flatten());
            } else if in_state {
                updating.remove(&index);
            }
        }
        Ok(())
    }

    /// Whether a node writes nothing where the run fails by a check.
    fn is_guarded(&self, index: usize) -> bool {
        let checks = self.graph.nodes().iter().filter(|node| node.op.check().is_some());
        let reads = |id: ValueId| self.graph.nodes()[index].inputs.contains(&Some(id));
        checks.filter_map(|node| node.outputs.first().copied().flatten()).all(reads)
    }

    /// Whether nobody needs what a node reads once that has run.
    fn is_last(&self, index: usize, node: &Node, old: ValueId) -> bool {
        let root = self.root[old.index()];
        let reads = node.inputs.iter().flatten().filter(|id| self.root[id.index()] == root).count();
        let gone = |reader: &usize| match self.placements[*reader] {
            Placement::Host(_) => self.is_input[root.index()] || self.time[*reader].0 < self.time[index].0,
            _ => *reader == index || self.time[*reader] < self.time[index],
        };
        let kept = self.graph.constant(root).is_some() || self.is_output[root.index()];
        reads == 1 && !kept && self.readers[root.index()].iter().all(gone)
    }
}
