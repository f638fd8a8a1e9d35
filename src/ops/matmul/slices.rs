//! The matrix product for few rows on GPUs.

use super::operands::Want;
use super::product::{MatMulParams, Product};
use super::split;
use crate::error::{Error, Result};
use crate::graph::Io;
use crate::kernel::{Access, Caps, Kernel, Lowering, Offers, shader, u32s};

shader!(pub(super) static SHADER: MatMulParams = "matmul_slices");

/// Rows up to which B is worth reading more than once.
pub(super) const FEW_ROWS: usize = 32;

/// Rows of a workgroup at most.
const MOST_ROWS: usize = 8;

/// Columns of a workgroup.
const COLUMNS: usize = 64;

/// Offers the variants for few rows: unsplit, and with k split over workgroups.
pub(super) fn offer(product: &Product, io: &Io, offers: &mut Offers) -> Result<()> {
    let caps = offers.caps();
    let rows = product.m.next_power_of_two().min(MOST_ROWS);
    let workgroups = product.n.div_ceil(COLUMNS) * product.m.div_ceil(rows) * product.batches();
    let parts = split::parts(product.k, workgroups, 4, caps);
    let split_rank = if split::pays(product.k, workgroups, caps) { 0 } else { 2 };
    offers.add("slices", 1, || lower(product, rows, None, io, caps));
    if let Some(parts) = parts {
        offers.add("slices_split", split_rank, || lower(product, rows, Some(parts), io, caps));
    }
    Ok(())
}

fn lower(product: &Product, rows: usize, split: Option<(usize, usize)>, io: &Io, caps: &Caps) -> Result<Lowering> {
    if product.m > FEW_ROWS {
        return Err(Error::unsupported(format!("{} rows: expected at most {FEW_ROWS}", product.m)));
    }
    if product.gather.is_some() {
        return Err(Error::unsupported("the right operand is gathered"));
    }
    let slices = if caps.max_invocations >= 256 { 16 } else { 8 };
    let (parts, terms) = split.unwrap_or((1, product.k));
    let grid = [product.n.div_ceil(COLUMNS), product.m.div_ceil(rows), parts * product.batches()];
    // Turns over k and over what the slices found, both with a loop over the rows within.
    let turns = (terms / (4 * slices) + 2 + slices) * (rows + 1) + 3 * rows + 16;
    let kernel = Kernel::new(&SHADER, &[Access::Read, Access::Read, Access::Write], [16, slices as u32, 1])
        .constant("ROWS", rows as u32)
        .constant("SLICES", slices as u32);
    let bound = product.bind(kernel, 4, io, Want::Panels(COLUMNS as u32), false, caps)?;
    match split {
        None => bound.finish(product, u32s(grid)?, turns, io, caps),
        Some(split) => bound.finish_split(product, u32s(grid)?, turns, split, io, caps),
    }
}
