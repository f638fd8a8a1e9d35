//! The product over lines that a first dispatch pads and unfolds into a buffer.

use super::super::ConvShape;
use super::unfold::UnfoldedLines;
use crate::error::{Error, Result};
use crate::graph::Io;
use crate::kernel::{Caps, Lowering, Operand, preludes, u32s};
use crate::ops::matmul;

/// The variant: weights travel by broadcast within a subgroup.
pub(super) fn lower(conv: &ConvShape, io: &Io, caps: &Caps) -> Result<Lowering> {
    let lines = UnfoldedLines::new(conv)?;
    let unfold = lines.to_buffer(conv, caps)?;
    let Lowering::Dispatches { mut dispatches, mut temporaries, packed, .. } = product(conv, &lines)?.by_broadcast(io, caps)?
    else {
        return Err(Error::internal("a matrix product that is no work"));
    };
    dispatches.insert(0, unfold);
    temporaries.push(lines.bytes());
    Ok(Lowering::new(dispatches).temporaries(temporaries).packed(packed))
}

/// The product whose B is read from the lines.
fn product(conv: &ConvShape, lines: &UnfoldedLines) -> Result<matmul::Product> {
    let [height, width] = conv.plane()?;
    let names = ["TERMS", "PADDED_HEIGHT", "KERNEL_HEIGHT", "KERNEL_WIDTH", "QUADS"];
    let sizes = u32s([conv.terms(), lines.lines, height.kernel, width.kernel, lines.quads])?;
    let more = ["STRIDE_HEIGHT", "DILATION_HEIGHT", "OUTPUT_HEIGHT", "OUTPUT_WIDTH"];
    let steps = u32s([height.stride, height.dilation, height.output, width.output])?;
    let mut product = conv.product(lines.plane)?;
    product.gather = Some(matmul::Gather {
        prelude: &preludes::CONV_UNFOLDED,
        place: &preludes::PLACE_PIXEL,
        constants: names.into_iter().zip(sizes).chain(more.into_iter().zip(steps)).collect(),
        operand: Operand::Temporary(0),
        columns: height.output * lines.quads * 4,
        row_length: width.output,
    });
    Ok(product)
}
