//! Convolutions whose groups hold one input channel each: no sums over channels, so that what counts is to read each input
//! once.

use super::{Axis, Problem};
use crate::error::Result;
use crate::graph::Io;
use crate::kernel::{Access, AdapterClass, Caps, Dispatch, Kernel, Lowering, Operand, Parameters, Shader, params, preludes};

params! {
    /// Parameters of the depthwise kernel.
    pub(super) struct DepthwiseParams { planes: u32 }
}

pub(super) static SHADER: Shader =
    Shader { name: "conv_depthwise", source: include_str!("../../../shaders/conv_depthwise.wgsl"), params: DepthwiseParams::FIELDS };

/// Input values under the window of four outputs that registers hold.
const MOST_VALUES: usize = 128;

/// Filters of a channel from which on a product, which reads the channel once for all of them, wins.
const MANY_FILTERS: usize = 8;

/// Output rows of an invocation of a GPU.
const GPU_ROWS: usize = 8;

/// Work items below which cores would stand idle.
const ENOUGH_ITEMS: usize = 16;

/// The candidates, where groups hold one channel and few filters: by exchange within subgroups on a CPU, and without.
pub(super) fn lower(problem: &Problem, io: &Io, caps: &Caps) -> Result<Vec<Lowering>> {
    let [depth, height, width] = super::spatial(problem);
    let span = |axis: &Axis, outputs: usize| (outputs - 1) * axis.stride + (axis.kernel - 1) * axis.dilation + 1;
    if problem.channels != 1 || problem.filters >= MANY_FILTERS || depth != Axis::ABSENT || span(&height, 1) * span(&width, 4) > MOST_VALUES {
        return Ok(vec![]);
    }
    let mut lowerings = vec![];
    let own = 4 * width.stride;
    let reach = usize::try_from(width.begin).is_ok_and(|begin| begin <= own && span(&width, 4) <= begin + 2 * own);
    if let Some(lanes) = caps.subgroup.filter(|lanes| (8..=64).contains(lanes) && reach && caps.class == AdapterClass::Cpu) {
        let lanes = lanes as usize;
        let across = width.output.div_ceil(4).max(width.input.div_ceil(own));
        let chunks = if across <= lanes { 1 } else { (across - 2).div_ceil(lanes - 2) };
        let items = planes(problem) * chunks;
        let segments = ENOUGH_ITEMS.div_ceil(items).min(height.output.div_ceil(GPU_ROWS));
        let rows = height.output.div_ceil(segments);
        let kernel = if width.input.is_multiple_of(4) {
            kernel(lanes).prelude(preludes::fours(caps)).prelude(&preludes::PLANE_FOURS)
        } else {
            kernel(lanes).prelude(&preludes::PLANE_ELEMENTS)
        };
        let kernel = kernel.prelude(&preludes::CONV_ROW_LANES);
        lowerings.push(finish("depthwise_lanes", kernel, problem, rows, items * height.output.div_ceil(rows), io, caps)?);
    }
    let rows = GPU_ROWS.min(height.output);
    let items = planes(problem) * width.output.div_ceil(4) * height.output.div_ceil(rows);
    let kernel = kernel(64).prelude(&preludes::CONV_ROW_DIRECT);
    lowerings.push(finish("depthwise", kernel, problem, rows, items.div_ceil(64), io, caps)?);
    Ok(lowerings)
}

/// Output channels of the whole batch.
fn planes(problem: &Problem) -> usize {
    problem.batches * problem.groups * problem.filters
}

fn kernel(lanes: usize) -> Kernel {
    let access = [Access::Read, Access::Read, Access::Write];
    Kernel::new(&SHADER, &access, [lanes as u32, 1, 1]).constant("LANES", lanes as u32)
}

fn finish(
    variant: &'static str,
    mut kernel: Kernel,
    problem: &Problem,
    rows: usize,
    workgroups: usize,
    io: &Io,
    caps: &Caps,
) -> Result<Lowering> {
    let [_, _, width] = super::spatial(problem);
    kernel.constants.extend(super::extents(&super::spatial(problem)));
    let four = width.output.is_multiple_of(4);
    let kernel = kernel
        .constant("ROWS", rows as u32)
        .constant("PLANE_KERNELS", (problem.groups * problem.filters) as u32)
        .constant("MULTIPLIER", problem.filters as u32)
        .prelude(if four { &preludes::STORE_WIDTH4 } else { &preludes::STORE_WIDTH1 });
    let mut bindings = vec![Operand::Input(0), Operand::Input(1), Operand::Output(0)];
    let kernel = io.attach_epilogue(kernel, &mut bindings, if four { 4 } else { 1 }, caps)?;
    let params = DepthwiseParams { planes: planes(problem) as u32 };
    let (flops, bytes) = problem.work();
    let grid = Dispatch::linear_grid(workgroups as u64, caps)?;
    Ok(Lowering::dispatches(variant, vec![Dispatch::new(kernel, params, bindings, grid).work(flops, bytes)]))
}
