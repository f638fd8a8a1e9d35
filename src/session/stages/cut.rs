//! Cutting a graph where a shape depends on data.

use super::planned::{Part, Stage, Stages};
use crate::error::{Error, Result};
use crate::graph::{Graph, Node, ValueId};
use crate::session::planning::ancestors::ancestors;
use std::sync::Arc;

/// Cuts `graph` before node `blocked`, whose output shape depends on `value`: into what that value depends on, then perhaps
/// the node itself on the host, then the rest.
///
/// A value that the first part computes becomes an input of the rest, which is then planned for its contents if it
/// is small. Otherwise, or when the node reads nothing else, the node itself runs on the host in between, so that the
/// rest is planned for the shape of its result.
pub(super) fn cut(graph: &Arc<Graph>, value: ValueId, blocked: usize, strict_gpu: bool) -> Result<Stages> {
    let node = &graph.nodes()[blocked];
    let on_host = runs_on_host(graph, node, value);
    if on_host && strict_gpu {
        let name = &graph.value(value).name;
        let message =
            format!("the node would run on the host, which strict_gpu forbids: its output shape depends on the data of `{name}`");
        return Err(Error::unsupported(message).at(&node.path));
    }
    let wanted: Vec<ValueId> = if on_host { node.inputs.iter().flatten().copied().collect() } else { vec![value] };
    let (in_first, _) = ancestors(graph, wanted.iter().copied());
    let nodes = |wanted: &dyn Fn(usize) -> bool| -> Vec<Node> {
        graph.nodes().iter().enumerate().filter(|(k, _)| wanted(*k)).map(|(_, node)| node.clone()).collect()
    };
    let first = nodes(&|k| in_first[k]);
    let rest = nodes(&|k| !(in_first[k] || on_host && k == blocked));

    let (by_first, by_rest) = (made_by(graph, &first), made_by(graph, &rest));
    let read_by_rest = rest.iter().flat_map(|n| n.inputs.iter().flatten()).chain(graph.outputs());
    let from_outside = |id: &&ValueId| !by_rest[id.index()] && graph.constant(**id).is_none();
    let rest_inputs = distinct(read_by_rest.filter(from_outside));
    let first_outputs = distinct(wanted.iter().chain(&rest_inputs).filter(|id| by_first[id.index()]));
    let read_by_first = flags(graph, first.iter().flat_map(|n| n.inputs.iter().flatten()));
    let first_inputs = graph.inputs().iter().map(|i| i.value).filter(|id| read_by_first[id.index()]).collect();

    let mut stages = Vec::with_capacity(3);
    if !first.is_empty() {
        stages.push(Stage::Part(Part::new(first, first_inputs, first_outputs)));
    }
    if on_host {
        stages.push(Stage::Node(node.clone()));
    }
    stages.push(Stage::Part(Part::new(rest, rest_inputs, graph.outputs().to_vec())));
    Ok(Stages { graph: graph.clone(), stages })
}

/// Whether a node runs on the host whose output shape depends on `value`.
fn runs_on_host(graph: &Graph, node: &Node, value: ValueId) -> bool {
    let computed = graph.producers()[value.index()].is_some();
    let alone = node.inputs.iter().flatten().all(|id| *id == value || graph.constant(*id).is_some());
    !computed || alone
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
