//! Reductions on the GPU.

use super::Reduce;
use crate::error::{Error, Result};
use crate::graph::Io;
use crate::kernel::{Caps, Lowering, Shader};

pub(super) static SHADERS: &[&Shader] = &[];

pub(super) fn lower(op: &Reduce, io: &Io, caps: &Caps) -> Result<Vec<Lowering>> {
    let _ = (op, io, caps);
    Err(Error::unsupported("reductions have no kernel yet"))
}
