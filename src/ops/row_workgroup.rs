//! Workgroups whose invocations work on one row together.

use crate::kernel::{AdapterClass, Caps, Kernel, Prelude, preludes};

/// A workgroup that adds up by one of the reduction preludes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Team {
    /// Its invocations, a power of two.
    pub lanes: u32,
    /// Lanes of a subgroup, where the subgroup prelude serves.
    subgroup: Option<u32>,
}

impl Team {
    /// A team for rows of `items` loads. On CPU-type adapters it is one subgroup, which needs no barrier.
    pub(crate) fn for_items(items: usize, caps: &Caps) -> Self {
        match caps.subgroup {
            Some(size) if caps.class == AdapterClass::Cpu && size.is_power_of_two() => Team { lanes: size, subgroup: Some(size) },
            subgroup => {
                let most = caps.max_invocations.min(256) as usize;
                let lanes = items.div_ceil(2).next_power_of_two().clamp(32, most.max(32)) as u32;
                Team { lanes, subgroup: subgroup.filter(|s| s.is_power_of_two() && *s <= lanes) }
            }
        }
    }

    /// True when the whole workgroup is one subgroup.
    pub(crate) fn is_subgroup(self) -> bool {
        self.subgroup == Some(self.lanes)
    }

    /// A kernel with the prelude and constants of this team.
    pub(crate) fn join(self, kernel: Kernel) -> Kernel {
        let kernel = kernel.constant("WORKGROUP", self.lanes);
        let prelude: &'static Prelude = match self.subgroup {
            Some(_) => &preludes::REDUCE_SUBGROUP,
            None => &preludes::REDUCE_SHARED,
        };
        match self.subgroup {
            Some(size) => kernel.constant("SUBGROUP", size).prelude(prelude),
            None => kernel.prelude(prelude),
        }
    }
}
