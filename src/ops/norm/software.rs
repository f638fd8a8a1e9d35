//! What normalization has for software adapters: a large input is copied to a texture, from which rows are read faster, and
//! constant scales lie in textures from the start. Several rows share one workgroup, since reading scale and bias again for each
//! costs as much as the row.

use super::super::shared::ENOUGH_WORKGROUPS;
use super::lower::{NormKernels, RANKS};
use crate::error::{Error, Result};
use crate::kernel::{Access, Lowering, Offers, Prelude, preludes};

/// The most rows that a workgroup does in turn.
const MOST_IN_TURN: usize = 16;

/// Offers the variants that keep rows in registers; false on GPUs.
pub(super) fn offer(kernels: &NormKernels, offers: &mut Offers) -> bool {
    if !kernels.caps.is_software() {
        return false;
    }
    offers.add("row_texels", RANKS.software, || {
        let elements = kernels.elements();
        if kernels.affine.width != 4 || !kernels.caps.copying_pays(elements, elements) {
            return Err(Error::unsupported("a copy of the input in a texture takes longer than it saves"));
        }
        row(kernels, Access::ReadTexture)
    });
    offers.add("row", RANKS.row, || row(kernels, Access::Read));
    true
}

/// Rows that are read by such access.
fn row(kernels: &NormKernels, x: Access) -> Result<Lowering> {
    let (affine, prelude) = affine(kernels);
    let kernel = kernels.row_kernel(x, affine);
    let kernel = if affine.is_texture() { kernel.texels() } else { kernel };
    let by_column = kernels.affine.prelude == &preludes::AFFINE_COLUMNS;
    let in_turn = if by_column { (kernels.rows / ENOUGH_WORKGROUPS).clamp(1, MOST_IN_TURN) } else { 1 };
    kernels.row(kernel.reads_rows(x).prelude(prelude), in_turn)
}

/// How scale and bias are read: from textures where they are constants in groups of four.
fn affine(kernels: &NormKernels) -> (Access, &'static Prelude) {
    let constant =
        |k: usize| kernels.io.optional(k).is_none_or(|f| f.value.is_some() && kernels.caps.constants_in_textures(f.gpu_bytes()));
    let groups = kernels.affine.prelude == &preludes::AFFINE_COLUMNS && kernels.affine.width == 4;
    if groups && constant(1) && constant(2) {
        (Access::ReadTexture, &preludes::AFFINE_COLUMNS_TEXELS)
    } else {
        (Access::Read, kernels.affine.prelude)
    }
}
