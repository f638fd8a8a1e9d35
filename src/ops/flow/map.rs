//! SequenceMap: a graph that is computed for each tensor of a sequence.

use super::turns::MAX_WRITTEN;
use crate::error::{Error, Result};
use crate::graph::{Body, Flow, Flowing, Node, Op, Structure, ValueId, Writer};
use crate::ops::Registration;
use crate::tensor::Tensor;
use std::sync::Arc;

/// The operator of this file.
pub static REGISTRATION: Registration = Registration { operators: &["SequenceMap"], shaders: &[] };

/// ONNX SequenceMap: input 0 is a sequence, the others of its own are sequences of as many tensors, or tensors. The body is given a tensor
/// of each sequence and the tensors as they are; its outputs are the tensors of sequences.
#[derive(Clone, Debug)]
pub struct SequenceMap {
    /// What is computed for each tensor.
    pub body: Body,
    /// How many inputs are given to the body; others are what it captures.
    pub own: usize,
}

/// A graph for each tensor of a sequence, see [`SequenceMap`].
pub fn sequence_map(body: Body, own: usize) -> Arc<dyn Op> {
    Arc::new(Flowing(SequenceMap { body, own }))
}

impl SequenceMap {
    /// How often the body is computed.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) where sequences differ in length;
    /// [`InvalidModel`](crate::ErrorKind::InvalidModel) where input 0 is no sequence, or an input is nothing.
    pub fn length<T>(&self, inputs: &[Structure<T>]) -> Result<usize> {
        let length = inputs.first().unwrap_or(&Structure::Absent).sequence()?.len();
        for (index, input) in inputs.iter().take(self.own).enumerate() {
            match input {
                Structure::Sequence(tensors) if tensors.len() != length => {
                    return Err(Error::invalid_input(format!(
                        "input {index} of SequenceMap has {} tensors, but input 0 has {length}",
                        tensors.len()
                    )));
                }
                Structure::Absent => {
                    return Err(Error::invalid_model(format!("SequenceMap needs input {index}, which is missing")));
                }
                Structure::Sequence(_) | Structure::Tensor(_) => {}
            }
        }
        Ok(length)
    }

    /// What the body is given for tensor `index`.
    pub fn given<T: Clone>(&self, inputs: &[Structure<T>], index: usize) -> Vec<Structure<T>> {
        let own = |input: &Structure<T>| match input {
            Structure::Sequence(tensors) => tensors.get(index).cloned().map_or(Structure::Absent, Structure::Tensor),
            other => other.clone(),
        };
        inputs.iter().take(self.own).map(own).collect()
    }

    /// The outputs from those of the body, each of which is a tensor.
    ///
    /// # Errors
    /// What `compute` reports.
    fn collect<T: Clone>(
        &self,
        inputs: &[Structure<T>],
        mut compute: impl FnMut(Vec<Structure<T>>) -> Result<Vec<Structure<T>>>,
    ) -> Result<Vec<Structure<T>>> {
        let mut outputs = vec![vec![]; self.body.graph.outputs().len()];
        for index in 0..self.length(inputs)? {
            let made = compute(self.body.arguments(self.given(inputs, index), inputs)?)?;
            for (output, tensor) in outputs.iter_mut().zip(&made) {
                output.push(tensor.tensor()?.clone());
            }
        }
        Ok(outputs.into_iter().map(Structure::Sequence).collect())
    }
}

impl Flow for SequenceMap {
    fn name(&self) -> &'static str {
        "SequenceMap"
    }

    crate::attributes!(body, own);

    fn with_bodies(&self, change: &mut dyn FnMut(&Body) -> Result<Body>) -> Result<Option<Arc<dyn Op>>> {
        Ok(Some(sequence_map(change(&self.body)?, self.own)))
    }

    fn evaluate(&self, inputs: &[Structure<Tensor>], turns: u64) -> Result<Vec<Structure<Tensor>>> {
        self.collect(inputs, |arguments| self.body.evaluate(&arguments, turns))
    }

    fn write(&self, node: &Node, inputs: &[Structure<ValueId>], writer: &mut Writer) -> Result<Vec<Structure<ValueId>>> {
        let (most_turns, most_nodes) = MAX_WRITTEN;
        let (length, nodes) = (self.length(inputs)?, self.body.graph.nodes().len());
        if length as u64 > most_turns || length.saturating_mul(nodes) > most_nodes {
            return Err(Error::needs_stage());
        }
        self.collect(inputs, |arguments| self.body.inline(node, &arguments, writer))
    }
}
