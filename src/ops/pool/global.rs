//! GlobalMaxPool, GlobalAveragePool and GlobalLpPool: one value for each channel, which is a reduction.

use super::{Pool, Pooling};
use crate::error::Result;
use crate::graph::{Fact, Gradient, Io, Node, Op, ValueId, Writer, required};
use crate::kernel::Offers;
use crate::ops::conv::SlidingWindow;
use crate::ops::reduce::{Reduction, reduce};
use crate::tensor::{Tensor, TensorType};
use std::sync::Arc;

/// A pooling whose window is the whole plane.
#[derive(Clone, Debug, PartialEq)]
pub struct GlobalPool {
    /// What the values become.
    pub pooling: Pooling,
}

/// A GlobalMaxPool.
pub fn global_max_pool() -> Arc<dyn Op> {
    Arc::new(GlobalPool { pooling: Pooling::Max { column_major: false } })
}

/// A GlobalAveragePool.
pub fn global_average_pool() -> Arc<dyn Op> {
    Arc::new(GlobalPool { pooling: Pooling::Average { count_include_pad: false } })
}

/// A GlobalLpPool.
pub fn global_lp_pool(p: i64) -> Arc<dyn Op> {
    Arc::new(GlobalPool { pooling: Pooling::Lp { p } })
}

impl GlobalPool {
    /// This operator as a pooling over a window of known extents.
    fn windowed(&self, x: &TensorType) -> Pool {
        let kernel_shape = x.shape.iter().skip(2).map(|d| *d as i64).collect();
        Pool { pooling: self.pooling, window: SlidingWindow { kernel_shape, ..SlidingWindow::default() }, ceil_mode: false }
    }
}

impl Op for GlobalPool {
    fn name(&self) -> &'static str {
        match self.pooling {
            Pooling::Max { .. } => "GlobalMaxPool",
            Pooling::Average { .. } => "GlobalAveragePool",
            Pooling::Lp { .. } => "GlobalLpPool",
        }
    }

    crate::attributes!(pooling);

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let mut facts = self.windowed(&required(self.name(), inputs, 0)?.ty).infer(inputs)?;
        facts.truncate(1);
        Ok(facts)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let mut outputs = self.windowed(required(self.name(), inputs, 0)?.ty()).reference(inputs)?;
        outputs.truncate(1);
        Ok(outputs)
    }

    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        self.windowed(&io.input(0)?.ty).lower(io, offers)
    }

    fn expand(&self, node: &Node, inputs: &[Option<&Fact>], writer: &mut Writer) -> Result<Option<Vec<ValueId>>> {
        let x = required(self.name(), inputs, 0)?;
        let reduction = match self.pooling {
            Pooling::Max { .. } if x.dtype().is_float() => Reduction::Max,
            Pooling::Average { .. } => Reduction::Mean,
            Pooling::Lp { p: 1 } => Reduction::L1,
            Pooling::Lp { p: 2 } => Reduction::L2,
            _ => return Ok(None),
        };
        self.infer(inputs)?;
        let axes = (2..x.shape().rank() as i64).collect();
        Ok(Some(vec![writer.apply(reduce(reduction, Some(axes), true, false), &[node.needed(0)?])?]))
    }

    fn gradient(&self, node: &Node, upstream: &[Option<ValueId>], wanted: &[bool], writer: &mut Writer) -> Result<Gradient> {
        let pool = self.windowed(&writer.fact(node.needed(0)?)?.ty);
        pool.gradient(node, upstream, wanted, writer)
    }
}
