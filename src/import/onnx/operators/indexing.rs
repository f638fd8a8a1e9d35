//! Operators that pick elements or put them in place: the Gather and Scatter families, TopK, Compress and their kin, and
//! running sums.

use super::{Row, row};
use crate::error::{Error, Result};
use crate::import::onnx::context::Context;
use crate::ops::scatter::Combine;
use crate::ops::{cumulative, gather, one_hot, scatter, select, tensor_scatter, top_k};

pub(super) const ROWS: &[Row] = &[
    row("Gather", 1, 2..=2, 1, |c| c.emit(gather::gather(c.int("axis", 0)?), &c.inputs())),
    row("GatherElements", 11, 2..=2, 1, |c| c.emit(gather::gather_elements(c.int("axis", 0)?), &c.inputs())),
    row("GatherND", 11, 2..=2, 1, |c| c.emit(gather::gather_nd(0), &c.inputs())).until(11),
    row("GatherND", 12, 2..=2, 1, |c| c.emit(gather::gather_nd(c.int("batch_dims", 0)?), &c.inputs())),
    // Scatter is the old name of ScatterElements.
    row("Scatter", 9, 3..=3, 1, |c| c.emit(scatter::scatter_elements(c.int("axis", 0)?, None), &c.inputs())),
    row("ScatterElements", 11, 3..=3, 1, |c| c.emit(scatter::scatter_elements(c.int("axis", 0)?, combine(c)?), &c.inputs())),
    row("ScatterND", 11, 3..=3, 1, |c| c.emit(scatter::scatter_nd(combine(c)?), &c.inputs())),
    row("TensorScatter", 24, 2..=3, 1, cache_update),
    row("OneHot", 9, 3..=3, 1, |c| c.emit(one_hot::one_hot(c.int("axis", -1)?), &c.inputs())),
    row("TopK", 1, 1..=1, 2, top_k_by_attribute).until(9),
    row("TopK", 10, 2..=2, 2, |c| c.emit(top_k::top_k(c.int("axis", -1)?, c.flag("largest", true)?), &c.inputs())),
    row("Compress", 9, 2..=2, 1, |c| c.emit(select::compress(c.attributes.int("axis")?), &c.inputs())),
    row("NonZero", 9, 1..=1, 1, |c| c.emit(select::non_zero(), &c.inputs())),
    row("Unique", 11, 1..=1, 4, |c| c.emit(select::unique(c.attributes.int("axis")?, c.flag("sorted", true)?), &c.inputs())),
    row("CumSum", 11, 2..=2, 1, |c| {
        c.emit(cumulative::cum_sum(c.flag("exclusive", false)?, c.flag("reverse", false)?), &c.inputs())
    }),
    row("CumProd", 26, 2..=2, 1, |c| {
        c.emit(cumulative::cum_prod(c.flag("exclusive", false)?, c.flag("reverse", false)?), &c.inputs())
    }),
];

fn combine(c: &Context<'_, '_>) -> Result<Option<Combine>> {
    Combine::from_name(c.string("reduction", "none")?)
}

/// The mode says what becomes of rows that pass the end of a cache.
fn cache_update(c: &mut Context<'_, '_>) -> Result<()> {
    let circular = match c.string("mode", "linear")? {
        "linear" => false,
        "circular" => true,
        mode => return Err(Error::invalid_model(format!("expected mode linear or circular, found `{mode}`"))),
    };
    c.emit(tensor_scatter::tensor_scatter(c.int("axis", -2)?, circular), &c.inputs())
}

/// Before version 10 the number of elements was an attribute.
fn top_k_by_attribute(c: &mut Context<'_, '_>) -> Result<()> {
    let k = c.attributes.int("k")?.ok_or_else(|| c.missing("k"))?;
    let k = c.int_constant("k", &[k])?;
    c.emit(top_k::top_k(c.int("axis", -1)?, true), &[c.optional(0), Some(k)])
}
