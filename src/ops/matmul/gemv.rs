//! The matrix product for few rows.

use super::operands::{AForm, BForm};
use super::product::{MatMulParams, Product};
use crate::error::{Error, Result};
use crate::graph::Io;
use crate::kernel::{Access, Caps, Kernel, Lowering, preludes, shader, u32s};

shader!(pub(super) static SHADER: MatMulParams = "matmul_gemv");

/// Rows up to which B is worth reading more than once.
const FEW_ROWS: usize = 16;

/// Rows of a workgroup at most.
const MOST_ROWS: usize = 4;

/// How the work is split.
pub(super) struct Workgroup {
    /// Invocations that share the terms of a sum.
    pub(super) invocations: u32,
    /// Groups of four columns that a workgroup makes: 1, 2 or 4.
    pub(super) groups: u32,
}

/// Workgroups on GPUs.
pub(super) const WORKGROUP: Workgroup = Workgroup { invocations: 64, groups: 1 };

/// The variant, where there are few rows and B can be read by columns.
pub(super) fn lower(product: &Product, io: &Io, workgroup: &Workgroup, caps: &Caps) -> Result<Lowering> {
    if product.m > FEW_ROWS {
        return Err(Error::unsupported(format!("more than {FEW_ROWS} rows")));
    }
    if !product.b_by_columns() && !product.b_is_constant(io) {
        return Err(Error::unsupported("the right operand is neither constant nor columns of neighbours"));
    }
    let rows = product.m.next_power_of_two().min(MOST_ROWS);
    let Workgroup { invocations, groups } = *workgroup;
    let groups = if rows > 1 { 1 } else { groups };
    let subgroup = caps.subgroup.filter(|lanes| lanes.is_power_of_two() && *lanes <= 64);
    let grid = [product.n.div_ceil(4 * groups as usize), product.m.div_ceil(rows), product.batches()];
    let turns = product.k / (4 * invocations as usize) + 64;
    let kernel = Kernel::new(&SHADER, &[Access::Read, Access::Read, Access::Write], [invocations, 1, 1]);
    let [height] = u32s([rows])?;
    let kernel = kernel.constant("WORKGROUP", invocations).constant("ROWS", height).constant("GROUPS", groups);
    let kernel = match subgroup {
        Some(lanes) => kernel.constant("SUBGROUP", lanes).prelude(&preludes::REDUCE_SUBGROUP),
        None => kernel.prelude(&preludes::REDUCE_SHARED),
    };
    product.read(kernel, AForm::Rows, BForm::Columns, io, caps)?.finish(grid, turns)
}
