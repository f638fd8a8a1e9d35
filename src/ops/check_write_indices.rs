//! CheckWriteIndices: whether rows that are written at positions that are data have room.

use super::Registration;
use super::shared::no_scalar;
use crate::error::{Error, Result};
use crate::graph::{Fact, Io, Op, required};
use crate::kernel::{Access, Dispatch, Kernel, Lowering, Offers, Operand, params, shader, u32s};
use crate::tensor::{DType, Scalar, Tensor};
use std::sync::Arc;

params! {
    /// Parameters of `check_write_indices.wgsl`.
    struct CheckWriteIndicesParams {
        last: u32,
        count: u32,
    }
}

shader!(static CHECK_WRITE_INDICES: CheckWriteIndicesParams = "check_write_indices");

/// The operator of this file.
pub static REGISTRATION: Registration = Registration { operators: &[NAME], shaders: &[&CHECK_WRITE_INDICES] };

const NAME: &str = "CheckWriteIndices";

/// Whether at each index of input 0 there is room for rows in a cache: one bool. A run in which there is none fails, see [`Op::check`].
/// TensorScatter is made of this and of what writes.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckWriteIndices {
    /// How many rows the cache has.
    pub capacity: usize,
    /// How many are written, no more than that.
    pub length: usize,
}

/// Whether `length` rows have room in a cache of `capacity` at each index of input 0.
pub fn check_write_indices(capacity: usize, length: usize) -> Arc<dyn Op> {
    Arc::new(CheckWriteIndices { capacity, length })
}

impl CheckWriteIndices {
    /// The greatest index at which there is room.
    fn last(&self) -> usize {
        self.capacity.saturating_sub(self.length)
    }
}

impl Op for CheckWriteIndices {
    fn name(&self) -> &'static str {
        NAME
    }

    crate::attributes!(capacity, length);

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let indices = required(NAME, inputs, 0)?;
        if !matches!(indices.dtype(), DType::I32 | DType::I64) {
            return Err(Error::invalid_model(format!("{NAME} expects i32 or i64, found {}", indices.ty)));
        }
        let fits = indices.bounds.is_some_and(|(low, high)| low >= 0 && high <= self.last() as i128);
        Ok(vec![if fits { Fact::of(Tensor::scalar(true)) } else { Fact::new(DType::Bool, []) }])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let indices = required(NAME, inputs, 0)?.to_i64();
        match indices.into_iter().find(|index| !(0..=self.last() as i64).contains(index)) {
            None => Ok(vec![Tensor::scalar(true)]),
            Some(index) => Err(Error::invalid_input(format!(
                "there is no room for {} rows at write index {index} of a cache of capacity {}",
                self.length, self.capacity
            ))),
        }
    }

    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        let indices = io.input(0)?;
        if indices.scalar() != Some(Scalar::I32) {
            return Err(no_scalar(indices));
        }
        let count = indices.ty.elements();
        offers.only("one", || {
            let [last, count_u32] = u32s([self.last(), count])?;
            let params = CheckWriteIndicesParams { last, count: count_u32 };
            let kernel = Kernel::new(&CHECK_WRITE_INDICES, &[Access::Read, Access::Write], [1, 1, 1]);
            let bindings = vec![Operand::Input(0), Operand::Output(0)];
            Ok(Lowering::new(vec![Dispatch::new(kernel, params, bindings, [1, 1, 1]).turns(count)]))
        });
        Ok(())
    }

    fn check(&self) -> Option<String> {
        let (length, capacity) = (self.length, self.capacity);
        Some(format!("there is no room for {length} rows at a write index of a cache of capacity {capacity}"))
    }
}
