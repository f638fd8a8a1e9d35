//! Checks of what a run is given: the host makes them, before anything is submitted.

use crate::error::Result;
use crate::graph::{Graph, Node, ValueId, Writer};
use crate::tensor::Tensor;
use std::borrow::Cow;
use std::collections::HashSet;

/// The most nodes between what is given and its check that the host computes for it: a change of shape, or of type.
const MOST_NODES: usize = 16;

/// The graph without the checks ([`Op::check`](crate::graph::Op::check)) of integers that are given from outside, or come from such by few nodes. What reads
/// their word finds that it holds. Beside it these nodes and checks, in an order in which they can be computed.
pub(super) fn of_inputs(graph: &Graph) -> Result<(Cow<'_, Graph>, Vec<Node>)> {
    let outputs: HashSet<ValueId> = graph.outputs().iter().copied().collect();
    let producers = graph.producers();
    let (mut computed, mut words) = (Vec::new(), Vec::new());
    for (index, node) in graph.nodes().iter().enumerate().filter(|(_, node)| node.op.check().is_some()) {
        let word = node.outputs.first().copied().flatten().filter(|word| !outputs.contains(word));
        if let Some((word, before)) = word.zip(nodes_before(graph, &producers, index)?) {
            computed.extend(before.into_iter().map(|index| graph.nodes()[index].clone()));
            words.push(word);
        }
    }
    if words.is_empty() {
        return Ok((Cow::Borrowed(graph), computed));
    }
    let mut writer = Writer::rewriting(graph);
    words.into_iter().for_each(|word| writer.fold(word, Tensor::scalar(true)));
    Ok((Cow::Owned(writer.finish()?), computed))
}

/// A check and the nodes that it needs, in their order; `None` where it needs others than few nodes on integers that are given.
fn nodes_before(graph: &Graph, producers: &[Option<usize>], check: usize) -> Result<Option<Vec<usize>>> {
    let is_state = |id: &ValueId| graph.states().iter().any(|state| state.input == *id);
    let is_given = |id: &ValueId| graph.inputs().iter().any(|input| input.value == *id) && !is_state(id);
    let (mut found, mut open) = (vec![check], vec![check]);
    while let Some(index) = open.pop() {
        for id in graph.nodes()[index].inputs.iter().flatten() {
            if graph.constant(*id).is_some() {
                continue;
            }
            let integers = !graph.fact(*id)?.dtype().is_float();
            match producers[id.index()] {
                None if integers && is_given(id) => {}
                Some(maker) if integers && found.contains(&maker) => {}
                Some(maker) if integers && found.len() <= MOST_NODES => {
                    found.push(maker);
                    open.push(maker);
                }
                _ => return Ok(None),
            }
        }
    }
    found.sort_unstable();
    Ok(Some(found))
}
