//! Normalizations that are a few reductions and elementwise nodes.

use super::super::compose::Compose;
use super::super::elementwise::select;
use super::super::reduce::{Reduction, reduce};
use super::super::shared::around;
use crate::error::{Error, Result};
use crate::graph::{Fact, Node, Op, ValueId, Writer, required};
use crate::tensor::{Tensor, View};
use std::sync::Arc;

/// The ONNX operator LpNormalization: `x / norm(x)` along one axis, 0 where the norm is 0.
#[derive(Clone, Debug)]
pub struct LpNormalization {
    /// The axis; negative counts from the end.
    pub axis: i64,
    /// The order of the norm, 1 or 2.
    pub p: i64,
}

/// The ONNX operator LpNormalization.
///
/// # Errors
/// [`InvalidModel`](crate::ErrorKind::InvalidModel) when `p` is neither 1 nor 2.
pub fn lp_normalization(axis: i64, p: i64) -> Result<Arc<dyn Op>> {
    if p != 1 && p != 2 {
        return Err(Error::invalid_model(format!("LpNormalization takes p of 1 or 2, found {p}")));
    }
    Ok(Arc::new(LpNormalization { axis, p }))
}

/// The ONNX operator MeanVarianceNormalization: `(x - mean) / (standard deviation + 1e-9)` over some axes.
#[derive(Clone, Debug)]
pub struct MeanVarianceNormalization {
    /// The axes; negative ones count from the end.
    pub axes: Vec<i64>,
}

/// The ONNX operator MeanVarianceNormalization.
pub fn mean_variance_normalization(axes: Vec<i64>) -> Arc<dyn Op> {
    Arc::new(MeanVarianceNormalization { axes })
}

fn float_like(name: &'static str, inputs: &[Option<&Fact>]) -> Result<Fact> {
    let x = required(name, inputs, 0)?;
    if !x.dtype().is_float() {
        return Err(Error::invalid_model(format!("{name} takes floats, found {}", x.dtype())));
    }
    Ok(Fact::new(x.dtype(), x.shape().clone()))
}

impl Op for LpNormalization {
    fn name(&self) -> &'static str {
        "LpNormalization"
    }

    crate::attributes!(axis, p);

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let fact = float_like(self.name(), inputs)?;
        fact.shape().axis(self.axis)?;
        Ok(vec![fact])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let x = required(self.name(), inputs, 0)?;
        let (outer, length, inner) = around(x.shape(), x.shape().axis(self.axis)?);
        let data = x.to_f64();
        let mut out = vec![0f64; data.len()];
        for row in 0..outer * inner {
            let at = |k: usize| ((row / inner) * length + k) * inner + row % inner;
            let norm = if self.p == 1 {
                (0..length).map(|k| data[at(k)].abs()).sum::<f64>()
            } else {
                (0..length).map(|k| data[at(k)] * data[at(k)]).sum::<f64>().sqrt()
            };
            (0..length).for_each(|k| out[at(k)] = if norm == 0.0 { 0.0 } else { data[at(k)] / norm });
        }
        Ok(vec![Tensor::from_f64(x.ty().clone(), &out)?])
    }

    fn expand(&self, node: &Node, inputs: &[Option<&Fact>], writer: &mut Writer) -> Result<Option<Vec<ValueId>>> {
        let (fact, x) = (required(self.name(), inputs, 0)?, node.needed(0)?);
        let norm = if self.p == 1 { Reduction::L1 } else { Reduction::L2 };
        let norm = writer.apply(reduce(norm, Some(vec![self.axis]), true, false), &[x])?;
        let zero = writer.number(fact.dtype(), 0.0)?;
        let vanishes = writer.function("Equal", &[norm, zero])?;
        // Nothing is divided by 0, so that gradients are 0 there too.
        let one = writer.number(fact.dtype(), 1.0)?;
        let divisor = writer.apply(select()?, &[vanishes, one, norm])?;
        let divided = writer.function("Div", &[x, divisor])?;
        Ok(Some(vec![writer.apply(select()?, &[vanishes, zero, divided])?]))
    }
}

/// Added to the standard deviation (the operator's function body in the ONNX specification).
const MVN_EPSILON: f64 = 1e-9;

impl Op for MeanVarianceNormalization {
    fn name(&self) -> &'static str {
        "MeanVarianceNormalization"
    }

    crate::attributes!(axes);

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let fact = float_like(self.name(), inputs)?;
        for axis in &self.axes {
            fact.shape().axis(*axis)?;
        }
        Ok(vec![fact])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let x = required(self.name(), inputs, 0)?;
        let reduced = self.axes.iter().map(|a| x.shape().axis(*a)).collect::<Result<Vec<_>>>()?;
        let mut order: Vec<usize> = (0..x.shape().rank()).filter(|a| !reduced.contains(a)).collect();
        let kept = order.len();
        order.extend((0..x.shape().rank()).filter(|a| reduced.contains(a)));
        let view = View::contiguous(x.shape()).transpose(&order);
        let count = view.shape.product(kept..order.len());
        let positions: Vec<usize> = view.positions().collect();
        let data = x.to_f64();
        let mut out = vec![0f64; data.len()];
        for set in positions.chunks(count.max(1)) {
            let mean = set.iter().map(|k| data[*k]).sum::<f64>() / count as f64;
            let variance = set.iter().map(|k| (data[*k] - mean).powi(2)).sum::<f64>() / count as f64;
            set.iter().for_each(|k| out[*k] = (data[*k] - mean) / (variance.sqrt() + MVN_EPSILON));
        }
        Ok(vec![Tensor::from_f64(x.ty().clone(), &out)?])
    }

    fn expand(&self, node: &Node, inputs: &[Option<&Fact>], writer: &mut Writer) -> Result<Option<Vec<ValueId>>> {
        let (fact, x) = (required(self.name(), inputs, 0)?, node.needed(0)?);
        // No axes at all would mean every axis to a reduction, and none to this operator.
        if self.axes.is_empty() {
            return Ok(None);
        }
        let mean = || reduce(Reduction::Mean, Some(self.axes.clone()), true, false);
        let average = writer.apply(mean(), &[x])?;
        let centered = writer.function("Sub", &[x, average])?;
        let square = writer.function("Mul", &[centered, centered])?;
        let variance = writer.apply(mean(), &[square])?;
        let deviation = writer.function("Sqrt", &[variance])?;
        let epsilon = writer.number(fact.dtype(), MVN_EPSILON)?;
        let divisor = writer.function("Add", &[deviation, epsilon])?;
        Ok(Some(vec![writer.function("Div", &[centered, divisor])?]))
    }
}
