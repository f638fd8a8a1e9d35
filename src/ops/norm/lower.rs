//! Normalization of rows on the GPU.

use super::Normalization;
use crate::error::{Error, Result};
use crate::graph::Io;
use crate::kernel::{Caps, Lowering, Shader};

pub(super) static SHADERS: &[&Shader] = &[];

pub(super) fn lower(op: &Normalization, io: &Io, caps: &Caps) -> Result<Vec<Lowering>> {
    let _ = (op, io, caps);
    Err(Error::unsupported("normalizations have no kernel yet"))
}
