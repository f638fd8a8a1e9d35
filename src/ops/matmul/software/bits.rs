//! Constant operands B in textures, those of few bits among them.

use crate::error::Result;
use crate::graph::Io;
use crate::kernel::{Access, Caps, preludes};
use crate::ops::matmul::bits::{Panels, Quantized};
use crate::ops::matmul::operands::Source;
use crate::ops::matmul::packing::PANEL_ROWS;
use crate::ops::matmul::product::{MatMulParams, Product};

/// Weights of few bits and their scales in textures, by panels of so many columns, for kernels that know where columns start.
pub(super) fn in_textures(quantized: &Quantized, params: &MatMulParams, panel: u32) -> Result<Source> {
    let prelude = if quantized.bits == 4 { &preludes::MATMUL_B_TEXELS_BITS4 } else { &preludes::MATMUL_B_TEXELS_BITS8 };
    // A texel holds as many rows of four columns as fit.
    let Panels { bits, scales, zeros } = quantized.panels([params.k, params.n], panel, 32 / quantized.bits)?;
    let mut source = Source::packed(prelude, bits);
    source.more.push((scales, Access::ReadTexture));
    source.more.extend(zeros.map(|zeros| (zeros, Access::Read)));
    source.base.extend([quantized.zero(), &preludes::MATMUL_B_TEXELS_BITS]);
    source.constants.extend(quantized.constants()?);
    Ok(source)
}

/// A constant B in a texture, in panels of so many columns, where a texture holds it.
pub(super) fn b_in_texture(product: &Product, io: &Io, panel: u32, params: &MatMulParams, caps: &Caps) -> Result<Option<Source>> {
    if !product.b_is_constant(io) {
        return Ok(None);
    }
    let (k, n, width) = (product.k, product.n, panel as usize);
    Ok(match &product.quantized {
        Some(quantized) if caps.texture_holds(quantized.panel_bytes([k, n], width)) => {
            let mut source = in_textures(quantized, params, panel)?;
            source.base.extend([&preludes::MATMUL_PANELS, &preludes::MATMUL_B_TEXELS_PLACES]);
            source.constants.push(("PANEL", panel));
            Some(source)
        }
        None if caps.texture_holds((n.next_multiple_of(width) * k.next_multiple_of(PANEL_ROWS) * 4) as u64) => {
            Some(Source::panels(&preludes::MATMUL_B_TEXTURE, product.b_panels(panel, params), panel))
        }
        _ => None,
    })
}
