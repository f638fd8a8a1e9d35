//! MaxPool, AveragePool and LpPool: one value for each position of a sliding window.

mod global;
mod gradient;
mod lower;
mod reference;
mod rows;
mod software;
mod window_sum;

use super::Registration;
use super::conv::{SlidingWindow, WindowAxis};
use crate::error::{Error, Result};
use crate::graph::{Fact, Gradient, Io, Node, Op, ValueId, Writer, required};
use crate::kernel::Offers;
use crate::tensor::{DType, Tensor, TensorType};
use std::sync::Arc;

pub use global::{GlobalPool, global_average_pool, global_lp_pool, global_max_pool};
pub use window_sum::{WindowSum, sum_of_windows};

pub(super) static REGISTRATION: Registration = Registration {
    operators: &["MaxPool", "AveragePool", "LpPool", "GlobalMaxPool", "GlobalAveragePool", "GlobalLpPool", window_sum::NAME],
    shaders: &[&lower::SHADER, &rows::SHADER, &window_sum::WINDOW_SUM, &window_sum::WINDOW_SUM_CELLS],
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

crate::attributes!(enum Pooling { Max { column_major }, Average { count_include_pad }, Lp { p } });

/// A pooling operator over any number of spatial axes.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool {
    /// What the values become.
    pub pooling: Pooling,
    /// The sliding window.
    pub window: SlidingWindow,
    /// A last window that is only partly inside counts too.
    pub ceil_mode: bool,
}

/// A MaxPool; `column_major` is its `storage_order`.
pub fn max_pool(window: SlidingWindow, ceil_mode: bool, column_major: bool) -> Arc<dyn Op> {
    Arc::new(Pool { pooling: Pooling::Max { column_major }, window, ceil_mode })
}

/// An AveragePool.
pub fn average_pool(window: SlidingWindow, ceil_mode: bool, count_include_pad: bool) -> Arc<dyn Op> {
    Arc::new(Pool { pooling: Pooling::Average { count_include_pad }, window, ceil_mode })
}

/// An LpPool.
pub fn lp_pool(window: SlidingWindow, ceil_mode: bool, p: i64) -> Arc<dyn Op> {
    Arc::new(Pool { pooling: Pooling::Lp { p }, window, ceil_mode })
}

/// A pooling with its attributes resolved against a shape.
#[derive(Clone, Debug, PartialEq)]
struct PoolShape {
    pooling: Pooling,
    /// Batches times channels.
    planes: usize,
    axes: Vec<WindowAxis>,
    output: TensorType,
}

impl Pool {
    fn resolve(&self, x: &TensorType) -> Result<PoolShape> {
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
        Ok(PoolShape { pooling: self.pooling, planes: x.shape[0] * x.shape[1], axes, output: TensorType::new(x.dtype, dims) })
    }
}

impl Pool {
    /// Where the maxima of a node stand, which that node says from now on, unless it counts positions in another order.
    fn row_major_indices(&self, node: &Node, writer: &mut Writer) -> Result<ValueId> {
        let values = node.outputs.first().copied().flatten();
        let plain = matches!(self.pooling, Pooling::Max { column_major: false });
        let maker = values.filter(|_| plain).and_then(|values| writer.producer(values));
        if let Some((maker, values)) = maker.zip(values) {
            let pool = self.resolve(&writer.fact(node.needed(0)?)?.ty)?;
            let last = (writer.fact(node.needed(0)?)?.ty.elements() as i128 - 1).max(0);
            let fact = Fact::new(DType::I64, pool.output.shape).bounded(Some((0, last)));
            let indices = writer.value(&format!("{}.indices", node.name()), Some(fact));
            writer.replace(maker, Node { outputs: vec![Some(values), Some(indices)], ..node.clone() });
            return Ok(indices);
        }
        let rows = Pool { pooling: Pooling::Max { column_major: false }, ..self.clone() };
        let made = writer.apply_all(Arc::new(rows), &[node.input(0)], 2)?;
        made.get(1).copied().ok_or_else(|| Error::internal("a MaxPool without indices"))
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

    crate::attributes!(pooling, window, ceil_mode);

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let x = required(self.name(), inputs, 0)?;
        let pool = self.resolve(&x.ty)?;
        let mut facts = vec![Fact::new(x.dtype(), pool.output.shape.clone()).bounded(x.bounds)];
        if matches!(self.pooling, Pooling::Max { .. }) {
            let last = (x.ty.elements() as i128 - 1).max(0);
            facts.push(Fact::new(DType::I64, pool.output.shape).bounded(Some((0, last))));
        }
        Ok(facts)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let x = required(self.name(), inputs, 0)?;
        let pool = self.resolve(x.ty())?;
        let (values, indices) = reference::pool(&pool, &x.to_f64());
        let mut outputs = vec![Tensor::from_f64(pool.output.clone(), &values)?];
        if matches!(self.pooling, Pooling::Max { .. }) {
            outputs.push(Tensor::from_i128(TensorType::new(DType::I64, pool.output.shape), &indices)?);
        }
        Ok(outputs)
    }

    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        let (pool, caps) = (self.resolve(&io.input(0)?.ty)?, offers.caps());
        if lower::positions_are_read(io) {
            offers.only("indices", || lower::lower(&pool, io, caps));
            return Ok(());
        }
        let rows = software::offer(&pool, io, offers).unwrap_or(0);
        offers.add("rows", rows, || rows::lower(&pool, io, caps));
        offers.add("direct", 1, || lower::lower(&pool, io, caps));
        Ok(())
    }

    fn gradient(&self, node: &Node, upstream: &[Option<ValueId>], _: &[bool], writer: &mut Writer) -> Result<Gradient> {
        let Some(worth) = upstream.first().copied().flatten() else { return Ok(Gradient::Zero) };
        let x = &writer.fact(node.needed(0)?)?.ty;
        let pool = self.resolve(x)?;
        if x.elements() == 0 || pool.output.elements() == 0 {
            return Ok(Gradient::Zero);
        }
        let found = match self.pooling {
            Pooling::Max { column_major } => {
                let indices = node.outputs.get(1).copied().flatten().filter(|_| !column_major);
                let indices = match indices {
                    Some(indices) => indices,
                    None => self.row_major_indices(node, writer)?,
                };
                pool.maximum_gradient(worth, indices, writer)?
            }
            Pooling::Average { count_include_pad } => pool.mean_gradient(worth, count_include_pad, writer)?,
            Pooling::Lp { p } => pool.norm_gradient(p, node, worth, writer)?,
        };
        Ok(Gradient::Inputs(vec![Some(found)]))
    }

    fn takes_epilogue(&self) -> bool {
        true
    }
}
