//! Matrix products on software adapters: broadcasts within a subgroup win where workgroup memory is no faster than any other.

mod bits;
pub(super) mod broadcast;
pub(super) mod few_rows;
pub(super) mod packed;

use super::gemv::{WORKGROUP, Workgroup};
use super::product::Product;
use super::ranks::Ranks;
use crate::error::{Error, Result};
use crate::graph::Io;
use crate::kernel::{Caps, Lowering, Offers, Rank};

/// The order of what all adapters run, for few rows.
const RANKS: Ranks = Ranks { gemv: 1, tiles: 3, slices: 4, direct: 6 };

/// The order where each element of B serves several rows of a tile.
const RANKS_OF_MORE_ROWS: Ranks = Ranks { gemv: 4, ..RANKS };

/// The order where subgroups are too narrow for broadcasts.
const RANKS_WITHOUT_BARRIERS: Ranks = Ranks { gemv: 1, direct: 2, tiles: 3, slices: 4 };

/// Where products of operands that are packed first stand: when packing wins, and when it does not.
const PACKED_THAT_PAYS: Rank = 0;
const PACKED: Rank = 5;

/// Where products of operands that are read where they lie stand: of few rows, and of any number.
const FEW_ROWS: Rank = 0;
const BROADCAST: Rank = 2;

/// Elements of B up to which the short form of gemv, which takes less time to compile, runs no longer.
const SMALL: usize = 1 << 16;

/// On software adapters: offers the kernels that only these run, and says how the others stand and how gemv splits its work.
pub(super) fn offer(product: &Product, io: &Io, offers: &mut Offers) -> Option<(Ranks, Workgroup)> {
    let caps = offers.caps();
    if !caps.is_software() {
        return None;
    }
    offers.add("few_rows", FEW_ROWS, || few_rows::lower(product, io, caps));
    let rank = if packed::pays(product, io) { PACKED_THAT_PAYS } else { PACKED };
    offers.add("packed", rank, || packed::lower(product, io, caps));
    offers.add("broadcast", BROADCAST, || broadcast::lower(product, io, caps));
    let workgroup = match caps.barrier_free_lanes() {
        Some(lanes) if lanes <= 64 => Workgroup { invocations: lanes, groups: if product.k * product.n > SMALL { 4 } else { 1 } },
        _ => WORKGROUP,
    };
    let ranks = match product.m {
        _ if caps.avoids_barriers() => RANKS_WITHOUT_BARRIERS,
        0..=few_rows::MOST_ROWS => RANKS,
        _ => RANKS_OF_MORE_ROWS,
    };
    Some((ranks, workgroup))
}

impl Product {
    /// The kernel whose values of A travel by broadcast within a subgroup, as a part of something larger.
    pub(crate) fn by_broadcast(&self, io: &Io, caps: &Caps) -> Result<Lowering> {
        if self.k == 0 {
            return Err(Error::unsupported("a matrix product of no terms"));
        }
        broadcast::lower(self, io, caps)
    }
}
