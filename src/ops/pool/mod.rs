//! MaxPool, AveragePool and LpPool: one value for each position of a sliding window.

mod global;
mod lower;
mod reference;

use super::Registration;
use super::conv::{Axis, Window};
use crate::error::{Error, Result};
use crate::graph::{Fact, Io, Op, required};
use crate::kernel::{Caps, Lowering};
use crate::tensor::{DType, Tensor, TensorType};
use std::sync::Arc;

pub use global::{GlobalPool, global_average_pool, global_lp_pool, global_max_pool};

pub(super) static REGISTRATION: Registration = Registration {
    operators: &["MaxPool", "AveragePool", "LpPool", "GlobalMaxPool", "GlobalAveragePool", "GlobalLpPool"],
    shaders: &[&lower::SHADER, &lower::INDICES],
};

/// What the values under the window become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// The largest, and as output 1 where it stands.
    Max {
        /// Positions count the first spatial axis fastest instead of the last.
        column_major: bool,
    },
    /// Their mean.
    Average {
        /// Padding counts as zeros instead of not at all.
        count_include_pad: bool,
    },
    /// The root `p` of the sum of their absolute values to the power `p`.
    Lp {
        /// The power, at least 1.
        p: i64,
    },
}

/// A pooling operator over any number of spatial axes.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool {
    /// What the values become.
    pub pooling: Pooling,
    /// The sliding window.
    pub window: Window,
    /// A last window that is only partly inside counts too.
    pub ceil_mode: bool,
}

/// A MaxPool; `column_major` is its `storage_order`.
pub fn max_pool(window: Window, ceil_mode: bool, column_major: bool) -> Arc<dyn Op> {
    Arc::new(Pool { pooling: Pooling::Max { column_major }, window, ceil_mode })
}

/// An AveragePool.
pub fn average_pool(window: Window, ceil_mode: bool, count_include_pad: bool) -> Arc<dyn Op> {
    Arc::new(Pool { pooling: Pooling::Average { count_include_pad }, window, ceil_mode })
}

/// An LpPool.
pub fn lp_pool(window: Window, ceil_mode: bool, p: i64) -> Arc<dyn Op> {
    Arc::new(Pool { pooling: Pooling::Lp { p }, window, ceil_mode })
}

/// A pooling with its attributes resolved against a shape.
#[derive(Clone, Debug, PartialEq)]
struct Problem {
    pooling: Pooling,
    /// Batches times channels.
    planes: usize,
    axes: Vec<Axis>,
    output: TensorType,
}

impl Pool {
    fn problem(&self, x: &TensorType) -> Result<Problem> {
        let name = self.name();
        if x.shape.rank() < 3 {
            return Err(Error::invalid_model(format!("{name} takes data of rank 3 and more, found {x}")));
        }
        let narrow = matches!(x.dtype, DType::I8 | DType::U8) && matches!(self.pooling, Pooling::Max { .. });
        if !x.dtype.is_float() && !narrow {
            return Err(Error::invalid_model(format!("{name} takes floats (MaxPool also 8-bit integers), found {x}")));
        }
        if let Pooling::Lp { p } = self.pooling
            && p < 1
        {
            return Err(Error::invalid_model(format!("p is {p}: expected at least 1")));
        }
        let axes = self.window.resolve(&x.shape[2..], None, self.ceil_mode)?;
        let dims: Vec<usize> = x.shape[..2].iter().copied().chain(axes.iter().map(|a| a.output)).collect();
        Ok(Problem { pooling: self.pooling, planes: x.shape[0] * x.shape[1], axes, output: TensorType::new(x.dtype, dims) })
    }
}

impl Op for Pool {
    fn name(&self) -> &'static str {
        match self.pooling {
            Pooling::Max { .. } => "MaxPool",
            Pooling::Average { .. } => "AveragePool",
            Pooling::Lp { .. } => "LpPool",
        }
    }

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let x = required(self.name(), inputs, 0)?;
        let problem = self.problem(&x.ty)?;
        let mut facts = vec![Fact::new(x.dtype(), problem.output.shape.clone()).bounded(x.bounds)];
        if matches!(self.pooling, Pooling::Max { .. }) {
            let last = (x.ty.elements() as i128 - 1).max(0);
            facts.push(Fact::new(DType::I64, problem.output.shape).bounded(Some((0, last))));
        }
        Ok(facts)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let x = required(self.name(), inputs, 0)?;
        let problem = self.problem(x.ty())?;
        let (values, indices) = reference::pool(&problem, &x.to_f64());
        let mut outputs = vec![Tensor::from_f64(problem.output.clone(), &values)?];
        if matches!(self.pooling, Pooling::Max { .. }) {
            outputs.push(Tensor::from_i128(TensorType::new(DType::I64, problem.output.shape), &indices)?);
        }
        Ok(outputs)
    }

    fn candidates(&self, io: &Io, caps: &Caps) -> Result<Vec<Lowering>> {
        if io.outputs[0].ty.elements() == 0 {
            return Ok(vec![Lowering::empty()]);
        }
        Ok(vec![lower::lower(&self.problem(&io.input(0)?.ty)?, io, caps)?])
    }

    fn takes_epilogue(&self) -> bool {
        true
    }
}
