//! Convolutions on software adapters.

pub(super) mod texels;
pub(super) mod unfold;
