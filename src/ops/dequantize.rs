//! DequantizeLinear: integers to floats by a scale and a zero point. It stands for elementwise arithmetic; of constants it is left
//! to the passes, which make weights of products of it that stay integers.

use super::Registration;
use super::compose::Composer;
use super::elementwise::cast;
use crate::error::{Error, Result};
use crate::graph::{Edit, Fact, Io, Node, Op, ValueId, required};
use crate::kernel::{Caps, Lowering};
use crate::tensor::{DType, Shape, Tensor, TensorType};
use std::sync::Arc;

/// The operator of this file.
pub static REGISTRATION: Registration = Registration { operators: &["DequantizeLinear"], shaders: &[] };

/// ONNX DequantizeLinear without blocks: `(data - zero point) * scale`. Inputs: data, scale, optionally zero point, the latter two of
/// one element or of as many as `axis` of the data has.
#[derive(Clone, Debug, PartialEq)]
pub struct DequantizeLinear {
    /// The axis along which scales and zero points differ.
    pub axis: i64,
    /// The type of the output, if not that of the scale.
    pub dtype: Option<DType>,
}

/// Integers to floats by scales along an axis.
pub fn dequantize_linear(axis: i64, dtype: Option<DType>) -> Arc<dyn Op> {
    Arc::new(DequantizeLinear { axis, dtype })
}

impl DequantizeLinear {
    /// Elements of the data that follow each other under one scale, and number of scales.
    pub(crate) fn runs(&self, data: &Shape, parameter: &TensorType) -> Result<(usize, usize)> {
        let count = parameter.elements();
        if count == 1 {
            return Ok((data.elements().max(1), 1));
        }
        let axis = data.axis(self.axis)?;
        if parameter.shape.rank() != 1 || count != data[axis] {
            return Err(Error::invalid_model(format!(
                "scales and zero points along axis {axis} of {data} are {}: expected {} of them",
                parameter.shape, data[axis]
            )));
        }
        Ok((data[axis + 1..].iter().product(), count))
    }

    /// A scale or zero point standing where it broadcasts to the data.
    pub(super) fn broadcast(&self, composer: &mut Composer, data: &Shape, value: ValueId, ty: &TensorType) -> Result<ValueId> {
        let wide = composer.apply(cast(DType::F32)?, &[value]);
        if ty.elements() == 1 {
            return Ok(composer.reshape(wide, &[]));
        }
        let axis = data.axis(self.axis)?;
        let mut shape = vec![1; data.rank() - axis];
        shape[0] = data[axis];
        Ok(composer.reshape(wide, &shape))
    }
}

impl Op for DequantizeLinear {
    fn name(&self) -> &'static str {
        "DequantizeLinear"
    }

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let (data, scale) = (required("DequantizeLinear", inputs, 0)?, required("DequantizeLinear", inputs, 1)?);
        let dtype = self.dtype.unwrap_or(scale.dtype());
        if data.dtype().is_float() || data.dtype() == DType::Bool || !scale.dtype().is_float() || !dtype.is_float() {
            return Err(Error::invalid_model(format!(
                "DequantizeLinear takes integers and a scale of floats to floats, found {}, {} and {dtype}",
                data.dtype(),
                scale.dtype()
            )));
        }
        self.runs(data.shape(), &scale.ty)?;
        if let Some(zero_point) = inputs.get(2).copied().flatten() {
            self.runs(data.shape(), &zero_point.ty)?;
        }
        Ok(vec![Fact::new(dtype, data.shape().clone())])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let (data, scale) = (required("DequantizeLinear", inputs, 0)?, required("DequantizeLinear", inputs, 1)?);
        let zero_point = inputs.get(2).copied().flatten();
        let (run, count) = self.runs(data.shape(), scale.ty())?;
        let (zero_run, zero_count) = zero_point.map_or(Ok((1, 1)), |z| self.runs(data.shape(), z.ty()))?;
        let (scales, zeros) = (scale.to_f64(), zero_point.map_or(vec![0.0], Tensor::to_f64));
        let mut values = data.to_f64();
        for (index, value) in values.iter_mut().enumerate() {
            *value = (*value - zeros[index / zero_run % zero_count]) * scales[index / run % count];
        }
        let ty = TensorType::new(self.dtype.unwrap_or(scale.dtype()), data.shape().clone());
        Ok(vec![Tensor::from_f64(ty, &values)?])
    }

    fn candidates(&self, _: &Io, _: &Caps) -> Result<Vec<Lowering>> {
        Err(Error::unsupported("DequantizeLinear is expanded before a run and has no kernel"))
    }

    fn stays_constant(&self) -> bool {
        true
    }

    fn expand(&self, node: &Node, inputs: &[Option<&Fact>], edit: &mut Edit) -> Result<Option<Vec<Node>>> {
        if inputs.iter().flatten().all(|fact| fact.value.is_some()) {
            return Ok(None);
        }
        let (data, scale) = (required("DequantizeLinear", inputs, 0)?, required("DequantizeLinear", inputs, 1)?);
        let id = |index: usize| node.inputs.get(index).copied().flatten();
        let input = |index| id(index).ok_or_else(|| Error::internal("an input that has a type and no value"));
        let (x, factor) = (input(0)?, input(1)?);
        let mut composer = Composer::new(node, edit);
        let mut value = composer.apply(cast(DType::F32)?, &[x]);
        if let (Some(zero_point), Some(fact)) = (id(2), inputs.get(2).copied().flatten()) {
            let zero_point = self.broadcast(&mut composer, data.shape(), zero_point, &fact.ty)?;
            value = composer.function("Sub", &[value, zero_point])?;
        }
        let factor = self.broadcast(&mut composer, data.shape(), factor, &scale.ty)?;
        value = composer.function("Mul", &[value, factor])?;
        composer.apply(cast(self.dtype.unwrap_or(scale.dtype()))?, &[value]);
        Ok(Some(composer.finish()))
    }
}
