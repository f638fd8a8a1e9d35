//! Depthwise convolutions whose lanes exchange columns and taps.

use super::super::ConvShape;
use super::super::depthwise::{ACCESS, GPU_ROWS, SHADER, check, finish, planes};
use super::exchange;
use crate::error::Result;
use crate::graph::Io;
use crate::kernel::{Caps, Lowering, preludes};

/// Subgroups below which cores of a CPU would stand idle.
const ENOUGH_SUBGROUPS: usize = 16;

/// The variant, with as long segments of the output's height as leave no core idle.
pub(super) fn lower(conv: &ConvShape, io: &Io, caps: &Caps) -> Result<Lowering> {
    check(conv)?;
    let [height, _] = conv.plane()?;
    let mut rows = exchange::rows(&SHADER, &ACCESS, conv, [height.output, planes(conv)], caps)?;
    rows.kernel = rows.kernel.prelude(&preludes::CONV_TAPS_EXCHANGE);
    let segments = ENOUGH_SUBGROUPS.div_ceil(rows.workgroups(planes(conv))).min(height.output.div_ceil(GPU_ROWS));
    finish(rows, conv, height.output.div_ceil(segments), io, caps)
}
