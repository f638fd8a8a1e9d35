//! One application of an operator.

use super::{Op, ValueId};
use crate::error::{Error, Result};
use std::sync::Arc;

/// One application of an operator.
#[derive(Clone, Debug)]
pub struct Node {
    /// Operator and name, for messages.
    pub path: String,
    /// What it does.
    pub op: Arc<dyn Op>,
    /// Its arguments; `None` where an optional one is left out.
    pub inputs: Vec<Option<ValueId>>,
    /// Its results; `None` where nobody wants one.
    pub outputs: Vec<Option<ValueId>>,
}

impl Node {
    /// A node whose path is `Operator:name`.
    pub fn new(name: &str, op: Arc<dyn Op>, inputs: Vec<Option<ValueId>>, outputs: Vec<Option<ValueId>>) -> Self {
        Node { path: format!("{}:{name}", op.name()), op, inputs, outputs }
    }

    /// The name in its path, without the operator.
    pub fn name(&self) -> &str {
        self.path.split_once(':').map_or(self.path.as_str(), |(_, name)| name)
    }

    /// Input `index`, unless it is left out.
    pub fn input(&self, index: usize) -> Option<ValueId> {
        self.inputs.get(index).copied().flatten()
    }

    /// Input `index` of a node that cannot do without it, as its `infer` found.
    ///
    /// # Errors
    /// [`Internal`](crate::ErrorKind::Internal) when it is left out.
    pub fn needed(&self, index: usize) -> Result<ValueId> {
        self.input(index).ok_or_else(|| Error::internal(format!("input {index} has a type and no value")))
    }

    /// The one output of a node that has no other.
    pub fn only_output(&self) -> Option<ValueId> {
        match self.outputs.as_slice() {
            [output] => *output,
            _ => None,
        }
    }
}
