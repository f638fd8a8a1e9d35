//! Convolutions whose groups hold one input channel each: no sums over channels, so that what counts is to read each input
//! once.

use super::rows::{Rows, columns};
use super::{Axis, Problem, spatial};
use crate::error::Result;
use crate::graph::Io;
use crate::kernel::{Access, Caps, Dispatch, Lowering, Operand, params, preludes, shader};

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

const ACCESS: [Access; 3] = [Access::Read, Access::Read, Access::Write];

/// Input values under the window of four outputs, and taps, that registers hold. Beyond, GPUs' compilers take scratch memory.
const MOST_VALUES: usize = 120;

/// Filters of a channel from which on a product, which reads the channel once for all of them, wins.
const MANY_FILTERS: usize = 8;

/// Output rows that an invocation of a GPU walks down.
const GPU_ROWS: usize = 8;

/// Subgroups below which cores of a CPU would stand idle.
const ENOUGH_SUBGROUPS: usize = 16;

/// The candidates, where groups hold one channel and few filters: by exchange within subgroups on a CPU, and without.
pub(super) fn lower(problem: &Problem, io: &Io, caps: &Caps) -> Result<Vec<Lowering>> {
    let [depth, height, _] = spatial(problem);
    let span = (height.kernel - 1) * height.dilation + 1;
    let held = span.saturating_mul(columns(problem)).saturating_add(problem.taps());
    if problem.channels != 1 || problem.filters >= MANY_FILTERS || depth != Axis::ABSENT || held > MOST_VALUES {
        return Ok(vec![]);
    }
    let mut lowerings = vec![];
    if let Some(mut rows) = Rows::exchanged(&SHADER, &ACCESS, problem, [height.output, planes(problem)], caps) {
        let segments = ENOUGH_SUBGROUPS.div_ceil(rows.workgroups(planes(problem))).min(height.output.div_ceil(GPU_ROWS));
        rows.kernel = rows.kernel.prelude(&preludes::CONV_TAPS_LANES);
        lowerings.push(finish("depthwise_lanes", rows, problem, height.output.div_ceil(segments), io, caps)?);
    }
    let mut rows = Rows::direct(&SHADER, &ACCESS, problem);
    rows.kernel = rows.kernel.prelude(&preludes::CONV_TAPS_DIRECT);
    lowerings.push(finish("depthwise", rows, problem, GPU_ROWS.min(height.output), io, caps)?);
    Ok(lowerings)
}

/// Output channels of the whole batch.
fn planes(problem: &Problem) -> usize {
    problem.batches * problem.groups * problem.filters
}

fn finish(variant: &'static str, rows: Rows, problem: &Problem, segment: usize, io: &Io, caps: &Caps) -> Result<Lowering> {
    let [_, height, width] = spatial(problem);
    let grid = rows.grid(height.output.div_ceil(segment), planes(problem), caps)?;
    let four = width.output.is_multiple_of(4);
    let kernel = rows.kernel.prelude(if four { &preludes::STORE_WIDTH4 } else { &preludes::STORE_WIDTH1 });
    let mut bindings = vec![Operand::Input(0), Operand::Input(1), Operand::Output(0)];
    let kernel = io.attach_epilogue(kernel, &mut bindings, if four { 4 } else { 1 }, caps)?;
    let params = DepthwiseParams {
        planes: planes(problem) as u32,
        input_height: height.input as u32,
        input_width: width.input as u32,
        output_height: height.output as u32,
        output_width: width.output as u32,
        rows: segment as u32,
        kernels: (problem.groups * problem.filters) as u32,
        multiplier: problem.filters as u32,
    };
    let (flops, bytes) = problem.work();
    Ok(Lowering::dispatches(variant, vec![Dispatch::new(kernel, params, bindings, grid).work(flops, bytes)]))
}
