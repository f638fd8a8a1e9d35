//! Checks of what a run is given: the host makes them, before anything is submitted.

use crate::error::Result;
use crate::graph::{Graph, Node, ValueId, Writer};
use crate::tensor::Tensor;
use std::borrow::Cow;
use std::collections::HashSet;

/// The graph without the checks ([`Op::check`](crate::graph::Op::check)) of inputs that are given from outside, and those checks. What reads their
/// word finds that it holds.
pub(super) fn of_inputs(graph: &Graph) -> Result<(Cow<'_, Graph>, Vec<Node>)> {
    let states: HashSet<ValueId> = graph.states().iter().map(|state| state.input).collect();
    let given: HashSet<ValueId> = graph.inputs().iter().map(|input| input.value).filter(|id| !states.contains(id)).collect();
    let is_given = |id: &ValueId| given.contains(id) || graph.constant(*id).is_some();
    let outputs: HashSet<ValueId> = graph.outputs().iter().copied().collect();
    let is_early = |node: &&Node| {
        let word = node.outputs.first().copied().flatten();
        node.op.check().is_some() && node.inputs.iter().flatten().all(is_given) && word.is_some_and(|word| !outputs.contains(&word))
    };
    let checks: Vec<Node> = graph.nodes().iter().filter(is_early).cloned().collect();
    if checks.is_empty() {
        return Ok((Cow::Borrowed(graph), checks));
    }
    let mut writer = Writer::rewriting(graph);
    for word in checks.iter().filter_map(|node| node.outputs.first().copied().flatten()) {
        writer.fold(word, Tensor::scalar(true));
    }
    Ok((Cow::Owned(writer.finish()?), checks))
}
