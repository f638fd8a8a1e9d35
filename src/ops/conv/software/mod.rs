//! Convolutions on software adapters: lines are padded and unfolded once, then multiplied; lanes that are neighbours exchange what
//! they read; weights, unfolded lines and what Winograd's steps hand on stand in textures.

mod depthwise;
mod exchange;
pub(super) mod unfold;
mod unfolded;
pub(super) mod unfolded_textures;
pub(super) mod winograd;

pub(crate) use exchange::rows as exchanged_rows;

use super::{ConvShape, FEW_FILTERS, Ranks, depthwise as direct_depthwise};
use crate::graph::Io;
use crate::kernel::{Offers, Rank};

/// The order of what all adapters run.
const RANKS: Ranks = Ranks { depthwise: 1, taps: 8, winograd: 9, product: 10, direct: 11 };

/// The order for few filters, or subgroups too narrow for broadcasts, unless the convolution is depthwise.
const RANKS_WITHOUT_TILES: Ranks = Ranks { direct: 2, ..RANKS };

/// Where what only software adapters run stands between them.
const DEPTHWISE_EXCHANGE: Rank = 0;
const WINOGRAD_FIRST: Rank = 3;
const UNFOLDED_TEXTURES: Rank = 4;
const WINOGRAD: Rank = 5;
const UNFOLDED: Rank = 6;
const UNFOLDED_SMALL: Rank = 7;
const GATHERED: Rank = 7;
const GATHERED_SMALL: Rank = 6;

/// Operations below which a dispatch of its own for the unfolding costs more than gathering without it.
const UNFOLDED_FLOPS: u64 = 1 << 24;

/// On software adapters: offers the kernels that only these run, and says how the others stand.
pub(super) fn offer(conv: &ConvShape, io: &Io, offers: &mut Offers) -> Option<Ranks> {
    let caps = offers.caps();
    if !caps.is_software() {
        return None;
    }
    offers.add("depthwise_exchange", DEPTHWISE_EXCHANGE, || depthwise::lower(conv, io, caps));
    if conv.channels > 0 && !conv.is_whole() {
        offers.add("unfolded_textures", UNFOLDED_TEXTURES, || unfolded_textures::lower(conv, io, caps));
    }
    if conv.channels > 0 && !conv.is_whole() && !conv.is_pointwise() {
        let rank = if winograd::preferred(conv) { WINOGRAD_FIRST } else { WINOGRAD };
        offers.add("winograd_textures", rank, || winograd::lower(conv, io, caps));
        let small = conv.work().0 < UNFOLDED_FLOPS;
        let (unfolded, gathered) = if small { (UNFOLDED_SMALL, GATHERED_SMALL) } else { (UNFOLDED, GATHERED) };
        offers.add("unfolded", unfolded, || unfolded::lower(conv, io, caps));
        offers.add("gathered", gathered, || super::product::gathered(conv)?.by_broadcast(io, caps));
    }
    let tiles_suit = conv.filters >= FEW_FILTERS && !caps.avoids_barriers();
    Some(if tiles_suit || direct_depthwise::check(conv).is_ok() { RANKS } else { RANKS_WITHOUT_TILES })
}
