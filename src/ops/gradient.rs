//! Gradient: how values change with others. It stands in a graph until the pass `gradients` writes what it is.

use super::Registration;
use crate::error::{Error, Result};
use crate::graph::{Fact, Op, required};
use crate::tensor::Tensor;
use std::sync::Arc;

/// The operator of this file.
pub static REGISTRATION: Registration = Registration { operators: &[NAME], shaders: &[] };

const NAME: &str = "Gradient";

/// The gradients of values with respect to others: sums, over all elements of the values, of what their change is worth times how they
/// change with each element of the others.
///
/// Inputs: the values, as many as `values`; what a change of each is worth, of the shape of the value, which may be left out for a scalar,
/// where it is 1; then what the gradients are with respect to, floats. Outputs: a gradient for each of these.
#[derive(Clone, Debug, PartialEq)]
pub struct Gradient {
    /// How many values there are.
    pub values: usize,
    /// Whether it is wrong that none of the values changes with one of the others; its gradient is zero otherwise.
    pub complete: bool,
}

/// The gradients of so many values, see [`Gradient`].
pub fn gradient(values: usize) -> Arc<dyn Op> {
    Arc::new(Gradient { values, complete: false })
}

/// The gradients of so many values with respect to others, with each of which some of them must change.
pub fn complete_gradient(values: usize) -> Arc<dyn Op> {
    Arc::new(Gradient { values, complete: true })
}

impl Op for Gradient {
    fn name(&self) -> &'static str {
        NAME
    }

    crate::attributes!(values, complete);

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let mut outputs = Vec::new();
        for k in 0..self.values {
            let value = required(NAME, inputs, k)?;
            match inputs.get(self.values + k).copied().flatten() {
                Some(worth) if worth.ty != value.ty => {
                    return Err(Error::invalid_model(format!("value {k} is {}, what it is worth {}", value.ty, worth.ty)));
                }
                None if value.ty.elements() != 1 => {
                    return Err(Error::invalid_model(format!(
                        "value {k} is {}, which is no scalar: say what it is worth",
                        value.ty
                    )));
                }
                _ => {}
            }
        }
        for k in 2 * self.values..inputs.len() {
            let input = required(NAME, inputs, k)?;
            if !input.dtype().is_float() {
                return Err(Error::invalid_model(format!("nothing changes smoothly with input {k}, which is {}", input.ty)));
            }
            outputs.push(Fact::new(input.dtype(), input.shape().clone()));
        }
        Ok(outputs)
    }

    fn reference(&self, _: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        Err(Error::internal("a gradient that was not written"))
    }
}
