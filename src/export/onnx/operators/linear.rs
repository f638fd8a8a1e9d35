//! Matrix products.

use super::{Row, rows, whole};
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

fn matmul_nbits(op: &MatMulNBits, c: &mut Context<'_, '_>) -> Result<()> {
    whole(op.a.is_none())?;
    if op.block < 16 || !op.block.is_power_of_two() {
        return Err(Error::unsupported(format!("blocks of {} weights: ONNX Runtime has powers of two from 16 on", op.block)));
    }
    let form = form("MatMulNBits").domain("com.microsoft").count("K", op.k).count("N", op.n);
    c.emit(&form.int("bits", op.bits.into()).count("block_size", op.block))
}
