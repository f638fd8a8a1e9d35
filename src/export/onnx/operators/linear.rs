//! Matrix products.

use super::{Row, rows};
use crate::error::{Error, Result};
use crate::export::onnx::context::Context;
use crate::export::onnx::form::form;
use crate::ops::det::Det;
use crate::ops::einsum::Einsum;
use crate::ops::matmul::{MatMul, MatMulInteger, MatMulNBits};

pub(super) const ROWS: &[Row] = rows! {
    MatMul => |op, c| {
        whole(op.a.is_none() && op.b.is_none())?;
        c.emit(&form("MatMul"))
    },
    MatMulInteger => |_, c| c.emit(&form("MatMulInteger")),
    Det => |_, c| c.emit(&form("Det")),
    Einsum => |op, c| c.emit(&form("Einsum").text("equation", &op.equation)),
    MatMulNBits => matmul_nbits,
};

/// Operators that read their inputs through views are made by passes.
pub(super) fn whole(is_whole: bool) -> Result<()> {
    match is_whole {
        true => Ok(()),
        false => Err(Error::unsupported("it reads an input through a view")),
    }
}

fn matmul_nbits(op: &MatMulNBits, c: &mut Context<'_, '_>) -> Result<()> {
    whole(op.a.is_none())?;
    let form = form("MatMulNBits").domain("com.microsoft").count("K", op.k).count("N", op.n);
    c.emit(&form.int("bits", op.bits.into()).count("block_size", op.block))
}
