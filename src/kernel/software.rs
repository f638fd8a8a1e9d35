//! What software adapters need otherwise than GPUs: the one cost model that kernels for them are chosen by.
//!
//! Whoever writes kernels for GPUs need not read it. On a software adapter a workgroup runs on one core, its subgroups as vectors of
//! that core: barriers cost, workgroup memory is no faster than any other, each load of a storage buffer is done component by
//! component and lane by lane, and a storage texture is read many times faster.

use super::caps::{AdapterClass, Caps};
use super::shader::{Prelude, preludes};

/// Floats that are read from where on a copy into a texture, one pass over memory, takes less than it saves.
const WORTH_COPYING: usize = 1 << 16;

/// Elements of one invocation where finding a place costs more than loads and stores do.
pub const RUN: usize = 4;

impl Caps {
    /// Whether the adapter is a CPU.
    pub fn is_software(&self) -> bool {
        self.class == AdapterClass::Cpu
    }

    /// Neighbouring elements that an invocation makes, where finding the place of the first takes longer than to make one.
    pub fn run(&self) -> usize {
        if self.is_software() { RUN } else { 1 }
    }

    /// Whether kernels without barriers go first though they read more: on software adapters whose subgroups are too narrow for
    /// values that travel by broadcast. What is left for such adapters are tiles in workgroup memory, and a driver that splits a
    /// kernel at its barriers takes minutes to compile a long one.
    pub fn avoids_barriers(&self) -> bool {
        self.is_software() && self.subgroup.is_none_or(|lanes| lanes < 8)
    }

    /// Lanes of a workgroup that is one subgroup, and so needs no barrier.
    pub fn barrier_free_lanes(&self) -> Option<u32> {
        self.subgroup.filter(|lanes| self.is_software() && lanes.is_power_of_two())
    }

    /// Lanes of a subgroup that is wide enough for values to travel by broadcast.
    pub fn broadcasting_lanes(&self) -> Option<u32> {
        self.subgroup.filter(|lanes| self.is_software() && (8..=64).contains(lanes))
    }

    /// Whether a kernel that reads so many floats of an array of so many should read them from a texture that the array is copied
    /// to.
    pub fn copying_pays(&self, read: usize, array: usize) -> bool {
        self.is_software() && read >= WORTH_COPYING.max(array) && self.texture_holds(4 * array as u64)
    }

    /// Whether a constant of so many bytes is better read from a texture, where it lies from the start.
    pub fn constants_in_textures(&self, bytes: u64) -> bool {
        self.is_software() && self.texture_holds(bytes)
    }

    /// How kernels read storage in groups of four floats, `array<Four>`: as vectors, or as two 64-bit words where each component is
    /// loaded by itself, so that half as many are half the work.
    pub fn fours(&self) -> &'static Prelude {
        if self.is_software() && self.shader_i64 { &preludes::FOUR_WORDS } else { &preludes::FOUR_VECTORS }
    }
}
