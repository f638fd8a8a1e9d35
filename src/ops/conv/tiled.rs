//! The convolution for GPUs: an implicit product over constant weights, which are packed by tap when the model is loaded.

use super::{Problem, floats, spatial};
use crate::error::Result;
use crate::graph::Io;
use crate::kernel::{Access, Caps, Dispatch, Kernel, Lowering, Operand, Packing, params, preludes, shader};
use crate::tensor::Tensor;

params! {
    /// Parameters of the tiled kernel.
    struct TiledParams { groups: u32, filters: u32 }
}

shader!(pub(super) static SHADER: TiledParams = "conv_tiled");

/// Filters and pixels of a tile, and channels of a step.
const TILE: usize = 64;
const STEP: usize = 16;

/// Channels and filters of a group below which a tile or a step would stand empty for the most part.
const FEW: usize = 8;

/// The candidate, where weights are constant, channels fill its steps, and a grid holds the tiles.
pub(super) fn lower(problem: &Problem, io: &Io, caps: &Caps) -> Result<Option<Lowering>> {
    let constant = io.optional(1).is_some_and(|fact| fact.value.is_some());
    let (channels, taps) = (problem.channels.next_multiple_of(STEP), problem.taps());
    let grid = [problem.output_area().div_ceil(TILE), problem.filters.div_ceil(TILE), problem.batches * problem.groups];
    let turns = taps.saturating_mul(channels / STEP * (3 * STEP) + 1) + TILE;
    let fits = grid.iter().all(|n| *n <= caps.max_grid as usize) && turns <= caps.max_loop as usize;
    if !constant || problem.channels < FEW || problem.filters < FEW || !fits {
        return Ok(None);
    }
    let four = problem.output_area().is_multiple_of(4);
    let mut kernel = Kernel::new(&SHADER, &[Access::Read, Access::Read, Access::Write], [8, 8, 1])
        .constant("CHANNELS", problem.channels as u32)
        .prelude(if four { &preludes::STORE_WIDTH4 } else { &preludes::STORE_WIDTH1 });
    kernel.constants.extend(super::extents(&spatial(problem)));
    let mut bindings = vec![Operand::Input(0), Operand::Packed(0), Operand::Output(0)];
    let kernel = io.attach_epilogue(kernel, &mut bindings, if four { 4 } else { 1 }, caps)?;
    let params = TiledParams { groups: problem.groups as u32, filters: problem.filters as u32 };
    let (flops, bytes) = problem.work();
    let dispatch = Dispatch::new(kernel, params, bindings, grid.map(|n| n as u32)).work(flops, bytes);
    let arguments = [problem.groups, problem.filters, problem.channels, taps].map(|n| n as u32).to_vec();
    let packing = Packing { input: 1, layout: "conv_tiled", arguments, pack };
    Ok(Some(Lowering::Dispatches {
        variant: "taps64",
        dispatches: vec![dispatch],
        temporaries: vec![],
        packed: vec![packing],
        tables: vec![],
    }))
}

/// Weights `[groups, filters, channels, taps]` as `[groups, filter tiles, taps, channels, TILE]`, padded with zeros to whole
/// tiles and steps.
fn pack(tensor: &Tensor, arguments: &[u32]) -> Vec<u8> {
    let [groups, filters, channels, taps] = [0, 1, 2, 3].map(|i| arguments[i] as usize);
    let (tiles, padded) = (filters.div_ceil(TILE), channels.next_multiple_of(STEP));
    let mut packed = vec![0f32; groups * tiles * taps * padded * TILE];
    for (at, value) in floats(tensor).iter().enumerate() {
        let (row, tap) = (at / taps, at % taps);
        let (filter, channel) = (row / channels, row % channels);
        let (group, filter) = (filter / filters, filter % filters);
        let tile = group * tiles + filter / TILE;
        packed[((tile * taps + tap) * padded + channel) * TILE + filter % TILE] = *value;
    }
    bytemuck::cast_slice(&packed).to_vec()
}
