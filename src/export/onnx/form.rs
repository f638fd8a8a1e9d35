//! A node of a file: its operator with attributes, before it has inputs and outputs.

use super::wire::Message;
use crate::tensor::Tensor;

/// What an attribute holds.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Int(i64),
    Float(f32),
    Text(String),
    Ints(Vec<i64>),
    Floats(Vec<f32>),
    Texts(Vec<String>),
    Tensor(Tensor),
    Graph(Message),
}

/// An operator of ONNX with attributes.
#[derive(Clone, Debug)]
pub(super) struct NodeForm {
    pub(super) operator: &'static str,
    /// Empty for the default domain.
    pub(super) domain: &'static str,
    /// The operator set version from which on it is written so.
    pub(super) since: i64,
    pub(super) attributes: Vec<(&'static str, Value)>,
}

/// An operator that the oldest operator set which is written has in this form.
pub(super) fn form(operator: &'static str) -> NodeForm {
    form_since(operator, 1)
}

/// An operator that has this form from a version on.
pub(super) fn form_since(operator: &'static str, since: i64) -> NodeForm {
    NodeForm { operator, domain: "", since, attributes: Vec::new() }
}

impl NodeForm {
    fn with(mut self, name: &'static str, value: Value) -> Self {
        self.attributes.push((name, value));
        self
    }

    /// Of another domain.
    pub(super) fn domain(self, domain: &'static str) -> Self {
        NodeForm { domain, ..self }
    }

    /// An integer.
    pub(super) fn int(self, name: &'static str, value: i64) -> Self {
        self.with(name, Value::Int(value))
    }

    /// A count.
    pub(super) fn count(self, name: &'static str, value: usize) -> Self {
        self.int(name, value as i64)
    }

    /// A flag, which ONNX has as an integer.
    pub(super) fn flag(self, name: &'static str, value: bool) -> Self {
        self.int(name, value.into())
    }

    /// An integer, where there is one.
    pub(super) fn maybe(self, name: &'static str, value: Option<i64>) -> Self {
        if let Some(value) = value { self.int(name, value) } else { self }
    }

    /// A float.
    pub(super) fn float(self, name: &'static str, value: f32) -> Self {
        self.with(name, Value::Float(value))
    }

    /// A float, where there is one.
    pub(super) fn maybe_float(self, name: &'static str, value: Option<f32>) -> Self {
        if let Some(value) = value { self.float(name, value) } else { self }
    }

    /// Text.
    pub(super) fn text(self, name: &'static str, value: &str) -> Self {
        self.with(name, Value::Text(value.to_string()))
    }

    /// Integers; none say nothing.
    pub(super) fn ints(self, name: &'static str, values: &[i64]) -> Self {
        if values.is_empty() { self } else { self.with(name, Value::Ints(values.to_vec())) }
    }

    /// Floats; none say nothing.
    pub(super) fn floats(self, name: &'static str, values: Vec<f32>) -> Self {
        if values.is_empty() { self } else { self.with(name, Value::Floats(values)) }
    }

    /// Texts; none say nothing.
    pub(super) fn texts(self, name: &'static str, values: Vec<String>) -> Self {
        if values.is_empty() { self } else { self.with(name, Value::Texts(values)) }
    }

    /// A tensor.
    pub(super) fn tensor(self, name: &'static str, value: Tensor) -> Self {
        self.with(name, Value::Tensor(value))
    }

    /// A graph.
    pub(super) fn graph(self, name: &'static str, value: Message) -> Self {
        self.with(name, Value::Graph(value))
    }
}
