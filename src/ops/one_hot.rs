//! OneHot: indices as vectors that differ from a constant in one place.

use super::Registration;
use super::movement::{no_scalar, pick};
use super::scatter::scalar_number;
use crate::error::{Error, Result};
use crate::graph::{Fact, Io, Op, required};
use crate::kernel::{Access, Caps, Dispatch, Kernel, Lowering, Operand, params, shader};
use crate::tensor::{Shape, Tensor};
use std::sync::Arc;

params! {
    /// Parameters of `one_hot.wgsl`.
    struct OneHotParams {
        depth: u32,
        inner: u32,
        count: u32,
    }
}

shader!(static ONE_HOT: OneHotParams = "one_hot");

/// The operator of this file.
pub static REGISTRATION: Registration = Registration { operators: &["OneHot"], shaders: &[&ONE_HOT] };

const WORKGROUP: u32 = 64;

/// ONNX OneHot: input 0 holds indices, input 1 the length of a vector, input 2 what stands elsewhere and what at the index.
#[derive(Clone, Debug, PartialEq)]
pub struct OneHot {
    /// Where the new axis stands in the output.
    pub axis: i64,
}

/// Indices as one-hot vectors along a new axis.
pub fn one_hot(axis: i64) -> Arc<dyn Op> {
    Arc::new(OneHot { axis })
}

impl OneHot {
    /// The output's shape and the place of the new axis.
    fn shape(&self, indices: &Shape, depth: Option<i64>) -> Result<(Shape, usize)> {
        let axis = Shape::new(vec![1; indices.rank() + 1]).axis(self.axis)?;
        let depth = depth.and_then(|d| usize::try_from(d).ok());
        let depth = depth.ok_or_else(|| Error::invalid_model("OneHot expects a depth that is not negative"))?;
        let mut dims = indices.to_vec();
        dims.insert(axis, depth);
        Ok((dims.into(), axis))
    }
}

impl Op for OneHot {
    fn name(&self) -> &'static str {
        "OneHot"
    }

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let (indices, depth, values) =
            (required("OneHot", inputs, 0)?, required("OneHot", inputs, 1)?, required("OneHot", inputs, 2)?);
        let depth = depth.value.as_ref().ok_or_else(|| Error::needs_value(1))?.to_i64().first().copied();
        if values.ty.elements() != 2 {
            return Err(Error::invalid_model(format!("OneHot expects two values, off and on, found {}", values.ty)));
        }
        Ok(vec![Fact::new(values.dtype(), self.shape(indices.shape(), depth)?.0).bounded(values.bounds)])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let (indices, depth, values) =
            (required("OneHot", inputs, 0)?, required("OneHot", inputs, 1)?, required("OneHot", inputs, 2)?);
        let (shape, axis) = self.shape(indices.shape(), depth.to_i64().first().copied())?;
        let depth = shape[axis];
        let inner = shape.product(axis + 1..shape.rank());
        let indices = indices.to_i64();
        let value = |place: usize| {
            let index = indices[place / (inner * depth) * inner + place % inner];
            let index = if index < 0 { index.saturating_add(depth as i64) } else { index };
            // An index outside of the vector leaves all of it off.
            Some(usize::from(index == (place / inner % depth) as i64))
        };
        Ok(vec![pick(values, None, &shape, (0..shape.elements()).map(value))?])
    }

    fn candidates(&self, io: &Io, caps: &Caps) -> Result<Vec<Lowering>> {
        let (indices, values, output) = (io.input(0)?, io.input(2)?, io.outputs[0]);
        if output.ty.elements() == 0 {
            return Ok(vec![Lowering::empty()]);
        }
        let index_scalar = indices.scalar().ok_or_else(|| no_scalar(indices))?;
        if values.scalar().is_none() {
            return Err(no_scalar(values));
        }
        let axis = output.shape().axis(self.axis)?;
        let params = OneHotParams {
            depth: output.shape()[axis] as u32,
            inner: output.shape().product(axis + 1..output.shape().rank()) as u32,
            count: output.ty.elements() as u32,
        };
        let kernel = Kernel::new(&ONE_HOT, &[Access::Read, Access::Read, Access::Write], [WORKGROUP, 1, 1])
            .set("INDEX_SCALAR", scalar_number(index_scalar));
        let grid = Dispatch::linear_grid(u64::from(params.count).div_ceil(WORKGROUP.into()), caps)?;
        let bindings = vec![Operand::Input(0), Operand::Input(2), Operand::Output(0)];
        let dispatch = Dispatch::new(kernel, params, bindings, grid).work(0, indices.gpu_bytes() + output.gpu_bytes());
        Ok(vec![Lowering::dispatches("one_hot", vec![dispatch])])
    }
}
