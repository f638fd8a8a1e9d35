//! Variable: a constant whose gradient is asked for. It stands in a graph until the pass `gradients` makes it the constant.

use super::Registration;
use crate::error::Result;
use crate::graph::{Fact, Op, required};
use crate::tensor::Tensor;
use std::sync::Arc;

/// The operator of this file.
pub static REGISTRATION: Registration = Registration { operators: &[NAME], shaders: &[] };

const NAME: &str = "Variable";

/// Its input, a constant. What is made from it is not folded before its gradients are written: what was folded would not show how it depends
/// on the constant.
#[derive(Clone, Debug, PartialEq)]
pub struct Variable;

/// A constant as something that values change with, see [`Variable`].
pub fn variable() -> Arc<dyn Op> {
    Arc::new(Variable)
}

impl Op for Variable {
    fn name(&self) -> &'static str {
        NAME
    }

    crate::attributes!();

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let input = required(NAME, inputs, 0)?;
        Ok(vec![Fact::new(input.dtype(), input.shape().clone())])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        Ok(vec![required(NAME, inputs, 0)?.clone()])
    }

    fn stays_constant(&self) -> bool {
        true
    }
}
