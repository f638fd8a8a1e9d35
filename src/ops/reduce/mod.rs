//! Reductions over any set of axes: ReduceSum and its nine relatives.

mod gradient;
mod lower;

pub(crate) use self::gradient::Factors;
use super::Registration;
use crate::error::{Error, Result};
use crate::graph::{Bounds, Fact, Gradient, Io, Node, Op, ValueId, Writer, required};
use crate::kernel::Offers;
use crate::tensor::{DType, Shape, Tensor, TensorType, View};
use std::sync::Arc;

pub(super) static REGISTRATION: Registration = Registration {
    operators: &[
        "ReduceSum",
        "ReduceMean",
        "ReduceMax",
        "ReduceMin",
        "ReduceProd",
        "ReduceL1",
        "ReduceL2",
        "ReduceLogSum",
        "ReduceLogSumExp",
        "ReduceSumSquare",
    ],
    shaders: lower::SHADERS,
};

/// What the values of a set become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduction {
    /// Their sum; 0 for an empty set.
    Sum,
    /// Their mean; NaN for an empty set of floats.
    Mean,
    /// The greatest; the lowest value of the dtype for an empty set.
    Max,
    /// The least; the highest value of the dtype for an empty set.
    Min,
    /// Their product; 1 for an empty set.
    Prod,
    /// The sum of their magnitudes.
    L1,
    /// The square root of the sum of their squares.
    L2,
    /// The logarithm of their sum.
    LogSum,
    /// The logarithm of the sum of their exponentials.
    LogSumExp,
    /// The sum of their squares.
    SumSquare,
}

crate::attributes!(
    enum Reduction {
        Sum,
        Mean,
        Max,
        Min,
        Prod,
        L1,
        L2,
        LogSum,
        LogSumExp,
        SumSquare,
    }
);

impl Reduction {
    /// The name of the ONNX operator.
    pub fn operator(self) -> &'static str {
        match self {
            Reduction::Sum => "ReduceSum",
            Reduction::Mean => "ReduceMean",
            Reduction::Max => "ReduceMax",
            Reduction::Min => "ReduceMin",
            Reduction::Prod => "ReduceProd",
            Reduction::L1 => "ReduceL1",
            Reduction::L2 => "ReduceL2",
            Reduction::LogSum => "ReduceLogSum",
            Reduction::LogSumExp => "ReduceLogSumExp",
            Reduction::SumSquare => "ReduceSumSquare",
        }
    }
}

/// A reduction of input 0 over the axes of the attribute, or of input 1 where that is `None`.
#[derive(Clone, Debug)]
pub struct Reduce {
    /// What the values become.
    pub reduction: Reduction,
    /// The axes, negative counting from the end; none at all means every axis (but see `noop_with_empty_axes`).
    pub axes: Option<Vec<i64>>,
    /// Reduced axes stay with extent 1.
    pub keepdims: bool,
    /// Without axes nothing is reduced: each value is a set of its own.
    pub noop_with_empty_axes: bool,
}

/// A reduction with the axes as an attribute, or (`None`) in input 1, or over all axes without either.
pub fn reduce(reduction: Reduction, axes: Option<Vec<i64>>, keepdims: bool, noop_with_empty_axes: bool) -> Arc<dyn Op> {
    Arc::new(Reduce { reduction, axes, keepdims, noop_with_empty_axes })
}

impl Reduce {
    /// For each axis of the input whether it is reduced.
    fn reduced(&self, shape: &Shape, given: Option<Vec<i64>>) -> Result<Vec<bool>> {
        let axes = self.axes.clone().or(given).unwrap_or_default();
        if axes.is_empty() {
            return Ok(vec![!self.noop_with_empty_axes; shape.rank()]);
        }
        let mut reduced = vec![false; shape.rank()];
        for axis in axes {
            // Axis 0 and -1 of a scalar are tolerated, as numpy does for the axes of a rank below one.
            if shape.rank() > 0 || !(-1..=0).contains(&axis) {
                reduced[shape.axis(axis)?] = true;
            }
        }
        Ok(reduced)
    }

    fn reduced_of(&self, inputs: &[Option<&Fact>]) -> Result<Vec<bool>> {
        let x = required(self.name(), inputs, 0)?;
        let given = match inputs.get(1).copied().flatten() {
            Some(axes) if self.axes.is_none() && axes.ty.elements() > 0 => {
                Some(axes.value.as_ref().ok_or_else(|| Error::needs_value(1))?.to_i64())
            }
            _ => None,
        };
        self.reduced(x.shape(), given)
    }

    fn shape(&self, shape: &Shape, reduced: &[bool]) -> Shape {
        let kept = |(d, r): (&usize, &bool)| if !r { Some(*d) } else { self.keepdims.then_some(1) };
        shape.iter().zip(reduced).filter_map(kept).collect::<Vec<_>>().into()
    }

    fn bounds(&self, x: &Fact, count: usize) -> Option<Bounds> {
        let (low, high) = x.bounds()?;
        let n = count as i128;
        let magnitude = low.unsigned_abs().max(high.unsigned_abs());
        let square = i128::try_from(magnitude.checked_mul(magnitude)?).ok()?;
        let magnitude = i128::try_from(magnitude).ok()?;
        let bounds = match self.reduction {
            _ if n == 0 => return None,
            Reduction::Max | Reduction::Min => (low, high),
            Reduction::Mean => (low.min(0), high.max(0)),
            Reduction::Sum => (low.checked_mul(n)?, high.checked_mul(n)?),
            Reduction::L1 => (0, magnitude.checked_mul(n)?),
            Reduction::SumSquare => (0, square.checked_mul(n)?),
            Reduction::Prod => {
                let most = magnitude.checked_pow(u32::try_from(n).ok()?)?;
                (if low < 0 { -most } else { 0 }, most)
            }
            _ => return None,
        };
        let range = x.dtype().range()?;
        (bounds.0 >= range.0 && bounds.1 <= range.1).then_some(bounds)
    }
}

/// One set of floats reduced.
fn float(reduction: Reduction, values: &[f64]) -> f64 {
    let nan = values.iter().copied().find(|x| x.is_nan());
    match reduction {
        Reduction::Sum => values.iter().sum(),
        Reduction::Mean => values.iter().sum::<f64>() / values.len() as f64,
        Reduction::Max => nan.unwrap_or_else(|| values.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
        Reduction::Min => nan.unwrap_or_else(|| values.iter().copied().fold(f64::INFINITY, f64::min)),
        Reduction::Prod => values.iter().product(),
        Reduction::L1 => values.iter().map(|x| x.abs()).sum(),
        Reduction::L2 => values.iter().map(|x| x * x).sum::<f64>().sqrt(),
        Reduction::LogSum => values.iter().sum::<f64>().ln(),
        Reduction::LogSumExp => {
            let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            // An infinite maximum is the result itself, and would make NaN of the differences.
            if max.is_infinite() { nan.unwrap_or(max) } else { max + values.iter().map(|x| (x - max).exp()).sum::<f64>().ln() }
        }
        Reduction::SumSquare => values.iter().map(|x| x * x).sum(),
    }
}

/// One set of integers or bool reduced, before wrapping to the dtype's width.
fn integer(reduction: Reduction, values: &[i128], range: Bounds) -> i128 {
    let sum = |f: fn(i128) -> i128| values.iter().fold(0i128, |a, x| a.wrapping_add(f(*x)));
    match reduction {
        Reduction::Sum => sum(|x| x),
        Reduction::Mean => sum(|x| x).checked_div(values.len() as i128).unwrap_or(0),
        Reduction::Max => values.iter().copied().max().unwrap_or(range.0),
        Reduction::Min => values.iter().copied().min().unwrap_or(range.1),
        Reduction::Prod => values.iter().fold(1i128, |a, x| a.wrapping_mul(*x)),
        Reduction::L1 => sum(i128::abs),
        Reduction::SumSquare => sum(|x| x.wrapping_mul(x)),
        Reduction::L2 | Reduction::LogSum | Reduction::LogSumExp => {
            float(reduction, &values.iter().map(|x| *x as f64).collect::<Vec<_>>()) as i128
        }
    }
}

impl Op for Reduce {
    fn name(&self) -> &'static str {
        self.reduction.operator()
    }

    crate::attributes!(reduction, axes, keepdims, noop_with_empty_axes);

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let x = required(self.name(), inputs, 0)?;
        let comparing = matches!(self.reduction, Reduction::Max | Reduction::Min);
        if x.dtype() == DType::Bool && !comparing {
            return Err(Error::invalid_model(format!("{} takes numbers, found {}", self.name(), x.dtype())));
        }
        let reduced = self.reduced_of(inputs)?;
        let count = x.shape().iter().zip(&reduced).filter(|(_, r)| **r).map(|(d, _)| *d).fold(1, usize::saturating_mul);
        Ok(vec![Fact::new(x.dtype(), self.shape(x.shape(), &reduced)).bounded(self.bounds(x, count))])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let x = required(self.name(), inputs, 0)?;
        let axes = inputs.get(1).copied().flatten().map(Tensor::to_i64);
        let reduced = self.reduced(x.shape(), axes)?;
        let ty = TensorType::new(x.dtype(), self.shape(x.shape(), &reduced));
        // Kept axes first, then the reduced ones: each set of values is a run.
        let mut order: Vec<usize> = (0..x.shape().rank()).filter(|a| !reduced[*a]).collect();
        let kept = order.len();
        order.extend((0..x.shape().rank()).filter(|a| reduced[*a]));
        let sets = x.gather(&View::contiguous(x.shape()).transpose(&order));
        let count = sets.shape().product(kept..order.len());
        let result = if x.dtype().is_float() {
            let data = sets.to_f64();
            let out: Vec<f64> = (0..ty.elements()).map(|k| float(self.reduction, &data[k * count..][..count])).collect();
            Tensor::from_f64(ty, &out)?
        } else {
            let data = sets.to_i128();
            let range = x.dtype().range().unwrap_or((0, 1));
            let out: Vec<i128> = (0..ty.elements()).map(|k| integer(self.reduction, &data[k * count..][..count], range)).collect();
            Tensor::from_i128(ty, &out)?
        };
        Ok(vec![result])
    }

    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        lower::lower(self, io, offers)
    }

    fn gradient(&self, node: &Node, upstream: &[Option<ValueId>], wanted: &[bool], writer: &mut Writer) -> Result<Gradient> {
        gradient::gradient(self, node, upstream, wanted, writer)
    }

    fn takes_epilogue(&self) -> bool {
        true
    }
}
