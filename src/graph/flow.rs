//! Operators on whole values: which go where, and how often. They look into no element.

use super::{Fact, Graph, Key, Node, Op, Structure, ValueId, Writer, evaluate_structures};
use crate::error::{Error, Result};
use crate::tensor::Tensor;
use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

/// The most turns of a loop, where a caller sets no other limit.
pub const MAX_TURNS: u64 = 1_000_000_000;

/// An operator on whole values: tensors, sequences, optionals, and graphs that are computed once, many times, or not at all.
pub trait Flow: Debug + Send + Sync + Any {
    /// The ONNX name.
    fn name(&self) -> &'static str;

    /// As [`Op::attributes`].
    fn attributes(&self, key: &mut Key);

    /// The meaning of the operator. An input that is left out is absent.
    ///
    /// # Errors
    /// [`InvalidModel`](crate::ErrorKind::InvalidModel) with what was expected and found;
    /// [`Limit`](crate::ErrorKind::Limit) for a loop of more turns than `turns`.
    fn evaluate(&self, inputs: &[Structure<Tensor>], turns: u64) -> Result<Vec<Structure<Tensor>>>;

    /// The operator with other graphs within it; `None` for one that has none.
    ///
    /// # Errors
    /// Those of `change`.
    fn with_bodies(&self, change: &mut dyn FnMut(&Body) -> Result<Body>) -> Result<Option<Arc<dyn Op>>> {
        let _ = change;
        Ok(None)
    }

    /// Writes the nodes that a node is, in a specialised graph, and gives the values that its outputs are: inputs, or values that
    /// are written here.
    ///
    /// # Errors
    /// [`NeedsValue`](crate::ErrorKind::NeedsValue) where an input must be known first;
    /// [`NeedsStage`](crate::ErrorKind::NeedsStage) where the operator is a stage of the run; what is wrong with the inputs.
    fn write(&self, node: &Node, inputs: &[Structure<ValueId>], writer: &mut Writer) -> Result<Vec<Structure<ValueId>>>;
}

/// An operator on whole values, as an operator.
#[derive(Debug)]
pub struct Flowing<F>(pub F);

impl<F: Flow> Op for Flowing<F> {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn attributes(&self, key: &mut Key) {
        self.0.attributes(key);
    }

    fn infer(&self, _: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        Err(Error::needs_stage())
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let input = |input: &Option<&Tensor>| input.map_or(Structure::Absent, |tensor| Structure::Tensor(tensor.clone()));
        let outputs = self.0.evaluate(&inputs.iter().map(input).collect::<Vec<_>>(), MAX_TURNS)?;
        outputs.iter().map(|output| output.tensor().cloned()).collect()
    }

    fn flow(&self) -> Option<&dyn Flow> {
        Some(&self.0)
    }
}

impl dyn Flow {
    /// The operator as a concrete type.
    pub fn downcast<F: Flow>(&self) -> Option<&F> {
        (self as &dyn Any).downcast_ref()
    }
}

/// A graph within an operator.
#[derive(Clone, Debug)]
pub struct Body {
    /// What it computes.
    pub graph: Arc<Graph>,
    /// For each of the last inputs of the graph, the input of the operator that it is: values of the graph around it. The inputs before
    /// these are the operator's to give.
    pub inputs: Vec<usize>,
}

crate::attributes!(struct Body { graph, inputs });

impl Body {
    /// How many inputs the operator gives.
    pub fn given(&self) -> usize {
        self.graph.inputs.len().saturating_sub(self.inputs.len())
    }

    /// All inputs of the graph: what the operator gives, then what it captures of the operator's inputs.
    ///
    /// # Errors
    /// [`InvalidModel`](crate::ErrorKind::InvalidModel) where it gives another number.
    pub fn arguments<T: Clone>(&self, given: Vec<Structure<T>>, inputs: &[Structure<T>]) -> Result<Vec<Structure<T>>> {
        if given.len() != self.given() {
            let (name, expected) = (&self.graph.name, self.given());
            return Err(Error::invalid_model(format!("graph `{name}` takes {expected} inputs, found {}", given.len())));
        }
        let captured = self.inputs.iter().map(|index| inputs.get(*index).cloned().unwrap_or(Structure::Absent));
        Ok(given.into_iter().chain(captured).collect())
    }

    /// The outputs of the graph for these inputs.
    ///
    /// # Errors
    /// What its operators report, with the path of the node.
    pub fn evaluate(&self, arguments: &[Structure<Tensor>], turns: u64) -> Result<Vec<Structure<Tensor>>> {
        let values = evaluate_structures(&self.graph, arguments, turns)?;
        Ok(self.graph.outputs.iter().map(|id| values[id.0].clone()).collect())
    }

    /// Writes the nodes of the graph in place of the operator, and gives the values that its outputs are.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub fn inline(&self, node: &Node, arguments: &[Structure<ValueId>], writer: &mut Writer) -> Result<Vec<Structure<ValueId>>> {
        let graph = &self.graph;
        let mut own = Vec::with_capacity(graph.values.len());
        for value in &graph.values {
            let name = format!("{}/{}", node.name(), value.name);
            own.push(match &value.constant {
                Some(tensor) => writer.constant(&name, tensor.clone()),
                None => writer.value(&name, None),
            });
        }
        for (input, argument) in graph.inputs.iter().zip(arguments) {
            writer.bind(own[input.value.0], argument.clone());
        }
        let within = |ids: &[Option<ValueId>]| -> Vec<Option<ValueId>> { ids.iter().map(|id| Some(own[(*id)?.0])).collect() };
        for node in &graph.nodes {
            let copy = Node { inputs: within(&node.inputs), outputs: within(&node.outputs), ..node.clone() };
            writer.write(copy).map_err(|error| error.at(&node.path))?;
        }
        Ok(graph.outputs.iter().map(|id| writer.structure(own[id.0])).collect())
    }
}
