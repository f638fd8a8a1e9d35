//! Cutting a graph where what a node does depends on data.

use super::planned::{BranchStage, LoopStage, MapStage, Part, PlannedBody, PlannedGraph, Stage, Stages};
use super::sequences::arrangement;
use super::steady::SteadyBodies;
use crate::error::{Error, Result};
use crate::graph::{Body, Graph, Node, ValueId};
use crate::ops::flow::branch::If;
use crate::ops::flow::loops::Loop;
use crate::ops::flow::map::SequenceMap;
use crate::session::planning::ancestors::ancestors;
use crate::tensor::Tensor;
use std::sync::Arc;

/// Where a graph is cut.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cut {
    /// Before a node, whose output shape or nodes depend on a value.
    Value(ValueId, usize),
    /// Before and behind a node, which is a stage by itself.
    Stage(usize),
}

impl Cut {
    pub(super) fn node(self) -> usize {
        let (Cut::Value(_, node) | Cut::Stage(node)) = self;
        node
    }
}

/// Cuts a graph before a node: into what that needs first, then perhaps the node itself, then the rest.
///
/// A value that the first part computes becomes an input of the rest, which is then planned for its contents if it
/// is small. Otherwise, or when the node reads nothing else, the node is a stage in between: on the host, so that the
/// rest is planned for the shape of its result, or, where it is an operator on whole values, as what it is.
pub(crate) fn cut(graph: &Arc<Graph>, resident: &[bool], at: Cut, strict_gpu: bool) -> Result<Stages> {
    let blocked = at.node();
    let node = &graph.nodes()[blocked];
    let (apart, wanted) = match at {
        Cut::Value(value, _) if !stands_alone(graph, node, value) => (None, vec![value]),
        _ => (Some(stage(graph, node, at, strict_gpu)?), distinct(node.inputs.iter().flatten())),
    };
    let (in_first, _) = ancestors(graph, wanted.iter().copied());
    let nodes = |wanted: &dyn Fn(usize) -> bool| -> Vec<Node> {
        graph.nodes().iter().enumerate().filter(|(k, _)| wanted(*k)).map(|(_, node)| node.clone()).collect()
    };
    let first = nodes(&|k| in_first[k]);
    let rest = nodes(&|k| !(in_first[k] || apart.is_some() && k == blocked));

    let (by_first, by_rest) = (made_by(graph, &first), made_by(graph, &rest));
    let read_by_rest = rest.iter().flat_map(|n| n.inputs.iter().flatten()).chain(graph.outputs());
    let from_outside = |id: &&ValueId| !by_rest[id.index()] && graph.constant(**id).is_none();
    let rest_inputs = distinct(read_by_rest.filter(from_outside));
    let first_outputs = distinct(wanted.iter().chain(&rest_inputs).filter(|id| by_first[id.index()]));
    let read_by_first = flags(graph, first.iter().flat_map(|n| n.inputs.iter().flatten()));
    let first_inputs = graph.inputs().iter().map(|i| i.value).filter(|id| read_by_first[id.index()]).collect();

    // What only a later stage reads stays on the GPU, unless that is on the host.
    let returned = graph.outputs().iter().zip(resident).filter(|(_, resident)| !**resident).map(|(id, _)| id);
    let on_host = if let Some(Stage::Node(node)) = &apart { node.inputs.as_slice() } else { &[] };
    let returned = flags(graph, returned.chain(on_host.iter().flatten()));
    let stays = first_outputs.iter().map(|id| !returned[id.index()]).collect();
    let mut stages = Vec::with_capacity(3);
    if first.iter().all(|node| arrangement(node).is_some()) {
        stages.extend(first.into_iter().map(Stage::Arrange));
    } else {
        stages.push(Stage::Part(Box::new(Part::new(first, first_inputs, first_outputs, stays))));
    }
    stages.extend(apart);
    if !rest.is_empty() {
        stages.push(Stage::Part(Box::new(Part::new(rest, rest_inputs, graph.outputs().to_vec(), resident.to_vec()))));
    }
    Ok(Stages { graph: graph.clone(), stages })
}

/// Whether a node whose output shape depends on `value` is computed between the parts.
fn stands_alone(graph: &Graph, node: &Node, value: ValueId) -> bool {
    // Tensors that are arranged stay where they lie.
    if arrangement(node).is_some() {
        return true;
    }
    let computed = graph.producers()[value.index()].is_some();
    let alone = node.inputs.iter().flatten().all(|id| *id == value || graph.constant(*id).is_some());
    !computed || alone && node.op.flow().is_none()
}

/// A node as a stage of its own.
fn stage(graph: &Graph, node: &Node, at: Cut, strict_gpu: bool) -> Result<Stage> {
    if arrangement(node).is_some() {
        return Ok(Stage::Arrange(node.clone()));
    }
    if let Some(stage) = stage_of_graphs(graph, node) {
        return Ok(stage);
    }
    match at {
        Cut::Value(value, _) if strict_gpu => {
            let name = &graph.value(value).name;
            let message = format!(
                "the node would run on the host, which strict_gpu forbids: its output shape depends on the data of `{name}`"
            );
            Err(Error::unsupported(message).at(&node.path))
        }
        _ => Ok(Stage::Node(node.clone())),
    }
}

/// A node that holds graphs as a stage; `None` where it holds none.
fn stage_of_graphs(graph: &Graph, node: &Node) -> Option<Stage> {
    let flow = node.op.flow()?;
    let body = |body: &Body| PlannedBody::new(graph, node, body, &[]);
    if let Some(turns) = flow.downcast::<Loop>() {
        // A turn is taken only where the condition holds.
        let body = PlannedBody::new(graph, node, &turns.body, &[(1, Tensor::scalar(true))]);
        let stage = LoopStage { node: node.clone(), turns: turns.clone(), body, steady: SteadyBodies::default() };
        return Some(Stage::Loop(Box::new(stage)));
    }
    if let Some(choice) = flow.downcast::<If>() {
        let (then_branch, else_branch) = (body(&choice.then_branch), body(&choice.else_branch));
        let stage = BranchStage { node: node.clone(), choice: choice.clone(), then_branch, else_branch };
        return Some(Stage::Branch(Box::new(stage)));
    }
    let map = flow.downcast::<SequenceMap>()?;
    let stage = MapStage { node: node.clone(), map: map.clone(), body: body(&map.body) };
    Some(Stage::Map(Box::new(stage)))
}

impl PlannedBody {
    /// The graph within a node of a graph; what is constant there is constant here, and so are some of the inputs that the operator gives.
    fn new(whole: &Graph, node: &Node, body: &Body, known: &[(usize, Tensor)]) -> Self {
        let mut graph = (*body.graph).clone();
        let given = body.given();
        let mut captured = Vec::with_capacity(body.inputs.len());
        let mut inputs = Vec::with_capacity(graph.inputs.len());
        for (index, input) in body.graph.inputs()[..given].iter().enumerate() {
            match known.iter().find(|(known, _)| *known == index) {
                Some((_, tensor)) => graph.values[input.value.index()].constant = Some(tensor.clone()),
                None => inputs.push(input.clone()),
            }
        }
        for (input, index) in body.graph.inputs()[given..].iter().zip(&body.inputs) {
            match node.input(*index).and_then(|id| whole.constant(id)) {
                Some(tensor) => graph.values[input.value.index()].constant = Some(tensor.clone()),
                None => {
                    captured.push(*index);
                    inputs.push(input.clone());
                }
            }
        }
        graph.inputs = inputs;
        let resident = vec![true; graph.outputs().len()];
        PlannedBody { planned: PlannedGraph::staying(Arc::new(graph), resident), captured }
    }
}

/// For each value, whether one of these nodes makes it.
fn made_by(graph: &Graph, nodes: &[Node]) -> Vec<bool> {
    flags(graph, nodes.iter().flat_map(|n| n.outputs.iter().flatten()))
}

fn flags<'a>(graph: &Graph, ids: impl Iterator<Item = &'a ValueId>) -> Vec<bool> {
    let mut flags = vec![false; graph.values().len()];
    ids.for_each(|id| flags[id.index()] = true);
    flags
}

/// Each value once, in the order of their first appearance.
fn distinct<'a>(ids: impl Iterator<Item = &'a ValueId>) -> Vec<ValueId> {
    let mut distinct = Vec::new();
    for id in ids {
        if !distinct.contains(id) {
            distinct.push(*id);
        }
    }
    distinct
}
