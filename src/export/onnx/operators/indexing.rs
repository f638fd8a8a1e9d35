//! Operators that pick elements or put them in place, and running sums.

use super::{Row, rows};
use crate::export::onnx::form::{form, form_since};
use crate::ops::cumulative::Cumulative;
use crate::ops::gather::{Gather, GatherElements, GatherNd};
use crate::ops::one_hot::OneHot;
use crate::ops::scatter::{Combine, ScatterElements, ScatterNd};
use crate::ops::select::{Compress, NonZero, Unique};
use crate::ops::tensor_scatter::TensorScatter;
use crate::ops::top_k::TopK;

pub(super) const ROWS: &[Row] = rows! {
    Gather => |op, c| c.emit(&form("Gather").int("axis", op.axis)),
    GatherElements => |op, c| c.emit(&form("GatherElements").int("axis", op.axis)),
    GatherNd => |op, c| c.emit(&form("GatherND").int("batch_dims", op.batch_dims)),
    ScatterElements => |op, c| {
        c.emit(&form("ScatterElements").int("axis", op.axis).text("reduction", reduction(op.combine)))
    },
    ScatterNd => |op, c| c.emit(&form("ScatterND").text("reduction", reduction(op.combine))),
    TensorScatter => |op, c| {
        let mode = if op.circular { "circular" } else { "linear" };
        c.emit(&form_since("TensorScatter", 24).int("axis", op.axis).text("mode", mode))
    },
    OneHot => |op, c| c.emit(&form("OneHot").int("axis", op.axis)),
    TopK => |op, c| c.emit(&form("TopK").int("axis", op.axis).flag("largest", op.largest)),
    Compress => |op, c| c.emit(&form("Compress").maybe("axis", op.axis)),
    NonZero => |_, c| c.emit(&form("NonZero")),
    Unique => |op, c| c.emit(&form("Unique").maybe("axis", op.axis).flag("sorted", op.sorted)),
    Cumulative => |op, c| {
        let form = if op.product { form_since("CumProd", 26) } else { form("CumSum") };
        c.emit(&form.flag("exclusive", op.exclusive).flag("reverse", op.reverse))
    },
};

fn reduction(combine: Option<Combine>) -> &'static str {
    match combine {
        None => "none",
        Some(Combine::Add) => "add",
        Some(Combine::Mul) => "mul",
        Some(Combine::Max) => "max",
        Some(Combine::Min) => "min",
    }
}
