//! Operators with a sliding window: convolutions and pooling.

use super::{Row, rows};
use crate::export::onnx::form::{NodeForm, form, form_since};
use crate::ops::causal_conv::CausalConvWithState;
use crate::ops::conv::{AutoPad, Conv, ConvTranspose, SlidingWindow};
use crate::ops::pool::{GlobalPool, Pool, Pooling};

pub(super) const ROWS: &[Row] = rows! {
    Conv => |op, c| c.emit(&windowed("Conv", &op.window).int("group", op.group)),
    ConvTranspose => |op, c| {
        let form = windowed("ConvTranspose", &op.window).int("group", op.group);
        c.emit(&form.ints("output_padding", &op.output_padding).ints("output_shape", &op.output_shape))
    },
    CausalConvWithState => |_, c| c.emit(&form_since("CausalConvWithState", 27)),
    Pool => |op, c| {
        let of = |name| windowed(name, &op.window).flag("ceil_mode", op.ceil_mode);
        c.emit(&match op.pooling {
            Pooling::Max { column_major } => of("MaxPool").flag("storage_order", column_major),
            Pooling::Average { count_include_pad } => of("AveragePool").flag("count_include_pad", count_include_pad),
            Pooling::Lp { p } => of("LpPool").int("p", p),
        })
    },
    GlobalPool => |op, c| c.emit(&match op.pooling {
        Pooling::Max { .. } => form("GlobalMaxPool"),
        Pooling::Average { .. } => form("GlobalAveragePool"),
        Pooling::Lp { p } => form("GlobalLpPool").int("p", p),
    }),
};

/// An operator with the attributes that all of them share.
fn windowed(operator: &'static str, window: &SlidingWindow) -> NodeForm {
    let form = match window.auto_pad {
        AutoPad::NotSet => form(operator),
        AutoPad::SameUpper => form(operator).text("auto_pad", "SAME_UPPER"),
        AutoPad::SameLower => form(operator).text("auto_pad", "SAME_LOWER"),
        AutoPad::Valid => form(operator).text("auto_pad", "VALID"),
    };
    let form = form.ints("kernel_shape", &window.kernel_shape).ints("strides", &window.strides);
    form.ints("dilations", &window.dilations).ints("pads", &window.pads)
}
