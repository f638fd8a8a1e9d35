//! The order of preference among the kernels of matrix products.

use super::product::Product;
use crate::graph::Io;
use crate::kernel::Rank;

/// Rows up to which reading B but once, without tiles, is best on GPUs.
const MOST_ROWS_BY_SLICES: usize = 8;

/// Where each kernel stands in the order of preference.
pub(super) struct Ranks {
    pub(super) gemv: Rank,
    pub(super) slices: Rank,
    pub(super) tiles: Rank,
    pub(super) direct: Rank,
}

/// GPUs, many rows.
const MANY_ROWS: Ranks = Ranks { tiles: 0, slices: 1, gemv: 2, direct: 3 };

/// GPUs, few rows.
const FEW_ROWS: Ranks = Ranks { slices: 0, gemv: 1, tiles: 2, direct: 3 };

/// GPUs, few rows times columns that lie where they are, which cannot be read four abreast without gaps.
const FEW_ROWS_BY_COLUMNS: Ranks = Ranks { gemv: 0, slices: 1, tiles: 2, direct: 3 };

impl Ranks {
    /// The order on GPUs.
    pub(super) fn on_gpus(product: &Product, io: &Io) -> Self {
        if product.m > MOST_ROWS_BY_SLICES {
            MANY_ROWS
        } else if product.b_by_columns() && !product.b_is_constant(io) {
            FEW_ROWS_BY_COLUMNS
        } else {
            FEW_ROWS
        }
    }
}
