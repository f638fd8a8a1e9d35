//! The matrix product for GPUs.

use super::operands::Want;
use super::problem::{MatMulParams, Problem};
use super::split;
use crate::error::Result;
use crate::graph::Io;
use crate::kernel::{Access, Caps, Kernel, Lowering, preludes, shader};

shader!(pub(super) static SHADER: MatMulParams = "matmul_tiled");

/// A tile size: what a workgroup makes.
struct Tile {
    variant: &'static str,
    /// The variant that splits k.
    split: &'static str,
    /// Invocations along the rows.
    down: u32,
    /// Blocks of 4x4 of each invocation, along each side.
    parts: u32,
}

/// The largest first.
static TILES: [Tile; 3] = [
    Tile { variant: "tiled128x64", split: "tiled128x64_split", down: 16, parts: 2 },
    Tile { variant: "tiled64", split: "tiled64_split", down: 8, parts: 2 },
    Tile { variant: "tiled32", split: "tiled32_split", down: 8, parts: 1 },
];

impl Tile {
    fn rows(&self) -> usize {
        (4 * self.parts * self.down) as usize
    }

    fn columns(&self) -> usize {
        32 * self.parts as usize
    }

    fn step(&self) -> usize {
        32 / self.parts as usize
    }

    /// Tiles along columns and rows.
    fn grid(&self, problem: &Problem) -> [usize; 2] {
        [problem.columns().div_ceil(self.columns()), problem.m.div_ceil(self.rows())]
    }

    fn count(&self, problem: &Problem) -> usize {
        self.grid(problem).iter().product::<usize>() * problem.batches()
    }

    /// True when at least half of each side is used.
    fn suits(&self, problem: &Problem) -> bool {
        2 * problem.m > self.rows() && 2 * problem.columns() > self.columns()
    }

    /// The candidate, with k in so many parts of so many terms; none where a grid or a loop cannot hold it.
    fn candidate(&self, problem: &Problem, split: Option<(usize, usize)>, io: &Io, caps: &Caps) -> Option<Result<Lowering>> {
        // Twice as many invocations as there are blocks of B take half a block each, which a gathered B does not offer.
        if self.down > 8 && (problem.gather.is_some() || caps.max_invocations < 8 * self.down) {
            return None;
        }
        let (parts, terms) = split.unwrap_or((1, problem.k));
        let [x, y] = self.grid(problem);
        let grid = [x, y, parts * problem.batches()];
        // Steps, of which those of a gathered operand are loops themselves, and what is left over whole steps.
        let inner = if problem.gather.is_some() { 1 + self.step() / 4 } else { 1 };
        let turns = terms / self.step() * inner + self.step() + 16;
        if grid.iter().any(|n| *n > caps.max_grid as usize) || turns > caps.max_loop as usize {
            return None;
        }
        let share = if self.down > 8 { &preludes::MATMUL_SHARE_HALVES } else { &preludes::MATMUL_SHARE_BLOCKS };
        let kernel = Kernel::new(&SHADER, &[Access::Read, Access::Read, Access::Write], [8, self.down, 1])
            .constant("DOWN", self.down)
            .constant("PARTS", self.parts)
            .constant("GATHERED", problem.gather.is_some().into());
        let bound = problem.bind(kernel, 4, io, Want::Panels(64), true, caps).map(|bound| bound.prelude(share));
        let grid = grid.map(|n| n as u32);
        Some(bound.and_then(|bound| match split {
            None => bound.finish(self.variant, problem, grid, io, caps),
            Some((parts, terms)) => bound.finish_split(self.split, problem, grid, (parts, terms), io, caps),
        }))
    }
}

/// All tile sizes, the best one first: the largest that still keeps the adapter busy, else one that splits a long k.
pub(super) fn lower(problem: &Problem, io: &Io, caps: &Caps) -> Vec<Result<Lowering>> {
    let enough = split::enough_workgroups(caps);
    let suiting = || TILES.iter().filter(|tile| tile.suits(problem));
    let busy = suiting().find(|tile| tile.count(problem) >= enough);
    // What is split is the largest tile that the output fills, but for the one whose workgroups are large already.
    let split = TILES[1..].iter().find(|tile| tile.suits(problem)).unwrap_or(&TILES[2]);
    let parts = split::parts(problem.k, split.count(problem), split.step(), caps);
    let split = parts.and_then(|parts| split.candidate(problem, Some(parts), io, caps));
    let first = busy.unwrap_or(&TILES[2]);
    let rest = TILES.iter().filter(|tile| tile.variant != first.variant);
    let mut candidates: Vec<_> =
        [first].into_iter().chain(rest).filter_map(|tile| tile.candidate(problem, None, io, caps)).collect();
    if let Some(split) = split {
        let pays = busy.is_none() && split::pays(problem.k, first.count(problem), caps);
        candidates.insert(if pays { 0 } else { candidates.len() }, split);
    }
    candidates
}
