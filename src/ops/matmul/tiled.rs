//! The matrix product for GPUs.

use super::operands::Want;
use super::problem::{MatMulParams, Problem};
use crate::error::Result;
use crate::graph::Io;
use crate::kernel::{Access, Caps, Kernel, Lowering, Parameters, Shader};

pub(super) static SHADER: Shader =
    Shader { name: "matmul_tiled", source: include_str!("../../../shaders/matmul_tiled.wgsl"), params: MatMulParams::FIELDS };

/// Tiles of 64x64 below which tiles of 32x32 keep more of the GPU busy.
const ENOUGH_TILES: usize = 128;

/// Both tile sizes, the better one first; none where a grid cannot hold the tiles.
pub(super) fn lower(problem: &Problem, io: &Io, caps: &Caps) -> Vec<Result<Lowering>> {
    let tiles = problem.m.div_ceil(64) * problem.columns().div_ceil(64) * problem.batches();
    let large_first = tiles >= ENOUGH_TILES && problem.m > 32 && problem.columns() > 32;
    let parts: [u32; 2] = if large_first { [2, 1] } else { [1, 2] };
    parts.into_iter().filter_map(|parts| candidate(problem, parts, io, caps)).collect()
}

fn candidate(problem: &Problem, parts: u32, io: &Io, caps: &Caps) -> Option<Result<Lowering>> {
    let side = 32 * parts as usize;
    let grid = [problem.columns().div_ceil(side), problem.m.div_ceil(side), problem.batches()];
    let turns = problem.k.next_multiple_of(32) + problem.k / 4 + 16;
    if grid.iter().any(|n| *n > caps.max_grid as usize) || turns > caps.max_loop as usize {
        return None;
    }
    let variant = if parts == 2 { "tiled64" } else { "tiled32" };
    let kernel = Kernel::new(&SHADER, &[Access::Read, Access::Read, Access::Write], [8, 8, 1]).constant("PARTS", parts);
    let bound = problem.bind(kernel, 32 / parts as usize, io, Want::Panels(64), true, caps);
    Some(bound.and_then(|bound| bound.finish(variant, problem, grid.map(|n| n as u32), io, caps)))
}
