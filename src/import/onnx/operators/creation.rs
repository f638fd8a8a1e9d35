//! Operators that make tensors from shapes and attributes.

use super::{Row, row};
use crate::error::{Error, Result};
use crate::import::onnx::context::Context;
use crate::ops::shape;
use crate::tensor::Tensor;

pub(super) const ROWS: &[Row] = &[
    row("Constant", 1, 0..=0, 1, constant),
    row("ConstantOfShape", 9, 1..=1, 1, constant_of_shape),
    row("Shape", 1, 1..=1, 1, |c| c.emit(shape::shape(0, None), &c.inputs())).until(14),
    row("Shape", 15, 1..=1, 1, |c| c.emit(shape::shape(c.int("start", 0)?, c.attributes.int("end")?), &c.inputs())),
    row("Size", 1, 1..=1, 1, |c| c.emit(shape::size(), &c.inputs())),
    row("Range", 11, 3..=3, 1, |c| c.emit(shape::range(), &c.inputs())),
    row("EyeLike", 9, 1..=1, 1, eye_like),
];

fn constant(c: &mut Context<'_, '_>) -> Result<()> {
    if let Some(tensor) = c.tensor("value")? {
        return c.emit_constant(tensor);
    }
    let tensor = if let Some(value) = c.attributes.float("value_float")? {
        Tensor::scalar(value)
    } else if let Some(values) = c.attributes.floats("value_floats")? {
        c.spend(values.len().saturating_mul(4))?;
        Tensor::vector(values)
    } else if let Some(value) = c.attributes.int("value_int")? {
        Tensor::scalar(value)
    } else if let Some(values) = c.attributes.ints("value_ints")? {
        c.spend(values.len().saturating_mul(8))?;
        Tensor::vector(values)
    } else if c.attributes.has("sparse_value") {
        return Err(c.unsupported("a sparse tensor is not implemented"));
    } else if c.attributes.has("value_string") || c.attributes.has("value_strings") {
        return Err(c.unsupported("elements of type string are not implemented"));
    } else {
        return Err(Error::invalid_model(
            "Constant needs one of the attributes value, value_float, value_floats, value_int, value_ints",
        ));
    };
    c.emit_constant(tensor)
}

fn constant_of_shape(c: &mut Context<'_, '_>) -> Result<()> {
    let value = c.tensor("value")?;
    if let Some(value) = value.as_ref().filter(|v| v.elements() != 1) {
        return Err(Error::invalid_model(format!("attribute `value`: expected one element, found {}", value.ty())));
    }
    c.emit(shape::constant_of_shape(value), &c.inputs())
}

fn eye_like(c: &mut Context<'_, '_>) -> Result<()> {
    c.emit(shape::eye_like(c.attributes.dtype("dtype")?, c.int("k", 0)?), &c.inputs())
}
