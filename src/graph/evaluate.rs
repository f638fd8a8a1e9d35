//! Running a graph through the references, node by node: the CPU device, and what a GPU run is validated against.

use super::{Fact, Graph};
use crate::error::{Error, Result};
use crate::tensor::Tensor;

/// The values of a graph for given inputs (in the order of [`Graph::inputs`]), by value index; `None` where a value was
/// not needed. Data-dependent shapes need nothing special here: every node sees real tensors.
///
/// # Errors
/// What the operators report, with the node's path.
pub fn evaluate(graph: &Graph, inputs: &[Tensor]) -> Result<Vec<Option<Tensor>>> {
    let mut values: Vec<Option<Tensor>> = graph.values.iter().map(|v| v.constant.clone()).collect();
    for (input, tensor) in graph.inputs.iter().zip(inputs) {
        values[input.value.0] = Some(tensor.clone());
    }
    for node in &graph.nodes {
        let arguments: Vec<Option<&Tensor>> = node.inputs.iter().map(|i| i.and_then(|id| values[id.0].as_ref())).collect();
        let facts: Vec<Option<Fact>> = arguments.iter().map(|t| t.map(|t| Fact::of(t.clone()))).collect();
        let facts: Vec<Option<&Fact>> = facts.iter().map(Option::as_ref).collect();
        let run = || {
            for fact in node.op.infer(&facts)? {
                fact.ty.checked()?;
            }
            node.op.reference(&arguments)
        };
        let results = run().map_err(|e| e.at(&node.path))?;
        for (output, result) in node.outputs.iter().zip(results) {
            if let Some(id) = output {
                values[id.0] = Some(result);
            }
        }
    }
    match graph.outputs.iter().find(|o| values[o.0].is_none()) {
        Some(o) => Err(Error::internal(format!("output `{}` was not computed", graph.value(*o).name))),
        None => Ok(values),
    }
}
