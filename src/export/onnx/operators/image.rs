//! Operators on images and boxes: Resize, CenterCropPad, AffineGrid, GridSample, RoiAlign and NonMaxSuppression.

use super::{Row, rows};
use crate::error::{Error, Result};
use crate::export::onnx::context::Context;
use crate::export::onnx::form::{NodeForm, form};
use crate::ops::affine_grid::AffineGrid;
use crate::ops::center_crop_pad::CenterCropPad;
use crate::ops::grid_sample::{GridSample, Outside};
use crate::ops::non_max_suppression::NonMaxSuppression;
use crate::ops::resample::{Coordinates, Interpolation, Rounding};
use crate::ops::resize::{AspectRatio, Resize};
use crate::ops::roi_align::RoiAlign;

pub(super) const ROWS: &[Row] = rows! {
    Resize => |op, c| c.emit(&resize(op)),
    CenterCropPad => |op, c| c.emit(&form("CenterCropPad").ints("axes", op.axes.as_deref().unwrap_or_default())),
    AffineGrid => |op, c| c.emit(&form("AffineGrid").flag("align_corners", op.align_corners)),
    GridSample => sample_grid,
    RoiAlign => |op, c| c.emit(&align_regions(op)),
    NonMaxSuppression => |op, c| c.emit(&form("NonMaxSuppression").flag("center_point_box", op.center_point_box)),
};

fn resize(op: &Resize) -> NodeForm {
    let form = match op.interpolation {
        Interpolation::Nearest(rounding) => form("Resize").text("mode", "nearest").text("nearest_mode", rounding_name(rounding)),
        Interpolation::Linear => form("Resize").text("mode", "linear"),
        Interpolation::Cubic(a) => form("Resize").text("mode", "cubic").float("cubic_coeff_a", a as f32),
    };
    let coordinates = match op.coordinates {
        Coordinates::HalfPixel => "half_pixel",
        Coordinates::HalfPixelSymmetric => "half_pixel_symmetric",
        Coordinates::PytorchHalfPixel => "pytorch_half_pixel",
        Coordinates::AlignCorners => "align_corners",
        Coordinates::TfHalfPixel => "tf_half_pixel_for_nn",
        Coordinates::Asymmetric => "asymmetric",
        Coordinates::CropAndResize => "tf_crop_and_resize",
    };
    let aspect_ratio = match op.aspect_ratio {
        AspectRatio::Stretch => "stretch",
        AspectRatio::NotLarger => "not_larger",
        AspectRatio::NotSmaller => "not_smaller",
    };
    let form = form.text("coordinate_transformation_mode", coordinates).text("keep_aspect_ratio_policy", aspect_ratio);
    let form = form.flag("antialias", op.antialias).flag("exclude_outside", op.exclude_outside);
    form.float("extrapolation_value", op.extrapolation).ints("axes", op.axes.as_deref().unwrap_or_default())
}

fn rounding_name(rounding: Rounding) -> &'static str {
    match rounding {
        Rounding::PreferFloor => "round_prefer_floor",
        Rounding::PreferCeil => "round_prefer_ceil",
        Rounding::Floor => "floor",
        Rounding::Ceil => "ceil",
    }
}

/// ONNX has one way to round and one cubic curve here.
fn sample_grid(op: &GridSample, c: &mut Context<'_, '_>) -> Result<()> {
    let mode = match op.interpolation {
        Interpolation::Nearest(Rounding::PreferFloor) => "nearest",
        Interpolation::Linear => "linear",
        Interpolation::Cubic(-0.75) => "cubic",
        other => return Err(Error::unsupported(format!("GridSample has no interpolation {other:?}"))),
    };
    let padding = match op.outside {
        Outside::Zeros => "zeros",
        Outside::Border => "border",
        Outside::Reflection => "reflection",
    };
    let form = form("GridSample").text("mode", mode).text("padding_mode", padding);
    c.emit(&form.flag("align_corners", op.align_corners))
}

fn align_regions(op: &RoiAlign) -> NodeForm {
    let [height, width] = op.output;
    let form = form("RoiAlign").text("mode", if op.maximum { "max" } else { "avg" });
    let form = form.text("coordinate_transformation_mode", if op.half_pixel { "half_pixel" } else { "output_half_pixel" });
    let form = form.count("output_height", height).count("output_width", width);
    form.count("sampling_ratio", op.sampling_ratio).float("spatial_scale", op.spatial_scale)
}
