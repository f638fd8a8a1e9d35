//! One node by itself, as a graph.

use crate::error::{ErrorKind, Result};
use crate::graph::{Dim, Fact, Graph, Node, Op, Writer};
use crate::tensor::Tensor;
use std::sync::Arc;

/// A graph of one node. Floats that shapes depend on are constants of it.
#[derive(Clone, Debug)]
pub struct Single {
    /// The graph.
    pub graph: Graph,
    /// What its inputs are.
    pub inputs: Vec<Tensor>,
    /// Which of them are floats.
    pub subjects: Vec<usize>,
}

impl Single {
    /// The graph of an operator between these inputs, `None` for those left out, and the outputs that are used. Inputs of `fixed` are constants.
    ///
    /// # Errors
    /// What the operator reports.
    pub fn new(op: &Arc<dyn Op>, inputs: &[Option<Tensor>], outputs: &[bool], fixed: &[usize]) -> Result<Self> {
        let known = needed(op, inputs, fixed.to_vec())?;
        let mut writer = Writer::new("node");
        let (mut given, mut subjects, mut ids) = (Vec::new(), Vec::new(), Vec::new());
        for (k, input) in inputs.iter().enumerate() {
            ids.push(input.as_ref().map(|tensor| {
                if known.contains(&k) {
                    return writer.constant(&format!("x{k}"), tensor.clone());
                }
                if tensor.dtype().is_float() {
                    subjects.push(given.len());
                }
                given.push(tensor.clone());
                let dims = tensor.shape().iter().map(|extent| Dim::Known(*extent)).collect();
                writer.declare(&format!("x{k}"), tensor.dtype(), Some(dims))
            }));
        }
        let results: Vec<_> =
            outputs.iter().enumerate().map(|(k, used)| used.then(|| writer.value(&format!("y{k}"), None))).collect();
        writer.push(Node::new("node", op.clone(), ids, results.clone()));
        for (k, result) in results.iter().enumerate() {
            if let Some(result) = result {
                writer.output(&format!("y{k}"), *result)?;
            }
        }
        Ok(Single { graph: writer.finish()?, inputs: given, subjects })
    }
}

/// The inputs of floats that are fixed, or that shapes depend on.
fn needed(op: &Arc<dyn Op>, inputs: &[Option<Tensor>], fixed: Vec<usize>) -> Result<Vec<usize>> {
    let mut known = fixed;
    loop {
        let fact = |(k, input): (usize, &Option<Tensor>)| {
            let tensor = input.as_ref()?;
            let open = tensor.dtype().is_float() && !known.contains(&k);
            Some(if open { Fact::new(tensor.dtype(), tensor.shape().clone()) } else { Fact::of(tensor.clone()) })
        };
        let facts: Vec<Option<Fact>> = inputs.iter().enumerate().map(fact).collect();
        let facts: Vec<Option<&Fact>> = facts.iter().map(Option::as_ref).collect();
        match op.infer(&facts) {
            Ok(_) => return Ok(known),
            Err(error) => match error.kind() {
                ErrorKind::NeedsValue(k) if !known.contains(&k) => known.push(k),
                _ => return Err(error),
            },
        }
    }
}
