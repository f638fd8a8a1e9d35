//! Graphs written in Rust.

use super::{DefaultInput, Dim, Graph, Input, Node, Op, Value, ValueId};
use crate::error::{Error, Result};
use crate::tensor::{DType, Tensor};
use std::collections::HashSet;
use std::sync::Arc;

/// Builds a [`Graph`] node by node.
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
    graph: Graph,
    names: HashSet<String>,
}

impl Builder {
    /// An empty graph.
    pub fn new(name: impl Into<String>) -> Self {
        Builder { graph: Graph { name: name.into(), ..Graph::default() }, names: HashSet::new() }
    }

    /// A fresh value; its name is made unique by a suffix when it is taken.
    pub fn value(&mut self, name: &str, constant: Option<Tensor>) -> ValueId {
        let mut unique = if name.is_empty() { "value".to_string() } else { name.to_string() };
        let mut count = 1;
        while !self.names.insert(unique.clone()) {
            count += 1;
            unique = format!("{name}.{count}");
        }
        self.graph.values.push(Value { name: unique, constant, fact: None });
        ValueId(self.graph.values.len() - 1)
    }

    /// A declared input of known rank.
    pub fn input(&mut self, name: &str, dtype: DType, dims: &[Dim]) -> ValueId {
        self.declare(name, dtype, Some(dims.to_vec()))
    }

    /// A declared input; `dims` is `None` when its rank is open.
    pub fn declare(&mut self, name: &str, dtype: DType, dims: Option<Vec<Dim>>) -> ValueId {
        let value = self.value(name, None);
        self.graph.inputs.push(Input { value, dtype, dims });
        value
    }

    /// Declares a constant to be an input as well, at a place among all inputs: a run may give another value for it.
    ///
    /// # Errors
    /// [`InvalidModel`](crate::ErrorKind::InvalidModel) when the value is no constant.
    pub fn default_input(&mut self, value: ValueId, dims: Option<Vec<Dim>>, place: usize) -> Result<()> {
        let constant = self.graph.values.get(value.0).and_then(|v| v.constant.as_ref());
        let dtype = constant.ok_or_else(|| Error::invalid_model("only a constant can be the default of an input"))?.dtype();
        self.graph.defaults.push(DefaultInput { input: Input { value, dtype, dims }, place });
        Ok(())
    }

    /// A constant.
    pub fn constant(&mut self, name: &str, tensor: Tensor) -> ValueId {
        self.value(name, Some(tensor))
    }

    /// A node with one output, named like the node.
    pub fn node(&mut self, name: &str, op: Arc<dyn Op>, inputs: &[Option<ValueId>]) -> ValueId {
        let output = self.value(name, None);
        self.push(name, op, inputs.to_vec(), vec![Some(output)]);
        output
    }

    /// A node between values that exist already.
    pub fn push(&mut self, name: &str, op: Arc<dyn Op>, inputs: Vec<Option<ValueId>>, outputs: Vec<Option<ValueId>>) {
        let path = format!("{}:{name}", op.name());
        self.graph.nodes.push(Node { path, op, inputs, outputs });
    }

    /// Declares a value to be an output, under `name`.
    ///
    /// # Errors
    /// [`InvalidModel`](crate::ErrorKind::InvalidModel) when another value has that name.
    pub fn output(&mut self, name: &str, value: ValueId) -> Result<()> {
        let current = self.graph.values[value.0].name.clone();
        if current != name {
            if !self.names.insert(name.to_string()) {
                return Err(Error::invalid_model(format!("two values are named `{name}`")));
            }
            self.names.remove(&current);
            self.graph.values[value.0].name = name.to_string();
        }
        self.graph.outputs.push(value);
        Ok(())
    }

    /// The graph, sorted and checked.
    ///
    /// # Errors
    /// [`InvalidModel`](crate::ErrorKind::InvalidModel) for cycles, values that nothing makes, and values made twice.
    pub fn finish(self) -> Result<Graph> {
        let mut graph = self.graph;
        graph.sort()?;
        graph.verify()?;
        Ok(graph)
    }
}
