//! Operators on images and boxes: Resize and Upsample.

use super::{Row, row};
use crate::error::{Error, Result};
use crate::import::onnx::context::Context;
use crate::ops::resample::{Coordinates, Interpolation, Rounding};
use crate::ops::resize::{AspectRatio, Resize, resize};
use crate::tensor::Tensor;

pub(super) const ROWS: &[Row] = &[
    row("Upsample", 7, 1..=1, 1, upsample_by_attribute).until(8),
    row("Upsample", 9, 2..=2, 1, scale_by_input),
    row("Resize", 10, 2..=2, 1, scale_by_input).until(10),
    row("Resize", 11, 1..=4, 1, resize_image),
];

fn interpolation(c: &Context<'_, '_>, rounding: Rounding) -> Result<Interpolation> {
    Ok(match c.string("mode", "nearest")? {
        "nearest" => Interpolation::Nearest(rounding),
        "linear" | "bilinear" => Interpolation::Linear,
        "cubic" => Interpolation::Cubic(c.float("cubic_coeff_a", -0.75)?.into()),
        mode => return Err(Error::invalid_model(format!("the mode `{mode}` of interpolation does not exist"))),
    })
}

/// Upsample and the first version of Resize: corners onto each other.
fn asymmetric(c: &Context<'_, '_>) -> Result<Resize> {
    Ok(Resize { interpolation: interpolation(c, Rounding::Floor)?, coordinates: Coordinates::Asymmetric, ..Resize::default() })
}

fn scale_by_input(c: &mut Context<'_, '_>) -> Result<()> {
    let op = asymmetric(c)?;
    c.emit(resize(op), &[c.optional(0), None, c.optional(1)])
}

fn upsample_by_attribute(c: &mut Context<'_, '_>) -> Result<()> {
    let op = asymmetric(c)?;
    let scales = c.attributes.floats("scales")?.ok_or_else(|| c.missing("scales"))?;
    let scales = c.constant("scales", Tensor::vector(scales));
    c.emit(resize(op), &[c.optional(0), None, Some(scales)])
}

fn resize_image(c: &mut Context<'_, '_>) -> Result<()> {
    let rounding = Rounding::from_name(c.string("nearest_mode", "round_prefer_floor")?)?;
    let coordinates = Coordinates::from_name(c.string("coordinate_transformation_mode", "half_pixel")?)?;
    let op = Resize {
        interpolation: interpolation(c, rounding)?,
        coordinates,
        antialias: c.flag("antialias", false)?,
        exclude_outside: c.flag("exclude_outside", false)?,
        extrapolation: c.float("extrapolation_value", 0.0)?,
        aspect_ratio: AspectRatio::from_name(c.string("keep_aspect_ratio_policy", "stretch")?)?,
        axes: c.ints("axes")?,
    };
    c.emit(resize(op), &c.inputs())
}
