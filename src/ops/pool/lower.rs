//! Pooling on the GPU: one output element per invocation, up to three spatial axes.

use super::{PoolShape, Pooling};
use crate::error::{Error, Result};
use crate::graph::Io;
use crate::kernel::{Access, Caps, Dispatch, Kernel, Lowering, Operand, preludes, shader};
use crate::ops::conv::{WindowParams, tap_turns};
use crate::tensor::Scalar;

shader!(pub(super) static SHADER: WindowParams = "pool");

const WORKGROUP: usize = 64;

/// Whether anybody reads where the largest values stand.
pub(super) fn positions_are_read(io: &Io) -> bool {
    io.used.get(1).copied().unwrap_or(false)
}

/// A pooling's number in the kernels, and its power.
pub(super) fn mode(pooling: Pooling) -> (u32, f32) {
    match pooling {
        Pooling::Max { .. } => (0, 0.0),
        Pooling::Average { count_include_pad: false } => (1, 0.0),
        Pooling::Average { count_include_pad: true } => (2, 0.0),
        Pooling::Lp { p } => (3, p as f32),
    }
}

pub(super) fn lower(pool: &PoolShape, io: &Io, caps: &Caps) -> Result<Lowering> {
    if io.outputs[0].scalar() != Some(Scalar::F32) {
        return Err(Error::unsupported(format!("pooling of {}: expected a float of at most 32 bits", pool.output)));
    }
    let (mode, power) = mode(pool.pooling);
    let mut bindings = vec![Operand::Input(0), Operand::Output(0)];
    let kernel = Kernel::new(&SHADER, &[Access::Read, Access::Write], [64, 1, 1]).set("POOLING", mode);
    let kernel = kernel.set("DILATED", pool.axes.iter().any(|axis| axis.dilation > 1).into());
    let kernel = match pool.pooling {
        Pooling::Max { column_major } if positions_are_read(io) => {
            if io.outputs[1].scalar() != Some(Scalar::I32) {
                return Err(Error::unsupported("indices into more than 2^31 elements"));
            }
            bindings.push(Operand::Output(1));
            let mut kernel = kernel.prelude(&preludes::POOL_POSITIONS).set("COLUMN_MAJOR", column_major.into());
            kernel.storage.push(Access::Write);
            kernel
        }
        _ => kernel.prelude(&preludes::POOL_VALUES),
    };
    let kernel = kernel.prelude(&preludes::WINDOW_PARAMS).prelude(&preludes::DIVIDE).prelude(&preludes::VOLUME_ELEMENT);
    let kernel = io.attach_epilogue(kernel, &mut bindings, 1, caps)?;
    let count = pool.output.elements();
    let window: usize = pool.axes.iter().map(|a| a.kernel).product();
    let grid = Dispatch::linear_grid(count.div_ceil(WORKGROUP) as u64, caps)?;
    let params = WindowParams { power, ..WindowParams::new(&pool.axes, count)? };
    let bytes = 4 * (io.input(0)?.ty.elements() + count) as u64;
    let dispatch = Dispatch::new(kernel, params, bindings, grid).turns(tap_turns(&pool.axes)?);
    Ok(Lowering::new(vec![dispatch.work((count * window) as u64, bytes)]))
}
