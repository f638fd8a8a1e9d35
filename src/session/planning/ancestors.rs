//! What a value of a graph is computed from.

use crate::graph::{Graph, ValueId};
use std::collections::BTreeSet;

/// The inputs that a value depends on, by their places.
pub(crate) fn sources(graph: &Graph, value: ValueId) -> BTreeSet<usize> {
    let (_, needed) = ancestors(graph, [value]);
    let inputs = graph.inputs().iter().enumerate();
    inputs.filter(|(_, i)| needed[i.value.index()]).map(|(k, _)| k).collect()
}

/// The nodes and the values that some values depend on, as flags by index.
pub(crate) fn ancestors(graph: &Graph, values: impl IntoIterator<Item = ValueId>) -> (Vec<bool>, Vec<bool>) {
    let mut needed = vec![false; graph.values().len()];
    values.into_iter().for_each(|value| needed[value.index()] = true);
    let mut nodes = vec![false; graph.nodes().len()];
    for (index, node) in graph.nodes().iter().enumerate().rev() {
        if node.outputs.iter().flatten().any(|o| needed[o.index()]) {
            nodes[index] = true;
            node.inputs.iter().flatten().for_each(|i| needed[i.index()] = true);
        }
    }
    (nodes, needed)
}
