//! Pooling on the GPU: one output element per invocation, up to three spatial axes.

use super::{Pooling, Problem};
use crate::error::{Error, Result};
use crate::graph::Io;
use crate::kernel::{Access, Caps, Dispatch, Kernel, Lowering, Operand, params, shader};
use crate::ops::conv::Axis;
use crate::tensor::Scalar;

params! {
    /// Parameters of both kernels, spatial axes last of three.
    struct PoolParams {
        input_extents: [u32; 4],
        output_extents: [u32; 4],
        kernel_extents: [u32; 4],
        strides: [u32; 4],
        dilations: [u32; 4],
        begins: [i32; 4],
        padded_extents: [i32; 4],
        count: u32,
        power: f32,
    }
}

shader!(pub(super) static SHADER: PoolParams = "pool");
shader!(pub(super) static INDICES: PoolParams = "max_pool_indices");

fn params(problem: &Problem, caps: &Caps) -> Result<PoolParams> {
    if problem.axes.len() > 3 {
        return Err(Error::unsupported(format!("pooling over {} spatial axes: expected at most 3", problem.axes.len())));
    }
    let mut axes = [Axis::ABSENT; 4];
    axes[3 - problem.axes.len()..3].copy_from_slice(&problem.axes);
    let turns = axes[..3].iter().rev().fold(0, |inner: usize, axis| (inner + 1).saturating_mul(axis.kernel));
    if turns > caps.max_loop as usize {
        return Err(Error::unsupported(format!("a window of {turns} elements: expected at most {}", caps.max_loop)));
    }
    let all = |pick: fn(&Axis) -> usize| axes.each_ref().map(|a| pick(a) as u32);
    Ok(PoolParams {
        input_extents: all(|a| a.input),
        output_extents: all(|a| a.output),
        kernel_extents: all(|a| a.kernel),
        strides: all(|a| a.stride),
        dilations: all(|a| a.dilation),
        begins: axes.each_ref().map(|a| a.begin as i32),
        padded_extents: axes.each_ref().map(|a| (a.input as i64 + a.end) as i32),
        count: problem.output.elements() as u32,
        power: if let Pooling::Lp { p } = problem.pooling { p as f32 } else { 0.0 },
    })
}

pub(super) fn lower(problem: &Problem, io: &Io, caps: &Caps) -> Result<Lowering> {
    if io.outputs[0].scalar() != Some(Scalar::F32) {
        return Err(Error::unsupported(format!("pooling of {}: expected a float of at most 32 bits", problem.output)));
    }
    let indices = io.used.get(1).copied().unwrap_or(false);
    let mut bindings = vec![Operand::Input(0), Operand::Output(0)];
    let kernel = match problem.pooling {
        Pooling::Max { column_major } if indices => {
            if io.outputs[1].scalar() != Some(Scalar::I32) {
                return Err(Error::unsupported("indices into more than 2^31 elements"));
            }
            bindings.push(Operand::Output(1));
            Kernel::new(&INDICES, &[Access::Read, Access::Write, Access::Write], [64, 1, 1])
                .set("COLUMN_MAJOR", column_major.into())
        }
        _ => {
            let mode = match problem.pooling {
                Pooling::Max { .. } => 0,
                Pooling::Average { count_include_pad: false } => 1,
                Pooling::Average { count_include_pad: true } => 2,
                Pooling::Lp { .. } => 3,
            };
            Kernel::new(&SHADER, &[Access::Read, Access::Write], [64, 1, 1]).set("POOLING", mode)
        }
    };
    let kernel = io.attach_epilogue(kernel, &mut bindings, 1, caps)?;
    let count = problem.output.elements() as u64;
    let window: usize = problem.axes.iter().map(|a| a.kernel).product();
    let grid = Dispatch::linear_grid(count.div_ceil(64), caps)?;
    let bytes = 4 * (io.input(0)?.ty.elements() as u64 + count);
    let dispatch = Dispatch::new(kernel, params(problem, caps)?, bindings, grid).work(count * window as u64, bytes);
    Ok(Lowering::dispatches(if indices { "indices" } else { "direct" }, vec![dispatch]))
}
