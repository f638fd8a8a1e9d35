//! Convolutions of last resort, plain and transposed: one output element per invocation, up to three spatial axes.

use super::ConvShape;
use super::window_params::{WindowParams, tap_turns};
use crate::error::Result;
use crate::graph::Io;
use crate::kernel::{Access, Caps, Dispatch, Kernel, Lowering, Operand, preludes, shader, u32s};

shader!(pub(super) static SHADER: WindowParams = "conv_direct");

/// The convolution itself.
pub(super) fn lower(conv: &ConvShape, io: &Io, caps: &Caps) -> Result<Lowering> {
    element_per_invocation(conv, false, io, caps)
}

/// Its transpose, by gathering: each output element sums the inputs whose windows cover it.
pub(super) fn lower_transposed(conv: &ConvShape, io: &Io, caps: &Caps) -> Result<Lowering> {
    element_per_invocation(conv, true, io, caps)
}

fn element_per_invocation(conv: &ConvShape, transposed: bool, io: &Io, caps: &Caps) -> Result<Lowering> {
    let count = io.outputs[0].ty.elements();
    let mut bindings = vec![Operand::Input(0), Operand::Input(1), Operand::Output(0)];
    let kernel = Kernel::new(&SHADER, &[Access::Read, Access::Read, Access::Write], [64, 1, 1])
        .prelude(&preludes::WINDOW_PARAMS)
        .prelude(&preludes::DIVIDE)
        .prelude(&preludes::VOLUME_ELEMENT)
        .set("TRANSPOSED", transposed.into());
    let kernel = io.attach_epilogue(kernel, &mut bindings, 1, caps)?;
    let [groups, channels, filters] = u32s([conv.groups, conv.channels, conv.filters])?;
    let params = WindowParams { groups, channels, filters, ..WindowParams::new(&conv.axes, count)? };
    let turns = tap_turns(&conv.axes)?.saturating_add(1).saturating_mul(conv.channels.max(conv.filters));
    let grid = Dispatch::linear_grid(count.div_ceil(64) as u64, caps)?;
    let (flops, bytes) = conv.work();
    Ok(Lowering::new(vec![Dispatch::new(kernel, params, bindings, grid).turns(turns).work(flops, bytes)]))
}
