//! Quantization to 8 and 16 bits, written out in f32.

use super::{Row, row};
use crate::error::{Error, Result};
use crate::graph::ValueId;
use crate::import::onnx::context::Context;
use crate::ops::elementwise::{binary, cast, clip, unary, unary_with};
use crate::ops::reduce::{Reduction, reduce};
use crate::ops::{dequantize, matmul, quantize, reshape};
use crate::tensor::DType;

pub(super) const ROWS: &[Row] = &[
    row("QuantizeLinear", 10, 2..=3, 1, quantize_linear),
    row("DequantizeLinear", 10, 2..=3, 1, dequantize_linear),
    row("DynamicQuantizeLinear", 11, 1..=1, 3, dynamic_quantize_linear),
    row("QLinearMatMul", 10, 8..=8, 1, quantized_matmul),
    Row { domain: "com.microsoft", name: "MatMulNBits", versions: 1..=1, inputs: 3..=6, outputs: 1, build: matmul_nbits },
];

/// Inputs are a, the weights as bytes, their scales, zero points, a permutation of the weights' blocks, and a bias.
fn matmul_nbits(c: &mut Context<'_, '_>) -> Result<()> {
    let (k, n) = (c.count("K", 0)?, c.count("N", 0)?);
    let (bits, block) = (c.count("bits", 4)?, c.count("block_size", 0)?);
    if block < 16 || !block.is_power_of_two() {
        return Err(Error::invalid_model(format!("attribute `block_size` is {block}: expected a power of two of 16 or more")));
    }
    if c.optional(4).is_some() {
        return Err(c.unsupported("weights in another order (`g_idx`) are not implemented"));
    }
    let bits = u32::try_from(bits).map_err(|_| c.unsupported(format!("weights of {bits} bits")))?;
    let op = matmul::matmul_nbits(k, n, bits, block)?;
    let mut inputs = vec![Some(c.input(0)?), Some(c.input(1)?), Some(c.input(2)?)];
    if let Some(zero_points) = c.optional(3) {
        inputs.push(Some(zero_points));
    }
    match c.optional(5) {
        None => c.emit(op, &inputs),
        Some(bias) => {
            let product = c.node(op, &inputs);
            c.emit(binary("Add")?, &[Some(product), Some(bias)])
        }
    }
}

/// `round(value) + zero point`, kept in the range of a narrow integer type.
fn narrowed(c: &mut Context<'_, '_>, value: ValueId, zero_point: Option<ValueId>, dtype: DType) -> Result<ValueId> {
    let (low, high) = match dtype {
        DType::I8 => (f64::from(i8::MIN), f64::from(i8::MAX)),
        DType::U8 => (0.0, f64::from(u8::MAX)),
        DType::I16 => (f64::from(i16::MIN), f64::from(i16::MAX)),
        DType::U16 => (0.0, f64::from(u16::MAX)),
        other => return Err(c.unsupported(format!("quantization to {other} is not implemented"))),
    };
    let mut value = c.apply(unary("Round")?, value);
    if let Some(zero_point) = zero_point {
        value = c.node(binary("Add")?, &[Some(value), Some(zero_point)]);
    }
    Ok(c.apply(clip(Some(low), Some(high))?, value))
}

/// The element type of quantized values: that of the zero point, or what the attribute says, or u8.
fn quantized_type(c: &Context<'_, '_>, zero_point: usize) -> Result<DType> {
    match c.optional(zero_point) {
        Some(value) => c.dtype(value).ok_or_else(|| c.unsupported("the zero point needs a declared element type")),
        None if c.int("output_dtype", 0)? != 0 => Ok(c.attributes.dtype("output_dtype")?.unwrap_or(DType::U8)),
        None => Ok(DType::U8),
    }
}

/// The attribute `output_dtype`, for which 0 means nothing, of an operator that does not work in blocks.
fn output_type(c: &Context<'_, '_>) -> Result<Option<DType>> {
    if c.int("block_size", 0)? != 0 {
        return Err(c.unsupported("quantization in blocks is not implemented"));
    }
    if c.int("output_dtype", 0)? == 0 { Ok(None) } else { c.attributes.dtype("output_dtype") }
}

fn quantize_linear(c: &mut Context<'_, '_>) -> Result<()> {
    let dtype = output_type(c)?;
    let known = match c.optional(2) {
        Some(zero_point) => c.dtype(zero_point),
        None => Some(dtype.unwrap_or(DType::U8)),
    };
    let op = quantize::quantize_linear(c.int("axis", 1)?, dtype);
    match known {
        Some(known) => c.emit_typed(op, &c.inputs(), known),
        None => c.emit(op, &c.inputs()),
    }
}

fn dequantize_linear(c: &mut Context<'_, '_>) -> Result<()> {
    c.emit(dequantize::dequantize_linear(c.int("axis", 1)?, output_type(c)?), &c.inputs())
}

/// To u8, with a range that holds all values and zero.
fn dynamic_quantize_linear(c: &mut Context<'_, '_>) -> Result<()> {
    let data = c.input(0)?;
    let least = c.apply(reduce(Reduction::Min, Some(Vec::new()), false, false), data);
    let least = c.apply(clip(None, Some(0.0))?, least);
    let greatest = c.apply(reduce(Reduction::Max, Some(Vec::new()), false, false), data);
    let greatest = c.apply(clip(Some(0.0), None)?, greatest);
    let range = c.node(binary("Sub")?, &[Some(greatest), Some(least)]);
    let scale = c.apply(unary_with("Div", &[255.0])?, range);
    c.emit_output(1, reshape::identity(), &[Some(scale)]);
    let zero_point = c.node(binary("Div")?, &[Some(least), Some(scale)]);
    let zero_point = c.apply(unary("Neg")?, zero_point);
    let zero_point = narrowed(c, zero_point, None, DType::U8)?;
    c.emit_output(2, cast(DType::U8)?, &[Some(zero_point)]);
    let scaled = c.node(binary("Div")?, &[Some(data), Some(scale)]);
    let value = narrowed(c, scaled, Some(zero_point), DType::U8)?;
    c.emit_output(0, cast(DType::U8)?, &[Some(value)]);
    Ok(())
}

/// Inputs are a, its scale and zero point, b, its scale and zero point, then those of the result.
fn quantized_matmul(c: &mut Context<'_, '_>) -> Result<()> {
    let dtype = quantized_type(c, 7)?;
    for index in [1, 2, 4, 5, 6, 7] {
        let value = c.input(index)?;
        if c.rank(value) != Some(0) && !c.extents(value).is_some_and(|dims| dims.iter().all(|d| *d == 1)) {
            return Err(c.unsupported("scales and zero points are implemented only as single elements"));
        }
    }
    let mut wide = |index: usize| -> Result<ValueId> { Ok(c.apply(cast(DType::F32)?, c.input(index)?)) };
    let (a, a_scale, a_zero) = (wide(0)?, wide(1)?, wide(2)?);
    let (b, b_scale, b_zero) = (wide(3)?, wide(4)?, wide(5)?);
    let (scale, zero_point) = (wide(6)?, wide(7)?);
    let a = c.node(binary("Sub")?, &[Some(a), Some(a_zero)]);
    let b = c.node(binary("Sub")?, &[Some(b), Some(b_zero)]);
    let product = c.node(matmul::matmul(), &[Some(a), Some(b)]);
    let factor = c.node(binary("Mul")?, &[Some(a_scale), Some(b_scale)]);
    let factor = c.node(binary("Div")?, &[Some(factor), Some(scale)]);
    let scaled = c.node(binary("Mul")?, &[Some(product), Some(factor)]);
    let value = narrowed(c, scaled, Some(zero_point), dtype)?;
    c.emit(cast(dtype)?, &[Some(value)])
}
