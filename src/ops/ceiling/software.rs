//! How software adapters read most in a second: from a texture, where constants lie from the start.

use super::reads::lowering;
use crate::error::Error;
use crate::graph::Io;
use crate::kernel::{Access, Offers};

/// Offers reads of a texture.
pub(super) fn offer(io: &Io, offers: &mut Offers) {
    let caps = offers.caps();
    if !caps.is_software() {
        return;
    }
    offers.add("textures", 0, || {
        let x = io.input(0)?;
        if x.value.is_none() || !caps.constants_in_textures(x.gpu_bytes()) {
            return Err(Error::unsupported("only constants lie in textures from the start"));
        }
        lowering(io, Access::ReadTexture, caps)
    });
}
