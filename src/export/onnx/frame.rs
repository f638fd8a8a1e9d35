//! One graph of the file that is being written: what its values are called and known to be, and what stands in it so far.

use super::proto::{self, ValueType, value_info};
use super::wire::Message;
use crate::graph::{Dim, Fact, Form, Graph, ValueId};
use crate::tensor::Tensor;

/// A graph that is being written.
#[derive(Debug)]
pub(super) struct Frame<'g> {
    pub(super) graph: &'g Graph,
    /// Names by value.
    names: Vec<String>,
    /// What is known of each value.
    pub(super) facts: Vec<Option<Fact>>,
    /// Whether extents that are known are those of every run.
    pub(super) closed: bool,
    /// Values that what is written reads.
    read: Vec<bool>,
    /// Fields of the graph so far: its nodes.
    pub(super) message: Message,
    /// Constants that nodes were written with.
    pub(super) constants: Vec<(String, Tensor)>,
}

impl<'g> Frame<'g> {
    /// A graph without nodes yet.
    pub(super) fn new(graph: &'g Graph, names: Vec<String>, facts: Vec<Option<Fact>>, closed: bool) -> Self {
        let read = vec![false; names.len()];
        Frame { graph, names, facts, closed, read, message: Message::default(), constants: Vec::new() }
    }

    /// What a value is called; nothing is known to read it.
    pub(super) fn name(&self, id: ValueId) -> &str {
        &self.names[id.index()]
    }

    /// What a value is called where it is read.
    pub(super) fn read(&mut self, id: ValueId) -> String {
        self.read[id.index()] = true;
        self.names[id.index()].clone()
    }

    /// Whether what is written reads a value.
    pub(super) fn is_read(&self, id: ValueId) -> bool {
        self.read[id.index()]
    }

    /// What may be said of the type of a value.
    pub(super) fn ty(&self, id: ValueId) -> Option<ValueType> {
        let fact = self.facts[id.index()].as_ref()?;
        let dims = self.closed.then(|| fact.shape().iter().map(|extent| Dim::Known(*extent)).collect());
        Some(ValueType { form: Form::Tensor, dtype: fact.dtype(), dims })
    }

    /// Writes types of what nodes make, and contents of what they read. `apart` says which values have types of their own.
    pub(super) fn close(&mut self, apart: impl Fn(ValueId) -> bool) {
        for id in self.graph.nodes().iter().flat_map(|node| node.outputs.iter().flatten()) {
            if let Some(ty) = self.ty(*id).filter(|_| !apart(*id)) {
                self.message.message(proto::graph::VALUE_INFO, &value_info(&self.names[id.index()], Some(&ty)));
            }
        }
        for (index, value) in self.graph.values().iter().enumerate() {
            if let Some(tensor) = value.constant.as_ref().filter(|_| self.read[index]) {
                proto::put_tensor(&mut self.message, proto::graph::INITIALIZER, &self.names[index], tensor);
            }
        }
        for (name, tensor) in &self.constants {
            proto::put_tensor(&mut self.message, proto::graph::INITIALIZER, name, tensor);
        }
    }
}
