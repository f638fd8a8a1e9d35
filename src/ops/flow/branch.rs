//! If: one of two graphs, chosen by a condition.

use crate::error::{Error, Result};
use crate::graph::{Body, Flow, Flowing, Node, Op, Structure, ValueId, Writer};
use crate::ops::Registration;
use crate::tensor::Tensor;
use std::sync::Arc;

/// The operator of this file.
pub static REGISTRATION: Registration = Registration { operators: &["If"], shaders: &[] };

/// ONNX If: input 0 is the condition, the others are what the branches read. It is replaced by the nodes of the branch that is taken as
/// soon as the condition is known.
#[derive(Clone, Debug)]
pub struct If {
    /// Where the condition is true.
    pub then_branch: Body,
    /// Where it is false.
    pub else_branch: Body,
}

/// One of two graphs of as many outputs, chosen by input 0.
pub fn branch(then_branch: Body, else_branch: Body) -> Arc<dyn Op> {
    Arc::new(Flowing(If { then_branch, else_branch }))
}

impl If {
    /// Whether a condition takes the first branch.
    ///
    /// # Errors
    /// [`InvalidModel`](crate::ErrorKind::InvalidModel) where the condition is not one bool.
    pub fn takes_first(&self, condition: &Tensor) -> Result<bool> {
        super::turns::condition("If", condition)
    }

    fn taken(&self, condition: &Tensor) -> Result<&Body> {
        Ok(if self.takes_first(condition)? { &self.then_branch } else { &self.else_branch })
    }
}

impl Flow for If {
    fn name(&self) -> &'static str {
        "If"
    }

    crate::attributes!(then_branch, else_branch);

    fn with_bodies(&self, change: &mut dyn FnMut(&Body) -> Result<Body>) -> Result<Option<Arc<dyn Op>>> {
        Ok(Some(branch(change(&self.then_branch)?, change(&self.else_branch)?)))
    }

    fn evaluate(&self, inputs: &[Structure<Tensor>], turns: u64) -> Result<Vec<Structure<Tensor>>> {
        let branch = self.taken(inputs.first().unwrap_or(&Structure::Absent).tensor()?)?;
        branch.evaluate(&branch.arguments(vec![], inputs)?, turns)
    }

    fn write(&self, node: &Node, inputs: &[Structure<ValueId>], writer: &mut Writer) -> Result<Vec<Structure<ValueId>>> {
        let condition = *inputs.first().unwrap_or(&Structure::Absent).tensor()?;
        let known = writer.fact(condition)?.value.clone().ok_or_else(|| Error::needs_value(0))?;
        let branch = self.taken(&known)?;
        branch.inline(node, &branch.arguments(vec![], inputs)?, writer)
    }
}
