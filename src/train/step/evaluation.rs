//! The graph of a step as it is evaluated: without gradients and updates, on the same states, which it leaves as they are.

use crate::error::{Error, Result};
use crate::graph::{Graph, ValueId, Writer};
use crate::train::modes::evaluation;

/// The graph that makes these values and reads the states of a step.
pub(super) fn evaluation_graph(step: &Graph, outputs: &[&str]) -> Result<Graph> {
    let find = |name: &&str| step.find(name).ok_or_else(|| Error::invalid_argument(format!("the network has no value `{name}`")));
    let wanted: Vec<ValueId> = outputs.iter().map(find).collect::<Result<_>>()?;
    let all = wanted.iter().copied().chain(step.states.iter().map(|state| state.output)).collect();
    let mut graph = evaluation(&Graph { outputs: all, ..step.clone() })?;
    graph.outputs = wanted;
    for state in &mut graph.states {
        state.output = state.input;
        graph.outputs.push(state.input);
    }
    needed(graph)
}

/// A graph without the nodes, and the inputs, that none of its outputs is made from.
pub(super) fn needed(graph: Graph) -> Result<Graph> {
    let mut graph = Writer::rewriting(&graph).finish_needed()?;
    let mut is_read = vec![false; graph.values.len()];
    let read = graph.nodes.iter().flat_map(|node| node.inputs.iter().flatten()).chain(&graph.outputs);
    read.chain(graph.states.iter().map(|state| &state.input)).for_each(|id| is_read[id.index()] = true);
    graph.inputs.retain(|input| is_read[input.value.index()]);
    Ok(graph)
}
