//! Operators whose indices are data: the Gather and Scatter families, TopK and their kin.

use super::{Row, row};
use crate::ops::gather;

pub(super) const ROWS: &[Row] = &[
    row("Gather", 1, 2..=2, 1, |c| c.emit(gather::gather(c.int("axis", 0)?), &c.inputs())),
    row("GatherElements", 11, 2..=2, 1, |c| c.emit(gather::gather_elements(c.int("axis", 0)?), &c.inputs())),
    row("GatherND", 11, 2..=2, 1, |c| c.emit(gather::gather_nd(0), &c.inputs())).until(11),
    row("GatherND", 12, 2..=2, 1, |c| c.emit(gather::gather_nd(c.int("batch_dims", 0)?), &c.inputs())),
];
