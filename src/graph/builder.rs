//! Graphs written in Rust.

use super::{Dim, Form, Graph, Node, Op, ValueId, Writer};
use crate::error::Result;
use crate::tensor::{DType, Tensor};
use std::sync::Arc;

/// Builds a [`Graph`] node by node: the plain face of a [`Writer`] whose graph has inputs of open extents.
///
/// ```
/// use gristmill::{graph::{Builder, Dim}, operators, DType, Tensor};
/// let mut b = Builder::new("double");
/// let x = b.input("x", DType::F32, &[Dim::Named("n".into())]);
/// let two = b.constant("two", Tensor::scalar(2.0f32));
/// let y = b.node("y", operators::binary("Mul")?, &[Some(x), Some(two)]);
/// b.output("y", y)?;
/// let graph = b.finish()?;
/// assert_eq!(graph.nodes().len(), 1);
/// # Ok::<(), gristmill::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Builder {
    writer: Writer,
}

impl Builder {
    /// An empty graph.
    pub fn new(name: impl Into<String>) -> Self {
        Builder { writer: Writer::new(name) }
    }

    /// A graph that goes on where another ends: its values keep their ids and names ([`Graph::find`]), its outputs and states stay.
    pub fn extending(graph: &Graph) -> Self {
        Builder { writer: Writer::rewriting(graph) }
    }

    /// A fresh value; its name is made unique by a number when it is taken.
    pub fn value(&mut self, name: &str, constant: Option<Tensor>) -> ValueId {
        match constant {
            Some(tensor) => self.writer.constant(name, tensor),
            None => self.writer.value(name, None),
        }
    }

    /// A declared input of known rank.
    pub fn input(&mut self, name: &str, dtype: DType, dims: &[Dim]) -> ValueId {
        self.declare(name, dtype, Some(dims.to_vec()))
    }

    /// A declared input; `dims` is `None` when its rank is open.
    pub fn declare(&mut self, name: &str, dtype: DType, dims: Option<Vec<Dim>>) -> ValueId {
        self.writer.declare(name, dtype, dims)
    }

    /// A declared input that may be a sequence of tensors, or left out; `dims` are the extents of its tensors.
    pub fn declare_form(&mut self, name: &str, form: Form, dtype: DType, dims: Option<Vec<Dim>>) -> ValueId {
        self.writer.declare_form(name, form, dtype, dims)
    }

    /// Declares a constant to be an input as well, at a place among all inputs: a run may give another value for it.
    ///
    /// # Errors
    /// [`InvalidModel`](crate::ErrorKind::InvalidModel) when the value is no constant.
    pub fn default_input(&mut self, value: ValueId, dims: Option<Vec<Dim>>, place: usize) -> Result<()> {
        self.writer.default_input(value, dims, place)
    }

    /// A constant.
    pub fn constant(&mut self, name: &str, tensor: Tensor) -> ValueId {
        self.writer.constant(name, tensor)
    }

    /// A node with one output, named like the node.
    pub fn node(&mut self, name: &str, op: Arc<dyn Op>, inputs: &[Option<ValueId>]) -> ValueId {
        self.writer.add(name, op, inputs)
    }

    /// A node between values that exist already.
    pub fn push(&mut self, name: &str, op: Arc<dyn Op>, inputs: Vec<Option<ValueId>>, outputs: Vec<Option<ValueId>>) {
        self.writer.push(Node::new(name, op, inputs, outputs));
    }

    /// Declares a value to be an output, under `name`.
    ///
    /// # Errors
    /// [`InvalidModel`](crate::ErrorKind::InvalidModel) when another value has that name.
    pub fn output(&mut self, name: &str, value: ValueId) -> Result<()> {
        self.writer.output(name, value)
    }

    /// Declares a state, which lasts from run to run: what it holds when a run starts, at first `initial`.
    pub fn state(&mut self, name: &str, initial: Tensor) -> ValueId {
        self.writer.state(name, initial)
    }

    /// Declares a value to be what a state holds from the end of a run on. It is an output that runs do not return; declare it to be one
    /// that they do as well, where callers want to see it.
    ///
    /// # Errors
    /// [`InvalidModel`](crate::ErrorKind::InvalidModel) when there is no such state, or it is written already.
    pub fn write_state(&mut self, name: &str, value: ValueId) -> Result<()> {
        self.writer.write_state(name, value)
    }

    /// The graph, sorted and checked.
    ///
    /// # Errors
    /// [`InvalidModel`](crate::ErrorKind::InvalidModel) for cycles, values that nothing makes, and values made twice.
    pub fn finish(self) -> Result<Graph> {
        self.writer.finish()
    }
}
