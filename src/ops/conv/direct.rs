//! Convolutions of last resort, plain and transposed: one output element per invocation, up to three spatial axes.

use super::{Axis, Problem};
use crate::error::{Error, Result};
use crate::graph::Io;
use crate::kernel::{Access, Caps, Dispatch, Kernel, Lowering, Operand, Shader, params, shader};

params! {
    /// Parameters of the direct kernels, spatial axes last of three.
    pub(super) struct ConvParams {
        input_extents: [u32; 4],
        output_extents: [u32; 4],
        kernel_extents: [u32; 4],
        strides: [u32; 4],
        dilations: [u32; 4],
        begins: [i32; 4],
        groups: u32,
        channels: u32,
        filters: u32,
        count: u32,
    }
}

shader!(pub(super) static SHADER: ConvParams = "conv_direct");
shader!(pub(super) static TRANSPOSED: ConvParams = "conv_transpose");

impl ConvParams {
    fn new(problem: &Problem, count: usize, caps: &Caps) -> Result<Self> {
        let mut axes = [Axis::ABSENT; 4];
        let skip = 3 - problem.axes.len();
        axes[skip..3].copy_from_slice(&problem.axes);
        let turns = axes[..3].iter().rev().fold(0, |inner: usize, axis| (inner + 1).saturating_mul(axis.kernel));
        let turns = (turns + 1).saturating_mul(problem.channels.max(problem.filters));
        if turns > caps.max_loop as usize {
            return Err(Error::unsupported(format!(
                "a convolution over {turns} channels and taps: expected at most {}",
                caps.max_loop
            )));
        }
        let all = |pick: fn(&Axis) -> usize| axes.each_ref().map(|a| pick(a) as u32);
        Ok(ConvParams {
            input_extents: all(|a| a.input),
            output_extents: all(|a| a.output),
            kernel_extents: all(|a| a.kernel),
            strides: all(|a| a.stride),
            dilations: all(|a| a.dilation),
            begins: axes.each_ref().map(|a| a.begin as i32),
            groups: problem.groups as u32,
            channels: problem.channels as u32,
            filters: problem.filters as u32,
            count: count as u32,
        })
    }
}

/// The convolution itself.
pub(super) fn lower(problem: &Problem, io: &Io, caps: &Caps) -> Result<Lowering> {
    dispatch(&SHADER, problem, io, caps)
}

/// Its transpose, by gathering: each output element sums the inputs whose windows cover it.
pub(super) fn lower_transposed(problem: &Problem, io: &Io, caps: &Caps) -> Result<Lowering> {
    dispatch(&TRANSPOSED, problem, io, caps)
}

fn dispatch(shader: &'static Shader, problem: &Problem, io: &Io, caps: &Caps) -> Result<Lowering> {
    let count = io.outputs[0].ty.elements();
    let mut bindings = vec![Operand::Input(0), Operand::Input(1), Operand::Output(0)];
    let kernel = Kernel::new(shader, &[Access::Read, Access::Read, Access::Write], [64, 1, 1]);
    let kernel = io.attach_epilogue(kernel, &mut bindings, 1, caps)?;
    let grid = Dispatch::linear_grid(count.div_ceil(64) as u64, caps)?;
    let (flops, bytes) = problem.work();
    let dispatch = Dispatch::new(kernel, ConvParams::new(problem, count, caps)?, bindings, grid).work(flops, bytes);
    Ok(Lowering::dispatches("direct", vec![dispatch]))
}
