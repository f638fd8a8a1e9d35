//! MatMulInteger: a product of 8-bit integers less their zero points, in 32 bits. It stands for that arithmetic.

use super::matmul;
use crate::error::{Error, Result};
use crate::graph::{Edit, Fact, Io, Node, Op, required};
use crate::kernel::{Caps, Lowering};
use crate::ops::compose::Composer;
use crate::ops::elementwise::cast;
use crate::tensor::{DType, Shape, Tensor, TensorType, View, broadcast};
use std::sync::Arc;

/// ONNX MatMulInteger. Inputs: a, b, optionally their zero points: of one element, one for each row of a or column of b, or of the
/// operand's rank with an extent of 1 in place of the summed axis.
#[derive(Clone, Debug, PartialEq)]
pub struct MatMulInteger;

/// A product of 8-bit integers in 32 bits.
pub fn matmul_integer() -> Arc<dyn Op> {
    Arc::new(MatMulInteger)
}

/// The shape under which the zero points of operand `index` broadcast to it.
fn standing(index: usize, operand: &Shape, zero_point: &Shape) -> Result<Shape> {
    let shape = match (zero_point.elements(), zero_point.rank(), index) {
        (1, ..) => Shape::scalar(),
        (count, 1, 0) if operand.rank() > 1 => Shape::from([count, 1]),
        _ => zero_point.clone(),
    };
    // One for each element of a sum would be no zero point: neither for a row of a vector nor along the summed axis.
    let summed = if index == 0 { operand.rank().checked_sub(1) } else { operand.rank().checked_sub(2).or(Some(0)) };
    let place = summed.and_then(|axis| (axis + shape.rank()).checked_sub(operand.rank()));
    let along = place.is_some_and(|place| shape[place] != 1);
    match broadcast([operand, &shape]) {
        Ok(whole) if whole == *operand && !along => Ok(shape),
        _ => Err(Error::invalid_model(format!(
            "MatMulInteger takes one zero point, or one for each {} of input {index}; it is {operand}, and they are {zero_point}",
            if index == 0 { "row" } else { "column" }
        ))),
    }
}

/// An operand in 32 bits, less its zero points.
fn shifted(index: usize, operand: &Tensor, zero_point: Option<&Tensor>) -> Result<Tensor> {
    let mut values = operand.to_i128();
    if let Some(zero_point) = zero_point {
        let shape = standing(index, operand.shape(), zero_point.shape())?;
        let view = View::contiguous(&shape).broadcast(operand.shape());
        let view = view.ok_or_else(|| Error::internal("zero points that do not broadcast"))?;
        let zeros = zero_point.reshape(shape)?.gather(&view).to_i128();
        values.iter_mut().zip(zeros).for_each(|(value, zero)| *value -= zero);
    }
    Tensor::from_i128(TensorType::new(DType::I32, operand.shape().clone()), &values)
}

impl Op for MatMulInteger {
    fn name(&self) -> &'static str {
        "MatMulInteger"
    }

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let mut operands = Vec::new();
        for index in 0..2 {
            let operand = required(self.name(), inputs, index)?;
            let zero_point = inputs.get(2 + index).copied().flatten();
            let narrow = |dtype: DType| matches!(dtype, DType::I8 | DType::U8);
            if !narrow(operand.dtype()) || zero_point.is_some_and(|z| z.dtype() != operand.dtype()) {
                let zero_point = zero_point.map_or(String::new(), |z| format!(" with zero points of {}", z.dtype()));
                let found = operand.dtype();
                return Err(Error::invalid_model(format!(
                    "MatMulInteger takes operands of 8-bit integers and zero points of the same, found {found}{zero_point}"
                )));
            }
            if let Some(zero_point) = zero_point {
                standing(index, operand.shape(), zero_point.shape())?;
            }
            let range = if zero_point.is_some() { (-255, 255) } else { operand.dtype().range().unwrap_or((-128, 255)) };
            operands.push(Fact::new(DType::I32, operand.shape().clone()).bounded(Some(range)));
        }
        matmul().infer(&operands.iter().map(Some).collect::<Vec<_>>())
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let operand = |index: usize| {
            let zero_point = inputs.get(2 + index).copied().flatten();
            shifted(index, required(self.name(), inputs, index)?, zero_point)
        };
        let (a, b) = (operand(0)?, operand(1)?);
        matmul().reference(&[Some(&a), Some(&b)])
    }

    fn candidates(&self, _: &Io, _: &Caps) -> Result<Vec<Lowering>> {
        Err(Error::unsupported("MatMulInteger is expanded before a run and has no kernel"))
    }

    fn expand(&self, node: &Node, inputs: &[Option<&Fact>], edit: &mut Edit) -> Result<Option<Vec<Node>>> {
        let mut composer = Composer::new(node, edit);
        let mut operands = Vec::new();
        for index in 0..2 {
            let fact = required(self.name(), inputs, index)?;
            let id = |k: usize| node.inputs.get(k).copied().flatten();
            let value = id(index).ok_or_else(|| Error::internal("an input that has a type and no value"))?;
            let mut value = composer.apply(cast(DType::I32)?, &[value]);
            if let (Some(zero_point), Some(zeros)) = (id(2 + index), inputs.get(2 + index).copied().flatten()) {
                let shape = standing(index, fact.shape(), zeros.shape())?;
                let zero_point = composer.apply(cast(DType::I32)?, &[zero_point]);
                let zero_point = composer.reshape(zero_point, &shape);
                value = composer.function("Sub", &[value, zero_point])?;
            }
            operands.push(value);
        }
        composer.apply(matmul(), &operands);
        Ok(Some(composer.finish()))
    }
}
