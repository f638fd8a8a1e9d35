//! The matrix product for few rows on GPUs.

use super::operands::{AForm, BForm};
use super::product::{MatMulParams, Product};
use super::split::{self, Parts};
use crate::error::{Error, Result};
use crate::graph::Io;
use crate::kernel::{Access, Caps, Kernel, Lowering, Offers, Rank, preludes, shader, u32s};

shader!(pub(super) static SHADER: MatMulParams = "matmul_slices");

/// Rows up to which B is worth reading more than once.
const FEW_ROWS: usize = 32;

/// Rows of a workgroup at most.
const MOST_ROWS: usize = 8;

/// Columns of a workgroup.
const COLUMNS: u32 = 64;

/// The order of preference.
const SPLIT_THAT_PAYS: Rank = 0;
const UNSPLIT: Rank = 1;
const SPLIT: Rank = 2;

/// Offers the variants for few rows: unsplit, and with k split over workgroups.
pub(super) fn offer(product: &Product, io: &Io, offers: &mut Offers) -> Result<()> {
    let caps = offers.caps();
    let rows = product.m.next_power_of_two().min(MOST_ROWS);
    let workgroups = product.n.div_ceil(COLUMNS as usize) * product.m.div_ceil(rows) * product.batches();
    let parts = split::parts(product.k, workgroups, run(product, product.k, slices(caps)), caps);
    offers.add("slices", UNSPLIT, || lower(product, rows, None, io, caps));
    if let Some(parts) = parts {
        let rank = if split::pays(product.k, workgroups, caps) { SPLIT_THAT_PAYS } else { SPLIT };
        offers.add("slices_split", rank, || lower(product, rows, Some(parts), io, caps));
    }
    Ok(())
}

/// Slices of a workgroup.
fn slices(caps: &Caps) -> usize {
    if caps.max_invocations >= 256 { 16 } else { 8 }
}

/// Terms that a slice takes at a time where all take so many: as many of one scale as keep all slices busy.
fn run(product: &Product, terms: usize, slices: usize) -> usize {
    let Some(quantized) = &product.quantized else { return 4 };
    let fits = |run: &usize| quantized.block.is_multiple_of(*run) && run * slices <= terms;
    [64, 32, 16, 8].into_iter().find(fits).unwrap_or(4)
}

fn lower(product: &Product, rows: usize, split: Option<Parts>, io: &Io, caps: &Caps) -> Result<Lowering> {
    if product.m > FEW_ROWS {
        return Err(Error::unsupported(format!("more than {FEW_ROWS} rows")));
    }
    if product.gather.is_some() {
        return Err(Error::unsupported("the right operand is gathered"));
    }
    let slices = slices(caps);
    let Parts { count, terms } = split.unwrap_or(Parts { count: 1, terms: product.k });
    let run = run(product, terms, slices);
    let grid = [product.n.div_ceil(COLUMNS as usize), product.m.div_ceil(rows), count * product.batches()];
    // Turns over k and over what the slices found, both with a loop over the rows within.
    let within = if run > 4 { run / 4 + 1 } else { 1 };
    let turns = ((terms / (run * slices) + 1) * within + 1 + slices) * (rows + 1) + 3 * rows + 16;
    let [rows, slices, run] = u32s([rows, slices, run])?;
    let kernel = Kernel::new(&SHADER, &[Access::Read, Access::Read, Access::Write], [16, slices, 1])
        .constant("ROWS", rows)
        .constant("SLICES", slices)
        .constant("RUN", run);
    let kernel = if product.quantized.is_none() { kernel.prelude(&preludes::MATMUL_B_UNLEVELED) } else { kernel };
    product.read(kernel, AForm::Rows, BForm::Panels(COLUMNS), io, caps)?.finish_split(split, grid, turns)
}
