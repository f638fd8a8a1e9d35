//! The matrix product for adapters that are a CPU.

use super::super::operands::Want;
use super::super::product::{MatMulParams, Product};
use super::packed::hold;
use crate::error::{Error, Result};
use crate::graph::Io;
use crate::kernel::{Access, Caps, Kernel, Lowering, preludes, shader, u32s};

shader!(pub(in crate::ops::matmul) static SHADER: MatMulParams = "software/matmul_broadcast");

/// Tiles below which cores would stand idle.
const ENOUGH_TILES: usize = 16;

/// Rows of a tile: as many as registers hold, unless that wastes rows or leaves too few tiles.
fn rows(product: &Product, lanes: u32) -> usize {
    let columns = product.columns().div_ceil(4 * lanes as usize) * product.batches();
    let mut rows = 64;
    while rows > 8
        && (product.m.next_multiple_of(rows) - product.m >= rows / 2 || product.m.div_ceil(rows) * columns < ENOUGH_TILES)
    {
        rows /= 2;
    }
    rows
}

/// The variant, where subgroups have eight lanes or more.
pub(super) fn lower(product: &Product, io: &Io, caps: &Caps) -> Result<Lowering> {
    let lanes = caps.broadcasting_lanes().ok_or_else(|| Error::unsupported("subgroups have fewer than 8 lanes"))?;
    let rows = rows(product, lanes);
    let grid = [product.m.div_ceil(rows), product.columns().div_ceil(4 * lanes as usize), product.batches()];
    let kernel = Kernel::new(&SHADER, &[Access::Read, Access::Read, Access::Write], [lanes, 1, 1]);
    let kernel = kernel.constant("LANES", lanes).constant("ROWS", rows as u32);
    let kernel = kernel.prelude(&preludes::ROW_SUMS).prelude(&preludes::ROW_STORES);
    let panel = 4 * lanes;
    let textures = product.quantized.is_none() && hold(product, rows, panel as usize, caps);
    let want = if textures { Want::Textures { rows: rows as u32, panel } } else { Want::Panels(panel) };
    product.bind(kernel, 4, io, want, false, caps)?.finish(product, u32s(grid)?, product.k / 4 + 8, io, caps)
}
