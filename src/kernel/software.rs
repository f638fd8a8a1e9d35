//! What software adapters need otherwise than GPUs: the one cost model that kernels for them are chosen by.
//!
//! Whoever writes kernels for GPUs need not read it. On a software adapter a workgroup runs on one core, its subgroups as vectors of
//! that core: barriers cost, workgroup memory is no faster than any other, each load of a storage buffer is done component by
//! component and lane by lane, and a storage texture is read many times faster.

use super::caps::{AdapterClass, Caps};
use super::preludes::{self, Prelude};

/// From where on a copy into a texture, one pass over memory, takes less than it saves.
#[derive(Clone, Copy, Debug)]
pub struct WorthCopying {
    /// The fewest floats that a kernel reads.
    read: usize,
    /// The most floats that are copied for each one that is read.
    copied: usize,
}

/// For kernels that read each float once.
const READ_ONCE: WorthCopying = WorthCopying { read: 1 << 16, copied: 1 };

/// For kernels that read floats again, and that see part of an array.
pub const READ_OFTEN: WorthCopying = WorthCopying { read: 1 << 15, copied: 2 };

/// Elements of one invocation where finding a place costs more than loads and stores do.
pub const RUN: usize = 4;

/// Elements that take longer to move by a kernel with branches than a dispatch takes.
const WORTH_A_DISPATCH: usize = 1 << 20;

/// Tiles below which cores would stand idle.
const ENOUGH_TILES: usize = 16;

/// Rows of a tile whose sums stay in registers while values travel by broadcast: 64, 32, 16 or 8, as many as registers hold unless
/// that wastes rows or leaves too few tiles. A row of tiles has so many of them.
pub fn tile_rows(rows: usize, tiles: usize) -> usize {
    let wasteful = |height: usize| rows.next_multiple_of(height) - rows >= height / 2;
    let few = |height: usize| rows.div_ceil(height) * tiles < ENOUGH_TILES;
    [64, 32, 16].into_iter().find(|height| !wasteful(*height) && !few(*height)).unwrap_or(8)
}

/// Rows of a tile where both operands lie in textures: 32, 16 or 8 rows, those for which all tiles of a column take least by what eight rows
/// of sums and the reads of the other operand cost.
pub fn packed_tile_rows(rows: usize) -> usize {
    let cost = |height: &usize| rows.div_ceil(*height) * (height / 8 * 2 + 1);
    [32, 16, 8].into_iter().min_by_key(cost).unwrap_or(8)
}

#[doc(hidden)]
impl Caps {
    /// Whether the adapter is a CPU.
    pub fn is_software(&self) -> bool {
        self.class == AdapterClass::Cpu
    }

    /// Neighbouring elements that an invocation makes, where finding the place of the first takes longer than to make one.
    pub fn run(&self) -> usize {
        if self.is_software() { RUN } else { 1 }
    }

    /// How often a loop may go round where each turn runs so many iterations of others: once at least. Work that would take longer is
    /// split over invocations or dispatches.
    pub fn most_turns(&self, iterations: usize) -> usize {
        (self.max_loop as usize / iterations.max(1)).max(1)
    }

    /// Whether two dispatches cost less than one whose invocations wait for each other: a software driver splits a kernel at its barriers.
    pub fn prefers_dispatches(&self) -> bool {
        self.is_software()
    }

    /// Whether a kernel that branches over so many elements, to read one of several arrays, takes longer than a dispatch for each array: a
    /// software driver walks every branch, with what is not asked for masked out.
    pub fn branches_cost(&self, elements: usize) -> bool {
        self.is_software() && elements >= WORTH_A_DISPATCH
    }

    /// Whether kernels without barriers go first though they read more: on software adapters whose subgroups are too narrow for
    /// values that travel by broadcast. What is left for such adapters are tiles in workgroup memory, and a driver that splits a
    /// kernel at its barriers takes minutes to compile a long one.
    pub fn avoids_barriers(&self) -> bool {
        self.is_software() && self.subgroup.is_none_or(|lanes| lanes < 8)
    }

    /// Whether so many rows are better walked by an invocation each than by a workgroup each: on software adapters barriers cost, and
    /// lanes gain nothing from neighbouring loads.
    pub fn walks_rows_alone(&self, rows: usize) -> bool {
        self.is_software() && rows >= 32
    }

    /// Lanes of a workgroup that is one subgroup, and so needs no barrier.
    pub fn barrier_free_lanes(&self) -> Option<u32> {
        self.subgroup.filter(|lanes| self.is_software() && lanes.is_power_of_two())
    }

    /// Lanes of a subgroup that is wide enough for values to travel by broadcast.
    pub fn broadcasting_lanes(&self) -> Option<u32> {
        self.subgroup.filter(|lanes| self.is_software() && (8..=64).contains(lanes))
    }

    /// Whether a kernel that reads so many floats of an array of so many, each once, should read them from a texture that the array
    /// is copied to.
    pub fn copying_pays(&self, read: usize, array: usize) -> bool {
        self.copying_pays_from(READ_ONCE, read, array)
    }

    /// Whether copying pays for another kind of kernel.
    pub fn copying_pays_from(&self, worth: WorthCopying, read: usize, array: usize) -> bool {
        let enough = read >= worth.read && array <= worth.copied * read;
        self.is_software() && enough && self.texture_holds(4 * array as u64)
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
