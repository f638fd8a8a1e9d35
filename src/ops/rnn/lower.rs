//! Recurrent layers on the GPU.

use super::Recurrent;
use crate::error::{Error, Result};
use crate::graph::Io;
use crate::kernel::{Caps, Lowering, Shader};

pub(super) static SHADERS: &[&Shader] = &[];

pub(super) fn lower(op: &Recurrent, io: &Io, caps: &Caps) -> Result<Vec<Lowering>> {
    let _ = (op, io, caps);
    Err(Error::unsupported("recurrent layers have no kernel yet"))
}
