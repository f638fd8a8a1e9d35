//! Attention on the GPU.

use super::Attention;
use crate::error::{Error, Result};
use crate::graph::Io;
use crate::kernel::{Caps, Lowering, Shader};

pub(super) static SHADERS: &[&Shader] = &[];

pub(super) fn lower(op: &Attention, io: &Io, caps: &Caps) -> Result<Vec<Lowering>> {
    let _ = (op, io, caps);
    Err(Error::unsupported("attention has no kernel yet"))
}
