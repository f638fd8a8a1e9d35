//! Matrix products.

use super::{Row, row};
use crate::error::Result;
use crate::graph::ValueId;
use crate::import::onnx::context::Context;
use crate::ops::elementwise::{binary, unary_with};
use crate::ops::{det, einsum, matmul, transpose};
use crate::tensor::DType;

pub(super) const ROWS: &[Row] = &[
    row("MatMul", 1, 2..=2, 1, |c| c.emit(matmul::matmul(), &c.inputs())),
    row("MatMulInteger", 10, 2..=4, 1, |c| c.emit_typed(matmul::matmul_integer(), &c.inputs(), DType::I32)),
    row("Det", 11, 1..=1, 1, |c| c.emit(det::det(), &c.inputs())),
    row("Einsum", 12, 1..=usize::MAX, 1, einsum_of_equation),
    row("Gemm", 1, 3..=3, 1, gemm).until(10),
    row("Gemm", 11, 2..=3, 1, gemm),
];

fn einsum_of_equation(c: &mut Context<'_, '_>) -> Result<()> {
    let equation = c.attributes.string("equation")?.ok_or_else(|| c.missing("equation"))?;
    c.emit(einsum::einsum(equation), &c.inputs())
}

/// `alpha * A' * B' + beta * C`. Without the two factors that is the transposes, the product and the sum.
fn gemm(c: &mut Context<'_, '_>) -> Result<()> {
    let (alpha, beta) = (c.float("alpha", 1.0)?, c.float("beta", 1.0)?);
    let a = transposed(c, 0, "transA")?;
    let b = transposed(c, 1, "transB")?;
    let addend = if beta == 0.0 { None } else { c.optional(2) };
    let Some(mut addend) = addend else {
        if alpha == 1.0 {
            return c.emit(matmul::matmul(), &[Some(a), Some(b)]);
        }
        let product = c.node(matmul::matmul(), &[Some(a), Some(b)]);
        return c.emit(unary_with("Mul", &[alpha.into()])?, &[Some(product)]);
    };
    let mut product = c.node(matmul::matmul(), &[Some(a), Some(b)]);
    if alpha != 1.0 {
        product = c.apply(unary_with("Mul", &[alpha.into()])?, product);
    }
    if beta != 1.0 {
        addend = c.apply(unary_with("Mul", &[beta.into()])?, addend);
    }
    c.emit(binary("Add")?, &[Some(product), Some(addend)])
}

/// A matrix operand, transposed when the attribute says so.
fn transposed(c: &mut Context<'_, '_>, index: usize, attribute: &str) -> Result<ValueId> {
    let value = c.input(index)?;
    Ok(if c.flag(attribute, false)? { c.apply(transpose::transpose(Some(vec![1, 0])), value) } else { value })
}
