//! Operators with a sliding window: convolutions and pooling.

use super::{Row, row};
use crate::error::{Error, Result};
use crate::import::onnx::context::Context;
use crate::ops::causal_conv::causal_conv_with_state;
use crate::ops::conv::{AutoPad, SlidingWindow};
use crate::ops::elementwise::unary_with;
use crate::ops::{conv, pool};

pub(super) const ROWS: &[Row] = &[
    row("Conv", 1, 2..=3, 1, |c| c.emit(conv::conv(window(c)?, c.int("group", 1)?), &c.inputs())),
    row("ConvTranspose", 1, 2..=3, 1, conv_transpose),
    row("CausalConvWithState", 27, 2..=4, 2, causal_conv),
    row("AveragePool", 1, 1..=1, 1, average_pool),
    row("MaxPool", 1, 1..=1, 1, max_pool).until(7),
    row("MaxPool", 8, 1..=1, 2, max_pool),
    row("LpPool", 1, 1..=1, 1, lp_pool_by_float).until(1),
    row("LpPool", 2, 1..=1, 1, |c| lp_pool(c, c.int("p", 2)?)),
    row("GlobalAveragePool", 1, 1..=1, 1, |c| c.emit(pool::global_average_pool(), &c.inputs())),
    row("GlobalMaxPool", 1, 1..=1, 1, |c| c.emit(pool::global_max_pool(), &c.inputs())),
    row("GlobalLpPool", 1, 1..=1, 1, |c| c.emit(pool::global_lp_pool(power_of_float(c)?), &c.inputs())).until(1),
    row("GlobalLpPool", 2, 1..=1, 1, |c| c.emit(pool::global_lp_pool(c.int("p", 2)?), &c.inputs())),
];

/// Its activation is a node of its own, which the passes make the kernel's epilogue.
fn causal_conv(c: &mut Context<'_, '_>) -> Result<()> {
    match c.string("activation", "none")? {
        "none" => c.emit(causal_conv_with_state(), &c.inputs()),
        "silu" | "swish" => c.emit_before(causal_conv_with_state(), &c.inputs(), unary_with("Swish", &[1.0])?),
        other => Err(Error::invalid_model(format!("attribute `activation` is `{other}`: expected none, silu or swish"))),
    }
}

/// The attributes that all of them share.
fn window(c: &Context<'_, '_>) -> Result<SlidingWindow> {
    let list = |name| c.ints(name).map(Option::unwrap_or_default);
    Ok(SlidingWindow {
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

/// The window of a pooling, which has no weights to take its extents from.
fn pool_window(c: &Context<'_, '_>) -> Result<SlidingWindow> {
    let window = window(c)?;
    if window.kernel_shape.is_empty() { Err(c.missing("kernel_shape")) } else { Ok(window) }
}

fn average_pool(c: &mut Context<'_, '_>) -> Result<()> {
    let count_include_pad = c.flag("count_include_pad", false)?;
    c.emit(pool::average_pool(pool_window(c)?, c.flag("ceil_mode", false)?, count_include_pad), &c.inputs())
}

fn max_pool(c: &mut Context<'_, '_>) -> Result<()> {
    let column_major = c.flag("storage_order", false)?;
    c.emit(pool::max_pool(pool_window(c)?, c.flag("ceil_mode", false)?, column_major), &c.inputs())
}

fn lp_pool(c: &mut Context<'_, '_>, p: i64) -> Result<()> {
    c.emit(pool::lp_pool(pool_window(c)?, c.flag("ceil_mode", false)?, p), &c.inputs())
}

/// In version 1 the power was a float.
fn lp_pool_by_float(c: &mut Context<'_, '_>) -> Result<()> {
    let p = power_of_float(c)?;
    lp_pool(c, p)
}

fn power_of_float(c: &Context<'_, '_>) -> Result<i64> {
    let p = c.float("p", 2.0)?;
    let whole = [1i8, 2, 3, 4].into_iter().find(|whole| f32::from(*whole) == p);
    whole.map(i64::from).ok_or_else(|| c.unsupported(format!("attribute `p` is {p}; 1, 2, 3 and 4 are implemented")))
}
