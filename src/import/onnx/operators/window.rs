//! Operators with a sliding window: convolutions and pooling.

use super::{Row, row};
use crate::error::Result;
use crate::import::onnx::context::Context;
use crate::ops::conv;
use crate::ops::conv::{AutoPad, Window};

pub(super) const ROWS: &[Row] = &[
    row("Conv", 1, 2..=3, 1, |c| c.emit(conv::conv(window(c)?, c.int("group", 1)?), &c.inputs())),
    row("ConvTranspose", 1, 2..=3, 1, conv_transpose),
];

/// The attributes that all of them share.
fn window(c: &Context<'_, '_>) -> Result<Window> {
    let list = |name| c.ints(name).map(Option::unwrap_or_default);
    Ok(Window {
        kernel_shape: list("kernel_shape")?,
        strides: list("strides")?,
        dilations: list("dilations")?,
        pads: list("pads")?,
        auto_pad: AutoPad::from_name(c.string("auto_pad", "NOTSET")?)?,
    })
}

fn conv_transpose(c: &mut Context<'_, '_>) -> Result<()> {
    let padding = c.ints("output_padding")?.unwrap_or_default();
    let shape = c.ints("output_shape")?.unwrap_or_default();
    c.emit(conv::conv_transpose(window(c)?, c.int("group", 1)?, padding, shape), &c.inputs())
}
