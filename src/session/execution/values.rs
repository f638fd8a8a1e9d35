//! The tensors that the host holds while a graph runs.

use crate::error::{Error, Result};
use crate::graph::{Graph, Node, ValueId};
use crate::tensor::{Tensor, TensorView};
use std::collections::HashMap;

/// Values of a graph on the host: what the run was given, and what was downloaded or computed since.
pub(crate) struct HostValues<'a> {
    graph: &'a Graph,
    given: HashMap<ValueId, TensorView<'a>>,
    computed: HashMap<ValueId, Tensor>,
}

impl<'a> HostValues<'a> {
    pub(crate) fn new(graph: &'a Graph, given: impl Iterator<Item = (ValueId, TensorView<'a>)>) -> Self {
        HostValues { graph, given: given.collect(), computed: HashMap::new() }
    }

    pub(crate) fn insert(&mut self, value: ValueId, tensor: Tensor) {
        self.computed.insert(value, tensor);
    }

    fn known(&self, value: ValueId) -> Option<&Tensor> {
        self.computed.get(&value).or_else(|| self.graph.constant(value))
    }

    fn missing(&self, value: ValueId) -> Error {
        Error::internal(format!("the host does not hold `{}`", self.graph.value(value).name))
    }

    /// A value, to read.
    pub(crate) fn view(&self, value: ValueId) -> Result<TensorView<'_>> {
        let given = self.given.get(&value).copied();
        given.or_else(|| self.known(value).map(Tensor::view)).ok_or_else(|| self.missing(value))
    }

    /// A value, to keep.
    pub(crate) fn tensor(&self, value: ValueId) -> Result<Tensor> {
        let given = || self.given.get(&value).map(TensorView::to_tensor);
        self.known(value).cloned().or_else(given).ok_or_else(|| self.missing(value))
    }

    /// Does a node by its reference.
    pub(crate) fn compute(&mut self, node: &Node) -> Result<()> {
        let inputs = node.inputs.iter().map(|id| id.map(|id| self.tensor(id)).transpose()).collect::<Result<Vec<_>>>()?;
        let inputs: Vec<Option<&Tensor>> = inputs.iter().map(Option::as_ref).collect();
        let outputs = node.op.reference(&inputs).map_err(|e| e.at(&node.path))?;
        let wanted = node.outputs.iter().zip(outputs).filter_map(|(id, tensor)| Some(((*id)?, tensor)));
        self.computed.extend(wanted);
        Ok(())
    }

    /// The graph's outputs, in order, once all are there.
    pub(crate) fn outputs(&self) -> Result<Vec<Tensor>> {
        self.graph.outputs().iter().map(|id| self.tensor(*id)).collect()
    }
}
