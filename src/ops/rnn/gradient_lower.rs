//! The way back through the steps of a recurrent layer on the GPU.

use super::gradient_steps::RecurrentGradient;
use crate::error::{Error, Result};
use crate::graph::Io;
use crate::kernel::Offers;

pub(super) fn lower(_: &RecurrentGradient, _: &Io, _: &mut Offers) -> Result<()> {
    Err(Error::unsupported("RecurrentGradient has no kernel"))
}
