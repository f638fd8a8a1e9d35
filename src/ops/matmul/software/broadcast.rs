//! The product of operands that are read where they lie, constants apart; values of A travel by broadcast within a subgroup.

use super::packed;
use crate::error::{Error, Result};
use crate::graph::Io;
use crate::kernel::{Access, Caps, Kernel, Lowering, preludes, shader, software, u32s};
use crate::ops::matmul::operands::{AForm, BForm, Source};
use crate::ops::matmul::product::{MatMulParams, Product};

shader!(pub(in crate::ops::matmul) static SHADER: MatMulParams = "software/matmul_broadcast");

/// The variant, where subgroups have eight lanes or more.
pub(super) fn lower(product: &Product, io: &Io, caps: &Caps) -> Result<Lowering> {
    let lanes = caps.broadcasting_lanes().ok_or_else(|| Error::unsupported("subgroups have fewer than 8 lanes"))?;
    let panel = 4 * lanes;
    let column_tiles = product.columns().div_ceil(panel as usize);
    let rows = software::tile_rows(product.m, column_tiles * product.batches());
    let grid = [product.m.div_ceil(rows), column_tiles, product.batches()];

    let mut params = product.params()?;
    let textures = product.quantized.is_none() && packed::textures_hold(product, rows, panel as usize, caps);
    let [height] = u32s([rows])?;
    let (a, a_access) = if textures && product.a_is_constant(io) {
        (Source::packed(&preludes::MATMUL_A_TEXTURE, packed::a_tiles(product, height, &params)), Access::ReadTexture)
    } else {
        (product.a_source(io, AForm::Rows, &mut params)?, Access::Read)
    };
    let (b, b_access) = if textures && product.b_is_constant(io) {
        let panels = product.b_panels(panel, &params);
        (Source::panels(&preludes::MATMUL_B_TEXTURE, panels, panel), Access::ReadTexture)
    } else {
        (product.b_source(io, BForm::Panels(panel), &mut params)?, Access::Read)
    };
    let kernel = Kernel::new(&SHADER, &[a_access, b_access, Access::Write], [lanes, 1, 1])
        .constant("LANES", lanes)
        .constant("ROWS", height)
        .prelude(&preludes::ROW_SUMS)
        .prelude(&preludes::ROW_STORES);
    let kernel = if a_access.is_texture() || b_access.is_texture() { kernel.texels() } else { kernel };
    product.bind(kernel, [a, b], params, io, caps)?.finish(grid, product.k / 4 + 8)
}
