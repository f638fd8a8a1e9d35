//! The tensors that a run has while a plan is carried out.

use crate::error::{Error, Result};
use crate::graph::{Graph, Node, ValueId};
use crate::session::data::held::Held;
use crate::tensor::{Tensor, TensorView};
use std::collections::HashMap;

/// Values of a graph: what the run was given, and what was downloaded or computed since.
pub(crate) struct Values<'g, 'a> {
    graph: &'g Graph,
    held: HashMap<ValueId, Held<'a>>,
}

impl<'g, 'a> Values<'g, 'a> {
    pub(crate) fn new(graph: &'g Graph, given: impl Iterator<Item = (ValueId, Held<'a>)>) -> Self {
        Values { graph, held: given.collect() }
    }

    pub(crate) fn insert(&mut self, value: ValueId, held: Held<'a>) {
        self.held.insert(value, held);
    }

    /// A value that was given or made; a constant of the graph is none.
    pub(crate) fn get(&self, value: ValueId) -> Option<&Held<'a>> {
        self.held.get(&value)
    }

    /// As [`get`](Values::get), to change.
    pub(crate) fn get_mut(&mut self, value: ValueId) -> Option<&mut Held<'a>> {
        self.held.get_mut(&value)
    }

    fn missing(&self, value: ValueId) -> Error {
        Error::internal(format!("the host does not hold `{}`", self.graph.value(value).name))
    }

    /// A value, given, made or constant.
    pub(crate) fn held(&self, value: ValueId) -> Result<Held<'a>> {
        let constant = || self.graph.constant(value).cloned().map(Held::host);
        self.get(value).cloned().or_else(constant).ok_or_else(|| self.missing(value))
    }

    /// A value on the host, to read.
    pub(crate) fn view(&self, value: ValueId) -> Result<TensorView<'_>> {
        let held = self.get(value).and_then(Held::on_host);
        held.or_else(|| self.graph.constant(value).map(Tensor::view)).ok_or_else(|| self.missing(value))
    }

    /// Does a node, whose inputs are on the host, by its reference.
    pub(crate) fn compute(&mut self, node: &Node) -> Result<()> {
        let tensor = |id: ValueId| self.view(id).map(|view| self.graph.constant(id).cloned().unwrap_or_else(|| view.to_tensor()));
        let inputs = node.inputs.iter().map(|id| id.map(tensor).transpose()).collect::<Result<Vec<_>>>()?;
        let inputs: Vec<Option<&Tensor>> = inputs.iter().map(Option::as_ref).collect();
        let outputs = node.op.reference(&inputs).map_err(|e| e.at(&node.path))?;
        let wanted = node.outputs.iter().zip(outputs).filter_map(|(id, tensor)| Some(((*id)?, Held::host(tensor))));
        self.held.extend(wanted);
        Ok(())
    }
}
