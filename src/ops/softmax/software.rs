//! What softmax has for software adapters: a large input is copied to a texture, from which rows are read faster.

use super::lower::{Ranks, SoftmaxKernels};
use crate::error::Error;
use crate::kernel::{Access, Offers};

/// Offers the variants that only software adapters run.
pub(super) fn offer(kernels: &SoftmaxKernels, ranks: &Ranks, offers: &mut Offers) {
    if !kernels.caps.is_software() || !kernels.in_one_piece() {
        return;
    }
    offers.add("row_texels", ranks.row_texels, || {
        let elements = kernels.elements();
        if kernels.width() != 4 || !kernels.caps.copying_pays(elements, elements) {
            return Err(Error::unsupported("a copy of the input in a texture takes longer than it saves"));
        }
        kernels.row(Access::ReadTexture, |kernel| kernel.reads_rows(Access::ReadTexture))
    });
}
