//! Workgroups whose invocations work on one row together.

use super::shared::ENOUGH_WORKGROUPS;
use crate::error::{Error, Result};
use crate::kernel::{Caps, Kernel, preludes};

/// Groups of values that one invocation may hold in registers.
const MOST_HELD: usize = 32;
/// The most loads of an invocation in one pass over a chunk.
const MOST_LOADS: usize = 4096;

/// A workgroup that adds up by one of the reduction preludes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RowWorkgroup {
    /// Its invocations, a power of two.
    pub lanes: u32,
    /// Lanes of a subgroup, where the subgroup prelude serves.
    subgroup: Option<u32>,
}

/// A row that several workgroups share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chunks {
    /// Loads of a chunk; the last may have fewer.
    pub size: usize,
    /// How many chunks.
    pub count: usize,
    /// The most loads of an invocation in one pass over a chunk.
    pub turns: usize,
}

impl RowWorkgroup {
    /// A workgroup for rows of `items` loads.
    pub(crate) fn for_items(items: usize, caps: &Caps) -> Self {
        if let Some(lanes) = caps.barrier_free_lanes() {
            return RowWorkgroup { lanes, subgroup: Some(lanes) };
        }
        let most = caps.max_invocations.min(256) as usize;
        // At most 256 or the adapter's limit, a u32.
        let lanes = items.div_ceil(2).next_power_of_two().clamp(32, most.max(32)) as u32;
        RowWorkgroup { lanes, subgroup: caps.subgroup.filter(|s| s.is_power_of_two() && *s <= lanes) }
    }

    /// True when the whole workgroup is one subgroup.
    pub(crate) fn is_subgroup(self) -> bool {
        self.subgroup == Some(self.lanes)
    }

    /// The most iterations of the loops of one of its reductions.
    pub(crate) fn turns(self) -> usize {
        match self.subgroup {
            Some(size) => (self.lanes / size) as usize - 1,
            None => self.lanes.ilog2() as usize,
        }
    }

    /// A kernel with `reduce_sum` and `reduce_max` over this workgroup.
    pub(crate) fn reduces(self, kernel: Kernel) -> Kernel {
        let kernel = kernel.constant("WORKGROUP", self.lanes);
        match self.subgroup {
            Some(size) => kernel.constant("SUBGROUP", size).prelude(&preludes::REDUCE_SUBGROUP),
            None => kernel.prelude(&preludes::REDUCE_SHARED),
        }
    }

    /// How many of a row's groups of values an invocation holds, where registers have room for them.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) when they have none.
    pub(crate) fn held(self, groups: usize) -> Result<usize> {
        let held = groups.div_ceil(self.lanes as usize);
        if held > MOST_HELD {
            return Err(Error::unsupported(format!("a row takes {held} registers of each invocation, of {MOST_HELD}")));
        }
        Ok(held)
    }

    /// Cuts each of `rows` rows of `items` loads: into no more chunks than keep a device busy, of at least `least` loads for each
    /// invocation, unless an invocation would loop too often.
    pub(crate) fn chunks(self, rows: usize, items: usize, least: usize) -> Chunks {
        let lanes = self.lanes as usize;
        let wanted = ENOUGH_WORKGROUPS.div_ceil(rows).min(items.div_ceil(lanes * least)).max(1);
        let size = items.div_ceil(wanted).min(lanes * MOST_LOADS).max(1);
        Chunks { size, count: items.div_ceil(size), turns: size.div_ceil(lanes) }
    }
}
