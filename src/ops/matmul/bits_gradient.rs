//! Gradients of products with weights of few bits: products with the weights as floats.

use super::{MatMulNBits, matmul};
use crate::error::Result;
use crate::graph::{Gradient, Node, ValueId, Writer};
use crate::ops::compose::Compose;
use crate::ops::elementwise::cast;
use crate::ops::pad::{PadMode, pad};
use crate::ops::reduce::Reduction;
use crate::tensor::{Tensor, TensorType};

/// The gradients of the left operand, of the scales, and of zero points that are floats.
pub(super) fn gradient(
    op: &MatMulNBits,
    node: &Node,
    upstream: &[Option<ValueId>],
    wanted: &[bool],
    writer: &mut Writer,
) -> Result<Gradient> {
    let Some(worth) = upstream.first().copied().flatten() else { return Ok(Gradient::Zero) };
    if op.a.is_some() {
        return Ok(Gradient::Undefined("it reads an operand through a view"));
    }
    let (a, scales) = (node.needed(0)?, node.needed(2)?);
    let (ty, scales_ty) = (writer.fact(a)?.ty.clone(), writer.fact(scales)?.ty.clone());
    let Some(levels) = levels(op, node, writer)? else {
        return Ok(Gradient::Undefined("its weights are no constants"));
    };
    let blocks = op.blocks();
    let scales = writer.apply(cast(ty.dtype)?, &[scales])?;
    let scales = writer.reshape(scales, &[op.n, blocks, 1])?;
    let rows = ty.elements() / op.k;
    let worth = writer.reshape(worth, &[rows, op.n])?;
    let is_wanted = |k: usize| wanted.get(k).copied().unwrap_or(false);
    let mut found = vec![None; wanted.len()];
    if is_wanted(0) {
        let weights = writer.function("Mul", &[levels, scales])?;
        let weights = writer.reshape(weights, &[op.n, blocks * op.block])?;
        let weights = writer.sliced(weights, 1, 0, op.k, 1)?;
        let product = writer.apply(matmul(), &[worth, weights])?;
        found[0] = Some(writer.reshape(product, ty.shape.dims())?);
    }
    if is_wanted(2) || is_wanted(3) {
        let a = writer.reshape(a, &[rows, op.k])?;
        let turned = writer.transposed(worth, &[1, 0])?;
        let of_weights = writer.apply(matmul(), &[turned, a])?;
        let beyond = (blocks * op.block - op.k) as i64;
        let amounts = writer.tensor(Tensor::vector(&[0, 0, 0, beyond]));
        let of_weights = writer.apply(pad(PadMode::Constant), &[of_weights, amounts])?;
        let of_weights = writer.reshape(of_weights, &[op.n, blocks, op.block])?;
        let each = writer.function("Mul", &[of_weights, levels])?;
        let sum = writer.reduced(Reduction::Sum, each, &[2])?;
        found[2] = Some(settled(sum, &scales_ty, writer)?);
        if is_wanted(3) {
            let sum = writer.reduced(Reduction::Sum, of_weights, &[2])?;
            let sum = writer.function("Mul", &[sum, scales])?;
            let sum = writer.function("Neg", &[sum])?;
            let zeros_ty = writer.fact(node.needed(3)?)?.ty.clone();
            found[3] = Some(settled(sum, &zeros_ty, writer)?);
        }
    }
    Ok(Gradient::Inputs(found))
}

/// Sums for each block as a tensor of this type.
fn settled(sum: ValueId, ty: &TensorType, writer: &mut Writer) -> Result<ValueId> {
    let sum = writer.reshape(sum, ty.shape.dims())?;
    writer.apply(cast(ty.dtype)?, &[sum])
}

/// Stored numbers less their zero points, `[n, blocks, block]`, in floats of the left operand; `None` where they are no constants.
fn levels(op: &MatMulNBits, node: &Node, writer: &mut Writer) -> Result<Option<ValueId>> {
    let dtype = writer.fact(node.needed(0)?)?.dtype();
    let Some(bits) = writer.contents(node.needed(1)?).map(|bits| op.stored(bits)) else { return Ok(None) };
    let blocks = op.blocks();
    let stored = writer.tensor(Tensor::from_f64(TensorType::new(dtype, [op.n, blocks, op.block]), &bits)?);
    let zeros = match node.input(3) {
        None => writer.number(dtype, f64::from(1u32 << (op.bits - 1)))?,
        Some(zeros) if writer.fact(zeros)?.dtype().is_float() => {
            let zeros = writer.apply(cast(dtype)?, &[zeros])?;
            writer.reshape(zeros, &[op.n, blocks, 1])?
        }
        Some(zeros) => {
            let Some(zeros) = writer.contents(zeros).map(|packed| op.zeros(packed)) else { return Ok(None) };
            writer.tensor(Tensor::from_f64(TensorType::new(dtype, [op.n, blocks, 1]), &zeros)?)
        }
    };
    Ok(Some(writer.function("Sub", &[stored, zeros])?))
}
