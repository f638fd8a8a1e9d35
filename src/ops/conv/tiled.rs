//! The convolution for GPUs: an implicit product over constant weights, which are packed by tap when the model is loaded.

use super::{ConvShape, check_weights, floats, with_stores};
use crate::error::{Error, Result};
use crate::graph::Io;
use crate::kernel::{Access, Caps, Dispatch, Kernel, Lowering, Operand, Packing, params, shader, u32s};
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

/// The variant, where weights are constant and channels fill its steps.
pub(super) fn lower(conv: &ConvShape, io: &Io, caps: &Caps) -> Result<Lowering> {
    check_weights(io)?;
    if conv.channels < FEW || conv.filters < FEW {
        let (channels, filters) = (conv.channels, conv.filters);
        return Err(Error::unsupported(format!("groups of {channels} channels and {filters} filters: expected {FEW} of each")));
    }
    let area = conv.output_area();
    let mut kernel = Kernel::new(&SHADER, &[Access::Read, Access::Read, Access::Write], [8, 8, 1]);
    let [groups, filters, channels, taps] = u32s([conv.groups, conv.filters, conv.channels, conv.taps()])?;
    kernel = kernel.constant("CHANNELS", channels);
    kernel.constants.extend(conv.window_constants()?);
    let mut bindings = vec![Operand::Input(0), Operand::Packed(0), Operand::Output(0)];
    let kernel = with_stores(kernel, &mut bindings, area, io, caps)?;
    let grid = u32s([area.div_ceil(TILE), conv.filters.div_ceil(TILE), conv.batches * conv.groups])?;
    // Of a step: what an invocation brings and stores of both tiles, and the products.
    let steps = conv.channels.div_ceil(STEP);
    let turns = conv.taps().saturating_mul(steps * (3 * STEP) + 1) + TILE;
    let (flops, bytes) = conv.work();
    let dispatch = Dispatch::new(kernel, TiledParams { groups, filters }, bindings, grid).turns(turns).work(flops, bytes);
    let arguments = vec![groups, filters, channels, taps];
    let packing = Packing { input: 1, layout: "conv_tiled", arguments, pack };
    Ok(Lowering::new(vec![dispatch]).packed(vec![packing]))
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
