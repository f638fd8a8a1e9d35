//! Operators on images and boxes: Resize, Upsample, CenterCropPad, GridSample, RoiAlign and NonMaxSuppression.

use super::{Row, row};
use crate::error::{Error, Result};
use crate::import::onnx::context::Context;
use crate::ops::affine_grid::affine_grid;
use crate::ops::center_crop_pad::center_crop_pad;
use crate::ops::grid_sample::{GridSample, Outside, grid_sample};
use crate::ops::non_max_suppression::non_max_suppression;
use crate::ops::resample::{Coordinates, Interpolation, Rounding};
use crate::ops::resize::{AspectRatio, Resize, resize};
use crate::ops::roi_align::{RoiAlign, roi_align};
use crate::tensor::Tensor;

pub(super) const ROWS: &[Row] = &[
    row("Upsample", 7, 1..=1, 1, upsample_by_attribute).until(8),
    row("Upsample", 9, 2..=2, 1, scale_by_input),
    row("Resize", 10, 2..=2, 1, scale_by_input).until(10),
    row("Resize", 11, 1..=4, 1, resize_image),
    row("CenterCropPad", 18, 2..=2, 1, |c| c.emit(center_crop_pad(c.ints("axes")?), &c.inputs())),
    row("AffineGrid", 20, 2..=2, 1, |c| c.emit(affine_grid(c.flag("align_corners", false)?), &c.inputs())),
    row("GridSample", 16, 2..=2, 1, sample_grid),
    row("RoiAlign", 10, 3..=3, 1, |c| align_regions(c, "output_half_pixel")).until(15),
    row("RoiAlign", 16, 3..=3, 1, |c| align_regions(c, "half_pixel")),
    row("NonMaxSuppression", 10, 2..=5, 1, |c| c.emit(non_max_suppression(c.flag("center_point_box", false)?), &c.inputs())),
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

/// Before version 20 the modes were named after images.
fn sample_grid(c: &mut Context<'_, '_>) -> Result<()> {
    let op = GridSample {
        interpolation: match c.string("mode", "linear")? {
            "nearest" => Interpolation::Nearest(Rounding::PreferFloor),
            "linear" | "bilinear" => Interpolation::Linear,
            "cubic" | "bicubic" => Interpolation::Cubic(-0.75),
            mode => return Err(Error::invalid_model(format!("the mode `{mode}` of interpolation does not exist"))),
        },
        outside: Outside::from_name(c.string("padding_mode", "zeros")?)?,
        align_corners: c.flag("align_corners", false)?,
    };
    c.emit(grid_sample(op), &c.inputs())
}

fn align_regions(c: &mut Context<'_, '_>, coordinates: &'static str) -> Result<()> {
    let maximum = match c.string("mode", "avg")? {
        "avg" => false,
        "max" => true,
        mode => return Err(Error::invalid_model(format!("expected mode avg or max, found `{mode}`"))),
    };
    let half_pixel = match c.string("coordinate_transformation_mode", coordinates)? {
        "half_pixel" => true,
        "output_half_pixel" => false,
        mode => return Err(Error::invalid_model(format!("the coordinate transformation `{mode}` does not exist"))),
    };
    let output = [c.count("output_height", 1)?, c.count("output_width", 1)?];
    let (sampling_ratio, spatial_scale) = (c.count("sampling_ratio", 0)?, c.float("spatial_scale", 1.0)?);
    c.emit(roi_align(RoiAlign { maximum, half_pixel, output, sampling_ratio, spatial_scale }), &c.inputs())
}
