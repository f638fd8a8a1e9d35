//! What is known of the values of an open graph: element types and ranks, and extents where none is open.

use crate::graph::Flowing;
use crate::graph::{Dim, Fact, Form, Graph, Input, Node, OpExt};
use crate::ops::flow::arrange::Arrangement;

/// What open extents are taken to be, so that types can be inferred.
const OPEN: usize = 2;

/// The most elements of a value that is computed to know shapes.
const SMALL: usize = 1024;

/// What is known of a declared input.
pub(super) fn declared(input: &Input) -> Option<Fact> {
    let extent = |dim: &Dim| if let Dim::Known(extent) = dim { *extent } else { OPEN };
    let dims: Vec<usize> = input.dims.as_ref()?.iter().map(extent).collect();
    (input.form == Form::Tensor).then(|| Fact::new(input.dtype, dims))
}

/// Whether extents of all values follow from what the graph declares.
pub(super) fn is_closed(graph: &Graph) -> bool {
    let known = |input: &&Input| input.dims.as_ref().is_some_and(|dims| dims.iter().all(|dim| matches!(dim, Dim::Known(_))));
    graph.declared().iter().all(known)
}

/// By value, what is known of it, given what is known of the inputs.
pub(super) fn facts(graph: &Graph, given: &[Option<Fact>]) -> Vec<Option<Fact>> {
    let constant = |tensor: &crate::tensor::Tensor| Fact::of(tensor.clone());
    let mut facts: Vec<Option<Fact>> = graph.values().iter().map(|value| value.constant.as_ref().map(constant)).collect();
    for default in graph.defaults() {
        facts[default.input.value.index()] = declared(&default.input);
    }
    for (input, fact) in graph.inputs().iter().zip(given) {
        facts[input.value.index()].clone_from(fact);
    }
    for node in graph.nodes() {
        for (output, fact) in node.outputs.iter().zip(results(node, &facts)) {
            if let Some(id) = output {
                facts[id.index()] = Some(fact);
            }
        }
    }
    facts
}

/// What is known of the outputs of a node; nothing where anything stands in the way.
fn results(node: &Node, facts: &[Option<Fact>]) -> Vec<Fact> {
    if node.inputs.iter().flatten().any(|id| facts[id.index()].is_none()) {
        return Vec::new();
    }
    let inputs: Vec<Option<&Fact>> = node.inputs.iter().map(|id| id.and_then(|id| facts[id.index()].as_ref())).collect();
    if let Some(Flowing(arrangement)) = node.op.downcast::<Flowing<Arrangement>>() {
        let passes = *arrangement == Arrangement::Identity;
        return inputs.first().copied().flatten().filter(|_| passes).cloned().into_iter().collect();
    }
    let Ok(found) = node.op.infer(&inputs) else { return Vec::new() };
    let is_small = |fact: &&Fact| fact.ty.elements() <= SMALL;
    let values: Option<Vec<_>> = inputs.iter().map(|fact| fact.map_or(Some(None), |fact| fact.value.as_ref().map(Some))).collect();
    let Some(values) = values.filter(|_| found.iter().all(|fact| is_small(&fact)) && inputs.iter().flatten().all(is_small)) else {
        return found;
    };
    match node.op.reference(&values) {
        Ok(tensors) if tensors.len() == found.len() => tensors.into_iter().map(Fact::of).collect(),
        _ => found,
    }
}
