//! Pooling by invocations that make four neighbouring columns each and keep the rows under their windows in registers.

use super::lower::mode;
use super::{PoolShape, Pooling};
use crate::error::{Error, Result};
use crate::graph::Io;
use crate::kernel::{Access, Caps, Dispatch, Lowering, Operand, params, shader, u32s};
use crate::ops::conv::{ConvShape, RowKernel, with_stores};
use crate::tensor::Scalar;

params! {
    /// Parameters of the kernel.
    struct PoolRowsParams {
        planes: u32,
        input_height: u32,
        input_width: u32,
        output_height: u32,
        output_width: u32,
        rows: u32,
        padded_height: u32,
        padded_width: u32,
    }
}

shader!(pub(super) static SHADER: PoolRowsParams = "pool_rows");

/// How it uses its bindings.
pub(super) const ACCESS: [Access; 2] = [Access::Read, Access::Write];

/// Input values under the window of four outputs that registers hold.
const MOST_VALUES: usize = 120;

/// Output rows that an invocation walks down where windows overlap.
const ROWS: usize = 4;

/// The window as that of a convolution of each plane by itself, where registers hold what is under it.
pub(super) fn window(pool: &PoolShape, io: &Io) -> Result<ConvShape> {
    if matches!(pool.pooling, Pooling::Lp { .. }) || io.outputs[0].scalar() != Some(Scalar::F32) {
        return Err(Error::unsupported("it serves the mean and the largest of floats"));
    }
    let conv = ConvShape { batches: 1, groups: pool.planes, channels: 1, filters: 1, axes: pool.axes.clone() };
    let [height, width] = conv.plane()?;
    let columns = 3 * width.stride + (width.kernel - 1).saturating_mul(width.dilation) + 1;
    let held = ((height.kernel - 1).saturating_mul(height.dilation) + 1).saturating_mul(columns);
    if held > MOST_VALUES {
        return Err(Error::unsupported(format!("registers would hold {held} values: expected at most {MOST_VALUES}")));
    }
    Ok(conv)
}

/// The variant whose invocations read rows each by itself.
pub(super) fn lower(pool: &PoolShape, io: &Io, caps: &Caps) -> Result<Lowering> {
    let conv = window(pool, io)?;
    let [height, _] = conv.plane()?;
    let overlap = (height.kernel - 1) * height.dilation >= height.stride;
    let rows = RowKernel::alone(&SHADER, &ACCESS, &conv, caps)?;
    finish(rows, pool, &conv, if overlap { ROWS.min(height.output) } else { 1 }, io, caps)
}

/// The variant whose invocations walk down so many output rows.
pub(super) fn finish(
    rows: RowKernel,
    pool: &PoolShape,
    conv: &ConvShape,
    segment: usize,
    io: &Io,
    caps: &Caps,
) -> Result<Lowering> {
    let [height, width] = conv.plane()?;
    let grid = rows.grid(height.output.div_ceil(segment), pool.planes, caps)?;
    let mut bindings = vec![Operand::Input(0), Operand::Output(0)];
    let (mode, _) = mode(pool.pooling);
    let kernel = with_stores(rows.kernel.set("POOLING", mode), &mut bindings, width.output, io, caps)?;
    let padded = |input: usize, end: i64| u32::try_from(input as i64 + end).map_err(|_| Error::unsupported("padding that crops"));
    let [planes, rows] = u32s([pool.planes, segment])?;
    let [input_height, input_width, output_height, output_width] = u32s([height.input, width.input, height.output, width.output])?;
    let (padded_height, padded_width) = (padded(height.input, height.end)?, padded(width.input, width.end)?);
    let params =
        PoolRowsParams { planes, input_height, input_width, output_height, output_width, rows, padded_height, padded_width };
    let made = (pool.planes * height.output * width.output) as u64;
    let (flops, bytes) = (made * conv.taps() as u64, 4 * (made + io.input(0)?.ty.elements() as u64));
    Ok(Lowering::new(vec![Dispatch::new(kernel, params, bindings, grid).turns(segment).work(flops, bytes)]))
}
