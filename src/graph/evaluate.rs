//! Running a graph through the references, node by node: the CPU device, and what a GPU run is validated against.

use super::{Fact, Graph, MAX_TURNS, Node, Structure};
use crate::error::{Error, Result};
use crate::tensor::Tensor;

/// The values of a graph of tensors for given inputs (in the order of [`Graph::inputs`]), by value index; `None` where a value was not
/// needed, or is no tensor. Data-dependent shapes need nothing special here: every node sees real tensors.
///
/// # Errors
/// What the operators report, with the node's path.
pub fn evaluate(graph: &Graph, inputs: &[Tensor]) -> Result<Vec<Option<Tensor>>> {
    let inputs: Vec<Structure<Tensor>> = inputs.iter().cloned().map(Structure::Tensor).collect();
    let values = evaluate_structures(graph, &inputs, MAX_TURNS)?;
    let tensor = |value| if let Structure::Tensor(tensor) = value { Some(tensor) } else { None };
    Ok(values.into_iter().map(tensor).collect())
}

/// The values of a graph for given inputs, by value index; absent where a value was not needed, or is an optional that holds nothing.
/// Loops end with an error after `turns`.
///
/// # Errors
/// What the operators report, with the node's path.
pub fn evaluate_structures(graph: &Graph, inputs: &[Structure<Tensor>], turns: u64) -> Result<Vec<Structure<Tensor>>> {
    let constant = |tensor: &Option<Tensor>| tensor.clone().map_or(Structure::Absent, Structure::Tensor);
    let mut values: Vec<Structure<Tensor>> = graph.values.iter().map(|value| constant(&value.constant)).collect();
    let mut made: Vec<bool> = graph.values.iter().map(|value| value.constant.is_some()).collect();
    for (input, structure) in graph.inputs.iter().zip(inputs) {
        values[input.value.0] = structure.clone();
        made[input.value.0] = true;
    }
    for node in &graph.nodes {
        let results = compute(node, &values, turns).map_err(|e| e.at(&node.path))?;
        for (output, result) in node.outputs.iter().zip(results) {
            if let Some(id) = output {
                values[id.0] = result;
                made[id.0] = true;
            }
        }
    }
    match graph.outputs.iter().find(|o| !made[o.0]) {
        Some(o) => Err(Error::internal(format!("output `{}` was not computed", graph.value(*o).name))),
        None => Ok(values),
    }
}

/// The outputs of one node.
fn compute(node: &Node, values: &[Structure<Tensor>], turns: u64) -> Result<Vec<Structure<Tensor>>> {
    if let Some(flow) = node.op.flow() {
        let inputs = node.inputs.iter().map(|id| id.map_or(Structure::Absent, |id| values[id.0].clone()));
        return flow.evaluate(&inputs.collect::<Vec<_>>(), turns);
    }
    let argument = |id: &Option<_>| match id.map(|id: super::ValueId| &values[id.0]) {
        None | Some(Structure::Absent) => Ok(None),
        Some(structure) => structure.tensor().map(Some),
    };
    let arguments = node.inputs.iter().map(argument).collect::<Result<Vec<Option<&Tensor>>>>()?;
    let facts: Vec<Option<Fact>> = arguments.iter().map(|t| t.map(|t| Fact::of(t.clone()))).collect();
    let facts: Vec<Option<&Fact>> = facts.iter().map(Option::as_ref).collect();
    for fact in node.op.infer(&facts)? {
        fact.ty.checked()?;
    }
    Ok(node.op.reference(&arguments)?.into_iter().map(Structure::Tensor).collect())
}
