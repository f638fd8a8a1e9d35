//! QuantizeLinear: floats to narrow integers by a scale and a zero point. It stands for elementwise arithmetic.

use super::Registration;
use super::compose::Composer;
use super::dequantize::DequantizeLinear;
use super::elementwise::{cast, clip};
use crate::error::{Error, Result};
use crate::graph::{Edit, Fact, Io, Node, Op, required};
use crate::kernel::{Caps, Lowering};
use crate::tensor::{DType, Tensor, TensorType};
use std::sync::Arc;

/// The operator of this file.
pub static REGISTRATION: Registration = Registration { operators: &["QuantizeLinear"], shaders: &[] };

/// ONNX QuantizeLinear without blocks: `round(data / scale) + zero point`, ties to even, kept within the range of 8 or 16 bits. Inputs:
/// data, scale, optionally zero point, the latter two of one element or of as many as `axis` of the data has.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantizeLinear {
    /// The axis along which scales and zero points differ.
    pub axis: i64,
    /// The type of the output where no zero point has it; u8 if neither does.
    pub dtype: Option<DType>,
}

/// Floats to narrow integers by scales along an axis.
pub fn quantize_linear(axis: i64, dtype: Option<DType>) -> Arc<dyn Op> {
    Arc::new(QuantizeLinear { axis, dtype })
}

impl QuantizeLinear {
    /// The type of the output, and its range.
    fn result(&self, zero_point: Option<DType>) -> Result<(DType, (f64, f64))> {
        let dtype = zero_point.or(self.dtype).unwrap_or(DType::U8);
        match (dtype, dtype.range()) {
            (DType::I8 | DType::U8 | DType::I16 | DType::U16, Some((low, high))) => Ok((dtype, (low as f64, high as f64))),
            _ => Err(Error::unsupported(format!("operator QuantizeLinear: quantization to {dtype} is not implemented"))),
        }
    }

    /// The way back, which lays scales and zero points over the data in the same manner.
    fn inverse(&self) -> DequantizeLinear {
        DequantizeLinear { axis: self.axis, dtype: None }
    }
}

impl Op for QuantizeLinear {
    fn name(&self) -> &'static str {
        "QuantizeLinear"
    }

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let (data, scale) = (required(self.name(), inputs, 0)?, required(self.name(), inputs, 1)?);
        let number = data.dtype().is_float() || data.dtype() == DType::I32;
        if !number || !scale.dtype().is_float() {
            return Err(Error::invalid_model(format!(
                "QuantizeLinear takes floats, or i32, and a scale of floats, found {} and {}",
                data.dtype(),
                scale.dtype()
            )));
        }
        self.inverse().runs(data.shape(), &scale.ty)?;
        let zero_point = inputs.get(2).copied().flatten();
        if let Some(zero_point) = zero_point {
            self.inverse().runs(data.shape(), &zero_point.ty)?;
        }
        let (dtype, _) = self.result(zero_point.map(Fact::dtype))?;
        Ok(vec![Fact::new(dtype, data.shape().clone())])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let (data, scale) = (required(self.name(), inputs, 0)?, required(self.name(), inputs, 1)?);
        let zero_point = inputs.get(2).copied().flatten();
        let (dtype, (low, high)) = self.result(zero_point.map(Tensor::dtype))?;
        let (run, count) = self.inverse().runs(data.shape(), scale.ty())?;
        let (zero_run, zero_count) = zero_point.map_or(Ok((1, 1)), |z| self.inverse().runs(data.shape(), z.ty()))?;
        let (scales, zeros) = (scale.to_f64(), zero_point.map_or(vec![0.0], Tensor::to_f64));
        let mut values = data.to_f64();
        for (index, value) in values.iter_mut().enumerate() {
            // The quotient has 32 bits, which decides what is a tie; NaN becomes 0.
            let quotient = (*value as f32 / scales[index / run % count] as f32).round_ties_even();
            let shifted = f64::from(quotient + zeros[index / zero_run % zero_count] as f32);
            *value = if shifted.is_nan() { 0.0 } else { shifted.clamp(low, high) };
        }
        Ok(vec![Tensor::from_f64(TensorType::new(dtype, data.shape().clone()), &values)?])
    }

    fn candidates(&self, _: &Io, _: &Caps) -> Result<Vec<Lowering>> {
        Err(Error::unsupported("QuantizeLinear is expanded before a run and has no kernel"))
    }

    fn expand(&self, node: &Node, inputs: &[Option<&Fact>], edit: &mut Edit) -> Result<Option<Vec<Node>>> {
        let (data, scale) = (required(self.name(), inputs, 0)?, required(self.name(), inputs, 1)?);
        let zero_point = inputs.get(2).copied().flatten();
        let id = |index: usize| node.inputs.get(index).copied().flatten();
        let input = |index| id(index).ok_or_else(|| Error::internal("an input that has a type and no value"));
        let (x, divisor) = (input(0)?, input(1)?);
        let (dtype, (low, high)) = self.result(zero_point.map(Fact::dtype))?;
        let mut composer = Composer::new(node, edit);
        let x = composer.apply(cast(DType::F32)?, &[x]);
        let divisor = self.inverse().broadcast(&mut composer, data.shape(), divisor, &scale.ty)?;
        let mut value = composer.function("Div", &[x, divisor])?;
        value = composer.function("Round", &[value])?;
        if let (Some(zero_point), Some(fact)) = (id(2), zero_point) {
            let zero_point = self.inverse().broadcast(&mut composer, data.shape(), zero_point, &fact.ty)?;
            value = composer.function("Add", &[value, zero_point])?;
        }
        value = composer.apply(clip(Some(low), Some(high))?, &[value]);
        composer.apply(cast(dtype)?, &[value]);
        Ok(Some(composer.finish()))
    }
}
