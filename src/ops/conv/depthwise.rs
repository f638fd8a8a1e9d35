//! Convolutions whose groups hold one input channel each: no sums over channels, so that what counts is to read each input
//! once.

use super::row_kernel::{RowKernel, columns};
use super::{ConvShape, with_stores};
use crate::error::{Error, Result};
use crate::graph::Io;
use crate::kernel::{Access, Caps, Dispatch, Lowering, Operand, params, preludes, shader, u32s};

params! {
    /// Parameters of the depthwise kernel.
    pub(super) struct DepthwiseParams {
        planes: u32,
        input_height: u32,
        input_width: u32,
        output_height: u32,
        output_width: u32,
        rows: u32,
        kernels: u32,
        multiplier: u32,
    }
}

shader!(pub(super) static SHADER: DepthwiseParams = "conv_depthwise");

pub(super) const ACCESS: [Access; 3] = [Access::Read, Access::Read, Access::Write];

/// Input values under the window of four outputs, and taps, that registers hold. Beyond, GPUs' compilers take scratch memory.
const MOST_VALUES: usize = 120;

/// Filters of a channel from which on a product, which reads the channel once for all of them, wins.
const MANY_FILTERS: usize = 8;

/// Output rows that an invocation of a GPU walks down.
pub(super) const GPU_ROWS: usize = 8;

/// Refuses windows that registers do not hold, and groups of several channels or many filters.
pub(super) fn check(conv: &ConvShape) -> Result<()> {
    if conv.channels != 1 || conv.filters >= MANY_FILTERS {
        let (channels, filters) = (conv.channels, conv.filters);
        return Err(Error::unsupported(format!(
            "groups of {channels} channels and {filters} filters: expected one channel, few filters"
        )));
    }
    let [height, _] = conv.plane()?;
    let span = (height.kernel - 1) * height.dilation + 1;
    let held = span.saturating_mul(columns(conv)?).saturating_add(conv.taps());
    if held > MOST_VALUES {
        return Err(Error::unsupported(format!("registers would hold {held} values: expected at most {MOST_VALUES}")));
    }
    Ok(())
}

/// The variant whose invocations read rows each by itself.
pub(super) fn lower(conv: &ConvShape, io: &Io, caps: &Caps) -> Result<Lowering> {
    check(conv)?;
    let [height, _] = conv.plane()?;
    let mut rows = RowKernel::alone(&SHADER, &ACCESS, conv, caps)?;
    rows.kernel = rows.kernel.prelude(&preludes::CONV_TAPS_DIRECT);
    finish(rows, conv, GPU_ROWS.min(height.output), io, caps)
}

/// Output channels of the whole batch.
pub(super) fn planes(conv: &ConvShape) -> usize {
    conv.batches * conv.groups * conv.filters
}

/// The variant whose invocations walk down so many output rows.
pub(super) fn finish(rows: RowKernel, conv: &ConvShape, segment: usize, io: &Io, caps: &Caps) -> Result<Lowering> {
    let [height, width] = conv.plane()?;
    let grid = rows.grid(height.output.div_ceil(segment), planes(conv), caps)?;
    let mut bindings = vec![Operand::Input(0), Operand::Input(1), Operand::Output(0)];
    let kernel = with_stores(rows.kernel, &mut bindings, width.output, io, caps)?;
    let [input_height, input_width, output_height, output_width] = u32s([height.input, width.input, height.output, width.output])?;
    let [planes, rows, kernels, multiplier] = u32s([planes(conv), segment, conv.groups * conv.filters, conv.filters])?;
    let params = DepthwiseParams { planes, input_height, input_width, output_height, output_width, rows, kernels, multiplier };
    let (flops, bytes) = conv.work();
    Ok(Lowering::new(vec![Dispatch::new(kernel, params, bindings, grid).turns(segment).work(flops, bytes)]))
}
