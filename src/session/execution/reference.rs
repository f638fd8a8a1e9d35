//! A graph on the CPU, by the operators' references.

use crate::error::{Error, Result};
use crate::graph::{Fact, Graph, OpExt, Structure, evaluate_structures};
use crate::ops::gradient::Gradient;
use crate::ops::reduce::Reduce;
use crate::passes::{self, NORMS, Selection, Specialized, Trace};
use crate::tensor::{DType, Tensor};

/// The graph's outputs for these inputs, in order. Loops end with an error after `turns`.
///
/// Every node is computed as it stands, except normalizations that a model writes out in 16-bit floats: those are one operator, as
/// on a GPU, since their squares exceed the range of such floats.
pub(crate) fn outputs(graph: &Graph, inputs: &[Structure<Tensor>], turns: u64) -> Result<Vec<Structure<Tensor>>> {
    if let Some((graph, inputs)) = differentiated(graph, inputs)? {
        return plain_outputs(&graph, &inputs, turns);
    }
    // No fact holds an input's value, so that the specialised graph has all inputs.
    match normalized(graph, inputs) {
        Some(normalized) => plain_outputs(&normalized, inputs, turns),
        None => plain_outputs(graph, inputs, turns),
    }
}

/// The graph with its gradients written, and the inputs that it still has; `None` where it has no gradient.
fn differentiated(graph: &Graph, inputs: &[Structure<Tensor>]) -> Result<Option<(Graph, Vec<Structure<Tensor>>)>> {
    if !graph.nodes().iter().any(|node| node.op.downcast::<Gradient>().is_some()) {
        return Ok(None);
    }
    // Shapes depend on integers, and on the floats that are asked for.
    let integers = |input: &Structure<Tensor>| input.tensors().iter().all(|tensor| !tensor.dtype().is_float());
    let mut known: Vec<bool> = inputs.iter().map(integers).collect();
    let graph = loop {
        let fact = |known: bool, tensor: &Tensor| match known {
            true => Fact::of(tensor.clone()),
            false => Fact::new(tensor.dtype(), tensor.shape().clone()),
        };
        let facts: Vec<Structure<Fact>> =
            inputs.iter().zip(&known).map(|(input, known)| input.map(|tensor| fact(*known, tensor))).collect();
        let asked = match passes::specialize_structures(graph, &facts)?.0 {
            Specialized::Graph(graph) => break graph,
            Specialized::Blocked { value, .. } => graph.inputs().iter().position(|input| input.value == value),
            Specialized::Stage { .. } => None,
        };
        match asked.and_then(|index| known.get_mut(index)).filter(|known| !**known) {
            Some(known) => *known = true,
            None => return Err(Error::unsupported("gradients of a graph whose shapes depend on data")),
        }
    };
    let options = passes::Options { fuse: false, ..passes::Options::default() };
    let left = inputs.iter().zip(&known).filter(|(_, known)| !**known).map(|(input, _)| input.clone()).collect();
    Ok(Some((passes::optimize(&graph, &options)?, left)))
}

/// The graph's outputs, with every node computed as it stands.
pub(crate) fn plain_outputs(graph: &Graph, inputs: &[Structure<Tensor>], turns: u64) -> Result<Vec<Structure<Tensor>>> {
    let mut values = evaluate_structures(graph, inputs, turns)?;
    let mut output = |id: usize| {
        let again = graph.outputs().iter().filter(|o| o.index() == id).count() > 1;
        if again { values[id].clone() } else { std::mem::replace(&mut values[id], Structure::Absent) }
    };
    Ok(graph.outputs().iter().map(|id| output(id.index())).collect())
}

/// The graph with one node for each normalization; `None` where there is none in 16-bit floats, or shapes depend on data, and where an
/// input is no tensor.
fn normalized(graph: &Graph, inputs: &[Structure<Tensor>]) -> Option<Graph> {
    let inputs: Vec<&Tensor> = inputs.iter().map(|input| input.tensor().ok()).collect::<Option<_>>()?;
    let half = |dtype: DType| matches!(dtype, DType::F16 | DType::BF16);
    let constants = graph.values().iter().filter_map(|value| value.constant.as_ref());
    let halves = constants.map(Tensor::dtype).chain(inputs.iter().map(|tensor| tensor.dtype())).any(half);
    if !halves || !graph.nodes().iter().any(|node| node.op.downcast::<Reduce>().is_some()) {
        return None;
    }
    let facts: Vec<Fact> = inputs.iter().map(|tensor| Fact::new(tensor.dtype(), tensor.shape().clone())).collect();
    let Ok(Specialized::Graph(graph)) = passes::specialize(graph, &facts) else { return None };
    let without = passes::passes().filter(|name| *name != NORMS).map(String::from).collect();
    let trace = Trace::default();
    let selection = Selection { without, trace: Some(trace.clone()), ..Selection::default() };
    let graph = passes::optimize(&graph, &passes::Options { selection, ..passes::Options::default() }).ok()?;
    (!trace.take().is_empty()).then_some(graph)
}
