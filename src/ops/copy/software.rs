//! The strided copy on software adapters.

use super::Ranks;
use crate::kernel::Caps;

/// The order of preference on a software adapter: blocks are transposed in registers, where tiles would wait at a barrier.
pub(super) fn ranks(caps: &Caps) -> Option<Ranks> {
    caps.is_software().then_some(Ranks { blocks: 0, plain: 1, tiles: 2 })
}
