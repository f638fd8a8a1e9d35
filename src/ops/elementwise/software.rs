//! Elementwise programs on software adapters: operands that are read often enough are copied into textures.

use super::map::Printing;
use crate::error::{Error, Result};
use crate::kernel::{Access, Caps, Offers};
use crate::tensor::Scalar;

/// Storage textures that every adapter binds at a time (WebGPU specification, section 3.6.2).
const MOST_TEXTURES: usize = 4;

/// Offers four elements per invocation from textures, before all others.
pub(super) fn offer(printing: &Printing, offers: &mut Offers) {
    let caps = offers.caps();
    if !caps.is_software() {
        return;
    }
    offers.add("width4_texels", 0, || {
        let access = accesses(printing, caps)?;
        if !access.iter().any(|access| access.is_texture()) {
            return Err(Error::unsupported("no operand is read often enough to be worth a copy into a texture"));
        }
        printing.lowering(printing.kernel(4, &access).texels(), 4, &access)
    });
}

/// How to bind the operands: as textures where that saves more than the copy costs.
fn accesses(printing: &Printing, caps: &Caps) -> Result<Vec<Access>> {
    let output = &printing.output.ty;
    let mut left = MOST_TEXTURES;
    let mut accesses = Vec::with_capacity(printing.facts.len());
    for (k, fact) in printing.facts.iter().enumerate() {
        let suits = left > 0 && printing.scalars[k] == Scalar::F32 && caps.copying_pays(output.elements(), fact.ty.elements());
        let copied = suits && printing.program.reads_fours(k, &fact.ty, output)?;
        left -= usize::from(copied);
        accesses.push(if copied { Access::ReadTexture } else { Access::Read });
    }
    Ok(accesses)
}
