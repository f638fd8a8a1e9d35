//! OneHot: indices as vectors that differ from a constant in one place.

use super::Registration;
use super::compose::Compose;
use super::concat::concat;
use super::shared::{WORKGROUP, around, no_scalar, one_each, pick, scalar_number};
use crate::error::{Error, Result};
use crate::graph::{Fact, Gradient, Io, Node, Op, ValueId, Writer, required};
use crate::kernel::{Access, Kernel, Lowering, Offers, Operand, params, shader, u32s};
use crate::tensor::{Shape, Tensor, TensorType};
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

    crate::attributes!(axis);

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

    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        let (indices, values, output) = (io.input(0)?, io.input(2)?, io.outputs[0]);
        let index_scalar = indices.scalar().ok_or_else(|| no_scalar(indices))?;
        if values.scalar().is_none() {
            return Err(no_scalar(values));
        }
        let (_, length, stride) = around(output.shape(), output.shape().axis(self.axis)?);
        let caps = offers.caps();
        offers.only("one_hot", || {
            let [depth, inner, count] = u32s([length, stride, output.ty.elements()])?;
            let kernel = Kernel::new(&ONE_HOT, &[Access::Read, Access::Read, Access::Write], [WORKGROUP, 1, 1])
                .set("INDEX_SCALAR", scalar_number(index_scalar));
            let bindings = vec![Operand::Input(0), Operand::Input(2), Operand::Output(0)];
            let dispatch = one_each(kernel, OneHotParams { depth, inner, count }, output.ty.elements(), bindings, caps)?;
            Ok(Lowering::new(vec![dispatch.work(0, indices.gpu_bytes() + output.gpu_bytes())]))
        });
        Ok(())
    }

    fn gradient(&self, node: &Node, upstream: &[Option<ValueId>], _: &[bool], writer: &mut Writer) -> Result<Gradient> {
        let Some(worth) = upstream.first().copied().flatten() else { return Ok(Gradient::Zero) };
        let (dtype, shape) = (writer.fact(worth)?.dtype(), writer.fact(node.needed(2)?)?.shape().clone());
        let values = writer.tensor(Tensor::from_f64(TensorType::new(dtype, [2]), &[0.0, 1.0])?);
        let hot = writer.apply(Arc::new(self.clone()), &[node.needed(0)?, node.needed(1)?, values])?;
        let cold = writer.with_number("Equal", hot, 0.0)?;
        let mut sums = [writer.kept(cold, worth)?, writer.function("Mul", &[worth, hot])?];
        for sum in &mut sums {
            *sum = writer.sum_to(*sum, &[1].into())?;
        }
        let both = writer.apply(concat(0), &sums)?;
        Ok(Gradient::Inputs(vec![None, None, Some(writer.reshape(both, shape.dims())?)]))
    }
}
