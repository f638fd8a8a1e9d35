//! Winograd's filtering whose dispatches meet in textures, with products by broadcast within a subgroup.

use super::super::ConvShape;
use super::super::winograd::{INPUT, OUTPUT, SUMS, TILES, WEIGHTS, Winograd, bytes};
use super::exchange;
use crate::error::{Error, Result};
use crate::graph::Io;
use crate::kernel::software::packed_tile_rows;
use crate::kernel::{Access, Caps, Dispatch, Kernel, Lowering, params, preludes, shader, u32s};

params! {
    /// Parameters of the products.
    struct ProductsParams { groups: u32, steps: u32 }
}

shader!(pub(in crate::ops::conv) static PRODUCTS: ProductsParams = "software/conv_winograd_products");

/// Operations of the sums over taps below which three dispatches cost more than they save.
const FEW_OPERATIONS: u64 = 40 << 20;

/// Whether the variant wins. What it saves grows with channels times filters, what both transforms cost with channels and filters.
pub(super) fn preferred(conv: &ConvShape) -> bool {
    let (channels, filters) = (conv.channels as u64, conv.filters as u64);
    conv.work().0 >= FEW_OPERATIONS && channels * filters >= 16 * (channels + filters)
}

/// The variant, where textures hold what the dispatches hand on.
pub(super) fn lower(conv: &ConvShape, io: &Io, caps: &Caps) -> Result<Lowering> {
    let lanes = caps.broadcasting_lanes().ok_or_else(|| Error::unsupported("subgroups have fewer than 8 lanes"))?;
    let winograd = Winograd::new(conv, io, caps)?;
    let ConvShape { groups, filters, channels, .. } = *conv;
    let (rows, panel, steps) = (packed_tile_rows(winograd.tiles), 4 * lanes as usize, channels.div_ceil(4));
    let (blocks, panels, matrices) = (winograd.tiles.div_ceil(rows), filters.div_ceil(panel), winograd.matrices());
    let tiles = bytes([matrices, blocks * rows, 4 * steps]);
    let weights = bytes([matrices, panels * panel, 4 * steps]);
    let sums = bytes([matrices, blocks * rows, panels * panel]);
    if [tiles, weights, sums].iter().any(|bytes| !caps.texture_holds(*bytes)) {
        return Err(Error::unsupported("textures do not hold the transformed weights, tiles and sums"));
    }
    let access = [Access::Read, Access::WriteTexture];
    let planes = conv.batches * groups * steps;
    let mut lines = exchange::rows_or_alone(&INPUT, &access, conv, [winograd.tiles, planes], caps)?;
    lines.kernel = lines.kernel.texels().prelude(&preludes::WINOGRAD_INPUT_TEXELS);
    let first = winograd.input(lines, steps, blocks * rows, rows)?.work(0, winograd.input_bytes() + tiles);

    let access = [Access::ReadTexture, Access::ReadTexture, Access::WriteTexture];
    let [height, group_count, step_count] = u32s([rows, groups, steps])?;
    let kernel = Kernel::new(&PRODUCTS, &access, [lanes, 1, 1])
        .constant("LANES", lanes)
        .constant("ROWS", height)
        .texels()
        .prelude(&preludes::DIVIDE)
        .prelude(&preludes::ROW_SUMS)
        .prelude(&preludes::ROW_STEPS)
        .prelude(&preludes::PANEL_TEXELS);
    let params = ProductsParams { groups: group_count, steps: step_count };
    let grid = u32s([blocks, panels, matrices])?;
    let flops = (2 * matrices * channels * filters * winograd.tiles) as u64;
    let products = Dispatch::new(kernel, params, vec![TILES, WEIGHTS, SUMS], grid).turns(steps + 8);
    let products = products.work(flops, tiles + weights + sums);

    let kernel = Kernel::new(&OUTPUT, &[Access::ReadTexture, Access::Write], [64, 1, 1])
        .constant("LANES", lanes)
        .texels()
        .prelude(&preludes::WINOGRAD_SUMS_TEXELS);
    let count = groups * blocks * panels * rows * lanes as usize;
    let last = winograd.output(kernel, [blocks, panels, count], rows)?.work(0, sums + winograd.output_bytes());
    let packing = winograd.weights(panel, 4 * steps)?;
    Ok(Lowering::new(vec![first, products, last]).temporaries(vec![tiles, sums]).packed(vec![packing]))
}
