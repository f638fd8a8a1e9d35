//! Convolutions on software adapters: channels are packed by fours, or lines padded and unfolded, once, then multiplied; lanes
//! that are neighbours exchange what they read; weights, what is packed or unfolded and what Winograd's steps hand on stand in
//! textures.

mod depthwise;
mod exchange;
pub(super) mod packed;
mod packed_axis;
pub(super) mod unfold;
mod unfolded;
pub(super) mod unfolded_textures;
pub(super) mod winograd;

pub(crate) use exchange::rows as exchanged_rows;

use super::{ConvShape, FEW_FILTERS, Ranks, depthwise as direct_depthwise};
use crate::graph::Io;
use crate::kernel::{Offers, Rank};

/// The order of what all adapters run.
const RANKS: Ranks = Ranks { depthwise: 1, taps: 9, winograd: 10, product: 11, direct: 12 };

/// The order for few filters, or subgroups too narrow for broadcasts, unless the convolution is depthwise.
const RANKS_WITHOUT_TILES: Ranks = Ranks { direct: 2, ..RANKS };

/// Where what only software adapters run stands between them.
const DEPTHWISE_EXCHANGE: Rank = 0;
const WINOGRAD_FIRST: Rank = 3;
const TEXTURES_FIRST: Rank = 4;
const TEXTURES: Rank = 5;
const WINOGRAD: Rank = 6;
const UNFOLDED: Rank = 7;
const UNFOLDED_SMALL: Rank = 8;
const GATHERED: Rank = 8;
const GATHERED_SMALL: Rank = 7;

/// Operations below which a dispatch of its own for the unfolding costs more than gathering without it.
const UNFOLDED_FLOPS: u64 = 1 << 24;

/// Where phases of a transposed convolution stand, before what all adapters run.
const PHASES: Rank = 0;

/// On software adapters: offers the kernels that only these run, and says how the others stand.
pub(super) fn offer(conv: &ConvShape, io: &Io, offers: &mut Offers) -> Option<Ranks> {
    let caps = offers.caps();
    if !caps.is_software() {
        return None;
    }
    offers.add("depthwise_exchange", DEPTHWISE_EXCHANGE, || depthwise::lower(conv, io, caps));
    if conv.channels > 0 && !conv.is_whole() {
        let packed_first = !conv.is_pointwise() && packed::pays(conv);
        let (packed, unfolded) = if packed_first { (TEXTURES_FIRST, TEXTURES) } else { (TEXTURES, TEXTURES_FIRST) };
        offers.add("packed_textures", packed, || packed::lower(conv, io, caps));
        offers.add("unfolded_textures", unfolded, || unfolded_textures::lower(conv, io, caps));
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

/// On software adapters: offers a transposed convolution by its phases, which goes first.
pub(super) fn offer_transposed(conv: &ConvShape, io: &Io, offers: &mut Offers) {
    let caps = offers.caps();
    if caps.is_software() {
        offers.add("phases", PHASES, || packed::lower_transposed(conv, io, caps));
    }
}
