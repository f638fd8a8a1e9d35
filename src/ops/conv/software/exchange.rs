//! Rows of images whose lanes own neighbouring columns, load each of them once, and ask their neighbours for those beside.

use super::super::ConvShape;
use super::super::row_kernel::{Division, RowKernel, columns};
use crate::error::{Error, Result};
use crate::kernel::{Access, Caps, Kernel, Shader, preludes};

/// A kernel whose lanes exchange columns, where the window suits that and a grid holds so many segments and planes.
pub(crate) fn rows(
    shader: &'static Shader,
    access: &[Access],
    conv: &ConvShape,
    extents: [usize; 2],
    caps: &Caps,
) -> Result<RowKernel> {
    let lanes = caps.broadcasting_lanes().ok_or_else(|| Error::unsupported("subgroups have fewer than 8 lanes"))?;
    let [_, width] = conv.plane()?;
    let own = 4 * width.stride;
    if !usize::try_from(width.begin).is_ok_and(|begin| begin <= own && columns(conv).is_ok_and(|n| n <= begin + 2 * own)) {
        return Err(Error::unsupported("the window reaches past the columns of the lanes beside"));
    }
    if let Some(extent) = extents.into_iter().find(|extent| *extent > caps.max_grid as usize) {
        return Err(Error::unsupported(format!("a grid extent of {extent} exceeds the adapter's limit of {}", caps.max_grid)));
    }
    let kernel = Kernel::new(shader, access, [lanes, 1, 1]).constant("LANES", lanes);
    let kernel = if width.input.is_multiple_of(4) {
        kernel.prelude(caps.fours()).prelude(&preludes::PLANE_FOURS)
    } else {
        kernel.prelude(&preludes::PLANE_ELEMENTS)
    };
    let mut kernel = kernel.prelude(&preludes::DIVIDE).prelude(&preludes::CONV_ROW).prelude(&preludes::CONV_ROW_EXCHANGE);
    kernel.constants.extend(conv.tap_constants()?);
    // As the prelude has it: the first and last lane of a subgroup lack a neighbour.
    let (across, lanes) = (width.output.div_ceil(4).max(width.input.div_ceil(own)), lanes as usize);
    let along = if across <= lanes { 1 } else { (across - 2).div_ceil(lanes - 2) };
    Ok(RowKernel { kernel, division: Division::Workgroups(along) })
}

/// A kernel whose lanes exchange columns where it fits, else a kernel whose invocations read rows each by itself.
pub(super) fn rows_or_alone(
    shader: &'static Shader,
    access: &[Access],
    conv: &ConvShape,
    extents: [usize; 2],
    caps: &Caps,
) -> Result<RowKernel> {
    rows(shader, access, conv, extents, caps).or_else(|_| RowKernel::alone(shader, access, conv, caps))
}
