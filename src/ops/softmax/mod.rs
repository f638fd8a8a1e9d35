//! Softmax, LogSoftmax and Hardmax along one axis.

mod lower;
mod software;

use super::Registration;
use super::argreduce::arg_max;
use super::compose::Compose;
use super::elementwise::cast;
use super::reduce::Reduction;
use super::shared::around;
use crate::error::{Error, Result};
use crate::graph::{Fact, Gradient, Io, Node, Op, ValueId, Writer, required};
use crate::kernel::Offers;
use crate::tensor::{Shape, Tensor};
use std::sync::Arc;

pub(super) static REGISTRATION: Registration =
    Registration { operators: &["Softmax", "LogSoftmax", "Hardmax"], shaders: lower::SHADERS };

/// What is made of the values along the axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Normalization {
    /// `exp(x) / sum(exp(x))`.
    Softmax,
    /// The logarithm of that.
    LogSoftmax,
    /// 1 at the first greatest value, 0 elsewhere.
    Hardmax,
}

crate::attributes!(
    enum Normalization {
        Softmax,
        LogSoftmax,
        Hardmax,
    }
);

/// Softmax and its relatives along one axis, as since opset 13.
#[derive(Clone, Debug)]
pub struct Softmax {
    /// Which of them.
    pub normalization: Normalization,
    /// The axis; negative counts from the end.
    pub axis: i64,
}

/// The ONNX operator Softmax (opset 13 and later; the older form flattens its input to two axes first).
pub fn softmax(axis: i64) -> Arc<dyn Op> {
    Arc::new(Softmax { normalization: Normalization::Softmax, axis })
}

/// The ONNX operator LogSoftmax (opset 13 and later).
pub fn log_softmax(axis: i64) -> Arc<dyn Op> {
    Arc::new(Softmax { normalization: Normalization::LogSoftmax, axis })
}

/// The ONNX operator Hardmax (opset 13 and later).
pub fn hardmax(axis: i64) -> Arc<dyn Op> {
    Arc::new(Softmax { normalization: Normalization::Hardmax, axis })
}

impl Softmax {
    /// The axis as an index; a scalar is seen as one row of one value.
    fn around(&self, shape: &Shape) -> Result<(usize, usize, usize)> {
        if shape.rank() == 0 && (self.axis == 0 || self.axis == -1) {
            return Ok((1, 1, 1));
        }
        Ok(around(shape, shape.axis(self.axis)?))
    }
}

impl Op for Softmax {
    fn name(&self) -> &'static str {
        match self.normalization {
            Normalization::Softmax => "Softmax",
            Normalization::LogSoftmax => "LogSoftmax",
            Normalization::Hardmax => "Hardmax",
        }
    }

    crate::attributes!(normalization, axis);

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let x = required(self.name(), inputs, 0)?;
        if !x.dtype().is_float() {
            return Err(Error::invalid_model(format!("{} takes floats, found {}", self.name(), x.dtype())));
        }
        self.around(x.shape())?;
        Ok(vec![Fact::new(x.dtype(), x.shape().clone())])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let x = required(self.name(), inputs, 0)?;
        let (outer, length, inner) = self.around(x.shape())?;
        let data = x.to_f64();
        let mut out = vec![0f64; data.len()];
        for row in 0..outer * inner {
            let at = |k: usize| ((row / inner) * length + k) * inner + row % inner;
            let max = (0..length).map(|k| data[at(k)]).fold(f64::NEG_INFINITY, f64::max);
            match self.normalization {
                Normalization::Hardmax => {
                    // numpy's argmax takes a NaN for the greatest.
                    let first = (0..length).find(|k| data[at(*k)].is_nan()).or_else(|| (0..length).find(|k| data[at(*k)] == max));
                    if let Some(k) = first {
                        out[at(k)] = 1.0;
                    }
                }
                kind => {
                    let total: f64 = (0..length).map(|k| (data[at(k)] - max).exp()).sum();
                    for k in 0..length {
                        let x = data[at(k)] - max;
                        out[at(k)] = if kind == Normalization::Softmax { x.exp() / total } else { x - total.ln() };
                    }
                }
            }
        }
        Ok(vec![Tensor::from_f64(x.ty().clone(), &out)?])
    }

    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        lower::lower(self, io, offers)
    }

    /// Hardmax is 1 where an element's place along the axis is that of the greatest.
    fn expand(&self, node: &Node, inputs: &[Option<&Fact>], writer: &mut Writer) -> Result<Option<Vec<ValueId>>> {
        let fact = required(self.name(), inputs, 0)?;
        if self.normalization != Normalization::Hardmax || fact.ty.elements() == 0 || fact.shape().rank() == 0 {
            return Ok(None);
        }
        let axis = fact.shape().axis(self.axis)?;
        let mut shape = vec![1; fact.shape().rank()];
        shape[axis] = fact.shape()[axis];
        let places: Vec<i64> = (0..).take(shape[axis]).collect();
        let places = writer.tensor(Tensor::new(shape, &places)?);
        let greatest = writer.apply(arg_max(self.axis, true, false), &[node.needed(0)?])?;
        let chosen = writer.function("Equal", &[places, greatest])?;
        Ok(Some(vec![writer.apply(cast(fact.dtype())?, &[chosen])?]))
    }

    fn gradient(&self, node: &Node, upstream: &[Option<ValueId>], _: &[bool], writer: &mut Writer) -> Result<Gradient> {
        let (Some(worth), Some(y)) = (upstream.first().copied().flatten(), node.outputs.first().copied().flatten()) else {
            return Ok(Gradient::Zero);
        };
        let shape = writer.fact(y)?.shape().clone();
        let axes = if shape.rank() == 0 { vec![] } else { vec![shape.axis(self.axis)?] };
        let found = match self.normalization {
            Normalization::Hardmax => return Ok(Gradient::Zero),
            Normalization::Softmax => {
                let own = writer.function("Mul", &[worth, y])?;
                let shared = writer.reduced(Reduction::Sum, own, &axes)?;
                let less = writer.function("Sub", &[worth, shared])?;
                writer.function("Mul", &[less, y])?
            }
            Normalization::LogSoftmax => {
                let sum = writer.reduced(Reduction::Sum, worth, &axes)?;
                let part = writer.function("Exp", &[y])?;
                let shared = writer.function("Mul", &[part, sum])?;
                writer.function("Sub", &[worth, shared])?
            }
        };
        Ok(Gradient::Inputs(vec![Some(found)]))
    }

    fn takes_epilogue(&self) -> bool {
        self.normalization != Normalization::Hardmax
    }
}
