//! Pooling on software adapters: lanes that are neighbours exchange the columns that they read.

use super::PoolShape;
use super::rows::{ACCESS, SHADER, finish, window};
use crate::error::Result;
use crate::graph::Io;
use crate::kernel::{Caps, Lowering, Offers, Rank};
use crate::ops::conv::exchanged_rows;

/// Subgroups below which cores of a CPU would stand idle.
const ENOUGH_SUBGROUPS: usize = 16;
/// Output rows below which a segment reads its first rows in vain.
const FEWEST_ROWS: usize = 8;

/// Offers rows whose lanes exchange columns first, and says where rows that invocations read each by itself stand.
pub(super) fn offer(pool: &PoolShape, io: &Io, offers: &mut Offers) -> Option<Rank> {
    let caps = offers.caps();
    if !caps.is_software() {
        return None;
    }
    offers.add("exchange", 0, || lower(pool, io, caps));
    Some(2)
}

fn lower(pool: &PoolShape, io: &Io, caps: &Caps) -> Result<Lowering> {
    let conv = window(pool, io)?;
    let [height, _] = conv.plane()?;
    let rows = exchanged_rows(&SHADER, &ACCESS, &conv, [height.output, pool.planes], caps)?;
    let segments = ENOUGH_SUBGROUPS.div_ceil(rows.workgroups(pool.planes)).min(height.output.div_ceil(FEWEST_ROWS));
    finish(rows, pool, &conv, height.output.div_ceil(segments), io, caps)
}
