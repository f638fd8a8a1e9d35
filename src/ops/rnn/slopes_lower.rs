//! The slopes of a recurrent layer on the GPU.

use super::pack::{stride, units};
use super::slopes::Slopes;
use super::{Cell, RecurrentShape};
use crate::error::{Error, Result};
use crate::graph::Io;
use crate::kernel::{Access, Caps, Dispatch, Kernel, Lowering, Offers, Operand, params, preludes, shader, u32s};
use crate::tensor::Scalar;
use std::ops::Range;

params! {
    /// Parameters of the kernel.
    pub(super) struct SlopesParams {
        steps: u32,
        batch: u32,
        hidden: u32,
        directions: u32,
        direction: u32,
        reversed: u32,
        batch_first: u32,
        first_step: u32,
        last_step: u32,
        stride: u32,
        width: u32,
        columns: u32,
        clip: f32,
        f_alpha: f32,
        f_beta: f32,
        g_alpha: f32,
        g_beta: f32,
        h_alpha: f32,
        h_beta: f32,
    }
}

shader!(pub(super) static SHADER: SlopesParams = "recurrent_slopes");

/// Loop iterations of an invocation at a step: blocks of zeros.
const TURNS: usize = 8;
/// Bytes that stand for the cell states of cells that have none.
const SCRATCH: u64 = 16;

pub(super) fn lower(op: &Slopes, io: &Io, offers: &mut Offers) -> Result<()> {
    for k in [0, 1, 2, 4, 5] {
        if io.optional(k).is_some_and(|f| f.scalar() != Some(Scalar::F32)) {
            return Err(Error::unsupported("gradients of a recurrent layer of other than 32-bit floats"));
        }
    }
    if io.optional(3).is_some_and(|f| f.scalar() != Some(Scalar::I32)) {
        return Err(Error::unsupported("sequence lengths that are not known to fit 32 bits"));
    }
    let caps = offers.caps();
    offers.only("slopes", || {
        let steps = op.geometry.steps;
        // An LSTM walks the steps, so many in a dispatch.
        let together = if op.layer.cell.is_lstm() { caps.most_turns(TURNS) } else { steps.max(1) };
        let parts = (0..steps).step_by(together).map(|first| first..(first + together).min(steps));
        let dispatches = parts.map(|part| dispatch(op, io, part, caps)).collect::<Result<_>>()?;
        let scratch = if op.layer.cell.is_lstm() { vec![] } else { vec![SCRATCH] };
        Ok(Lowering::new(dispatches).temporaries(scratch))
    });
    Ok(())
}

fn dispatch(op: &Slopes, io: &Io, part: Range<usize>, caps: &Caps) -> Result<Dispatch> {
    let RecurrentShape { batch, hidden, .. } = op.geometry;
    let cell = op.layer.cell;
    let optional = |k: usize| if io.optional(k).is_some() { Operand::Input(k) } else { Operand::Nothing };
    let access = [[Access::Read; 6].as_slice(), &[Access::Write; 2]].concat();
    let kind = match cell {
        Cell::Rnn => 0,
        Cell::Gru { linear_before_reset } => 1 + u32::from(linear_before_reset),
        Cell::Lstm { input_forget } => 3 + u32::from(input_forget),
    };
    let [gates, blocks] = u32s([cell.gates(), cell.slopes()])?;
    let mut kernel = Kernel::new(&SHADER, &access, [64, 1, 1])
        .prelude(&preludes::ACTIVATION)
        .constant("CELL", kind)
        .constant("GATES", gates)
        .constant("SLOPES", blocks)
        .set("HAS_LENGTHS", u32::from(io.optional(3).is_some()))
        .set("HAS_STATE", u32::from(io.optional(4).is_some()))
        .set("SHIFTED", u32::from(op.shifted));
    for (name, activation) in ["F", "G", "H"].into_iter().zip(op.layer.three(op.direction)) {
        kernel = kernel.constant(name, activation.function as u32);
    }
    let params = parameters(op, &part)?;
    // What is written goes somewhere.
    let memories = if cell.is_lstm() { Operand::Output(1) } else { Operand::Temporary(0) };
    let bindings = vec![
        Operand::Input(0),
        Operand::Input(1),
        Operand::Input(2),
        optional(3),
        optional(4),
        optional(5),
        Operand::Output(0),
        memories,
    ];
    let rows = batch * if cell.is_lstm() { 1 } else { part.len() };
    let places = (batch * hidden * part.len()) as u64;
    let grid = Dispatch::linear_grid(((rows * hidden) as u64).div_ceil(64), caps)?;
    let turns = TURNS * if cell.is_lstm() { part.len() } else { 1 };
    Ok(Dispatch::new(kernel, params, bindings, grid).turns(turns).work(30 * places, 40 * places))
}

fn parameters(op: &Slopes, part: &Range<usize>) -> Result<SlopesParams> {
    let RecurrentShape { steps, batch, hidden, directions, .. } = op.geometry;
    let (layer, cell) = (&op.layer, op.layer.cell);
    let [f, g, h] = layer.three(op.direction);
    let [steps, batch, hidden_units, directions, direction] = u32s([steps, batch, hidden, directions, op.direction])?;
    let [first_step, last_step, stride, width, columns] =
        u32s([part.start, part.end, 4 * stride(cell, hidden), 4 * units(hidden), op.columns()])?;
    Ok(SlopesParams {
        steps,
        batch,
        hidden: hidden_units,
        directions,
        direction,
        reversed: u32::from(layer.reversed(op.direction)),
        batch_first: u32::from(layer.batch_first),
        first_step,
        last_step,
        stride,
        width,
        columns,
        clip: layer.clip.unwrap_or(f32::MAX),
        f_alpha: f.alpha,
        f_beta: f.beta,
        g_alpha: g.alpha,
        g_beta: g.beta,
        h_alpha: h.alpha,
        h_beta: h.beta,
    })
}
