//! The matrix product for adapters that are a CPU.

use super::operands::Want;
use super::problem::{MatMulParams, Problem};
use super::textures::hold;
use crate::error::Result;
use crate::graph::Io;
use crate::kernel::{Access, AdapterClass, Caps, Kernel, Lowering, preludes, shader};

shader!(pub(super) static SHADER: MatMulParams = "matmul_subgroup");

/// Tiles below which cores would stand idle.
const ENOUGH_TILES: usize = 16;

/// Rows of a tile: as many as registers hold, unless that wastes rows or leaves too few tiles.
fn rows(problem: &Problem, lanes: u32) -> usize {
    let columns = problem.columns().div_ceil(4 * lanes as usize) * problem.batches();
    let mut rows = 64;
    while rows > 8
        && (problem.m.next_multiple_of(rows) - problem.m >= rows / 2 || problem.m.div_ceil(rows) * columns < ENOUGH_TILES)
    {
        rows /= 2;
    }
    rows
}

/// The candidate, where subgroups have eight lanes or more and a grid holds the tiles.
pub(super) fn lower(problem: &Problem, io: &Io, caps: &Caps) -> Option<Result<Lowering>> {
    let lanes = caps.subgroup.filter(|lanes| (8..=64).contains(lanes))?;
    let rows = rows(problem, lanes);
    let grid = [problem.m.div_ceil(rows), problem.columns().div_ceil(4 * lanes as usize), problem.batches()];
    if grid.iter().any(|n| *n > caps.max_grid as usize) || problem.k / 4 + 8 > caps.max_loop as usize {
        return None;
    }
    let kernel = Kernel::new(&SHADER, &[Access::Read, Access::Read, Access::Write], [lanes, 1, 1]);
    let kernel = kernel.constant("LANES", lanes).constant("ROWS", rows as u32);
    let kernel = kernel.prelude(&preludes::ROW_SUMS).prelude(&preludes::ROW_STORES);
    let panel = 4 * lanes;
    let textures = caps.class == AdapterClass::Cpu && problem.quantized.is_none() && hold(problem, rows, panel as usize, caps);
    let want = if textures { Want::Textures { rows: rows as u32, panel } } else { Want::Panels(panel) };
    let bound = problem.bind(kernel, 4, io, want, false, caps);
    Some(bound.and_then(|bound| bound.finish("subgroup", problem, grid.map(|n| n as u32), io, caps)))
}
