//! The matrix product for few rows on GPUs.

use super::operands::Want;
use super::problem::{MatMulParams, Problem};
use super::split;
use crate::error::Result;
use crate::graph::Io;
use crate::kernel::{Access, Caps, Kernel, Lowering, shader};

shader!(pub(super) static SHADER: MatMulParams = "matmul_slices");

/// Rows up to which B is worth reading more than once.
pub(super) const FEW_ROWS: usize = 32;

/// Rows of a workgroup at most.
const MOST_ROWS: usize = 8;

/// Columns of a workgroup.
const COLUMNS: usize = 64;

/// The candidates for few rows: unsplit, and with k split over workgroups, the better one first.
pub(super) fn lower(problem: &Problem, io: &Io, caps: &Caps) -> Vec<Result<Lowering>> {
    if problem.m > FEW_ROWS || problem.gather.is_some() {
        return vec![];
    }
    let rows = problem.m.next_power_of_two().min(MOST_ROWS);
    let workgroups = problem.n.div_ceil(COLUMNS) * problem.m.div_ceil(rows) * problem.batches();
    let parts = split::parts(problem.k, workgroups, 4, caps);
    let forms = [None].into_iter().chain(parts.map(Some));
    let mut candidates: Vec<_> = forms.filter_map(|split| candidate(problem, rows, split, io, caps)).collect();
    if split::pays(problem.k, workgroups, caps) {
        candidates.reverse();
    }
    candidates
}

fn candidate(problem: &Problem, rows: usize, split: Option<(usize, usize)>, io: &Io, caps: &Caps) -> Option<Result<Lowering>> {
    let slices = if caps.max_invocations >= 256 { 16 } else { 8 };
    let (parts, terms) = split.unwrap_or((1, problem.k));
    let grid = [problem.n.div_ceil(COLUMNS), problem.m.div_ceil(rows), parts * problem.batches()];
    // Turns over k and over what the slices found, both with a loop over the rows within.
    let turns = (terms / (4 * slices) + 2 + slices) * (rows + 1) + 3 * rows + 16;
    if grid.iter().any(|n| *n > caps.max_grid as usize) || turns > caps.max_loop as usize || rows > slices {
        return None;
    }
    let kernel = Kernel::new(&SHADER, &[Access::Read, Access::Read, Access::Write], [16, slices as u32, 1])
        .constant("ROWS", rows as u32)
        .constant("SLICES", slices as u32);
    let grid = grid.map(|n| n as u32);
    let bound = problem.bind(kernel, 4, io, Want::Panels(COLUMNS as u32), false, caps);
    Some(bound.and_then(|bound| match split {
        None => bound.finish("slices", problem, grid, io, caps),
        Some(split) => bound.finish_split("slices_split", problem, grid, split, io, caps),
    }))
}
