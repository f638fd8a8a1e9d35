//! The matrix product for few rows.

use super::operands::Want;
use super::problem::{MatMulParams, Problem};
use crate::error::Result;
use crate::graph::Io;
use crate::kernel::{Access, AdapterClass, Caps, Kernel, Lowering, preludes, shader};

shader!(pub(super) static SHADER: MatMulParams = "matmul_gemv");

/// Rows from which on reading B once for all of them wins.
const FEW_ROWS: usize = 4;

/// Elements of B up to which the short form of the kernel, which takes less time to compile, runs no longer.
const SMALL: usize = 1 << 16;

/// The candidate, where there are few rows and B can be read by columns.
pub(super) fn lower(problem: &Problem, io: &Io, caps: &Caps) -> Option<Result<Lowering>> {
    if problem.m > FEW_ROWS || !problem.b_by_columns() && !problem.b_is_constant(io) {
        return None;
    }
    let cpu = caps.class == AdapterClass::Cpu;
    let subgroup = caps.subgroup.filter(|lanes| lanes.is_power_of_two() && *lanes <= 64);
    let (workgroup, groups) = match subgroup {
        Some(lanes) if cpu => (lanes, if problem.k * problem.n > SMALL { 4 } else { 1 }),
        _ => (64, 1),
    };
    let grid = [problem.n.div_ceil(4 * groups), problem.m, problem.batches()];
    if grid.iter().any(|n| *n > caps.max_grid as usize) || problem.k / (4 * workgroup as usize) + 64 > caps.max_loop as usize {
        return None;
    }
    let kernel = Kernel::new(&SHADER, &[Access::Read, Access::Read, Access::Write], [workgroup, 1, 1]);
    let kernel = kernel.constant("WORKGROUP", workgroup).constant("GROUPS", groups as u32);
    let kernel = match subgroup {
        Some(lanes) => kernel.constant("SUBGROUP", lanes).prelude(&preludes::REDUCE_SUBGROUP),
        None => kernel.prelude(&preludes::REDUCE_SHARED),
    };
    // The loop itself ends at k, but not within a vector of four.
    let bound = problem.bind(kernel, 4, io, Want::Columns, false, caps);
    Some(bound.and_then(|bound| bound.finish("gemv", problem, grid.map(|n| n as u32), io, caps)))
}
