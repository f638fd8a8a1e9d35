//! Resize in all its modes. The numbers themselves are held against the ONNX suite.

use super::{Case, Random};
use gristmill::internals::ops::resample::{Coordinates, Interpolation, Rounding};
use gristmill::internals::ops::resize::{AspectRatio, Resize, resize};
use gristmill::{DType, Tensor};

/// A row with scales.
fn scaled(name: &str, op: Resize, data: Tensor, scales: &[f32]) -> Case {
    let inputs = vec![Some(data), None, Some(Tensor::vector(scales))];
    Case { inputs, ..Case::new(format!("resize/{name}"), resize(op), vec![]) }.weights(&[2])
}

/// A row with sizes.
fn sized(name: &str, op: Resize, data: Tensor, sizes: &[i64]) -> Case {
    let inputs = vec![Some(data), None, None, Some(Tensor::vector(sizes))];
    Case { inputs, ..Case::new(format!("resize/{name}"), resize(op), vec![]) }.weights(&[3])
}

const NEAREST: Interpolation = Interpolation::Nearest(Rounding::Floor);
const CUBIC: Interpolation = Interpolation::Cubic(-0.75);
const IMAGE: &[usize] = &[2, 3, 5, 7];

fn with(interpolation: Interpolation, coordinates: Coordinates) -> Resize {
    Resize { interpolation, coordinates, ..Resize::default() }
}

pub fn cases() -> Vec<Case> {
    let mut random = Random::new(0x2E51);
    [sizes_and_scales(&mut random), exact_ratios(), modes(&mut random)].into_iter().flatten().collect()
}

fn sizes_and_scales(random: &mut Random) -> Vec<Case> {
    vec![
        scaled("nearest_twice", with(NEAREST, Coordinates::Asymmetric), random.floats(IMAGE), &[1.0, 1.0, 2.0, 2.0]),
        scaled("nearest_down", Resize::default(), random.floats(IMAGE), &[1.0, 1.0, 0.6, 0.4]),
        scaled("linear_twice", with(Interpolation::Linear, Coordinates::HalfPixel), random.floats(IMAGE), &[1.0, 1.0, 2.0, 2.0]),
        scaled("one_axis", with(Interpolation::Linear, Coordinates::HalfPixel), random.floats(IMAGE), &[1.0, 1.0, 1.0, 1.7]),
        scaled(
            "three_axes",
            with(Interpolation::Linear, Coordinates::HalfPixel),
            random.floats(&[2, 3, 4, 5]),
            &[1.0, 2.0, 1.5, 0.8],
        ),
        scaled("no_axis", with(CUBIC, Coordinates::HalfPixel), random.floats(&[2, 3]), &[1.0, 1.0]),
        scaled("to_nothing", with(CUBIC, Coordinates::HalfPixel), random.floats(&[2, 3]), &[1.0, 0.1]),
        sized("channels_last", with(Interpolation::Linear, Coordinates::HalfPixel), random.floats(IMAGE), &[2, 6, 9, 7]),
        sized("apart", with(CUBIC, Coordinates::AlignCorners), random.floats(IMAGE), &[4, 3, 5, 3]),
        sized("nearest_i64", Resize::default(), random.integers(DType::I64, &[3, 4], -9, 9), &[5, 7]),
        sized(
            "linear_u8_on_the_host",
            with(Interpolation::Linear, Coordinates::HalfPixel),
            random.integers(DType::U8, &[3, 4], 0, 255),
            &[5, 7],
        ),
        sized("empty", Resize::default(), random.floats(&[0, 4]), &[0, 7]),
        sized("one_pixel", with(Interpolation::Linear, Coordinates::PytorchHalfPixel), random.floats(&[4, 4]), &[1, 8]),
    ]
}

/// Coordinates that meet whole pixels, or miss them by what a float rounds.
fn exact_ratios() -> Vec<Case> {
    let mut cases = Vec::new();
    // An exact ratio meets whole pixels, though no float holds it: every 300th of 21600, by sizes and by a scale.
    let ramp = Tensor::new([1, 21600], &(0..21600).map(|k| k as f32).collect::<Vec<_>>()).expect("a row");
    let every = Tensor::new([1, 72], &(0..72).map(|k| (300 * k) as f32).collect::<Vec<_>>()).expect("a row");
    let whole = with(NEAREST, Coordinates::Asymmetric);
    cases.push(sized("whole_pixels_by_sizes", whole.clone(), ramp.clone(), &[1, 72]).golden(vec![every.clone()]));
    cases.push(scaled("whole_pixels_by_scale", whole.clone(), ramp, &[1.0, 1.0 / 300.0]).golden(vec![every]));
    // Extents are products of 32 bits: in 64, ten times the float nearest to 0.7 is less than 7.
    let ten = Tensor::new([1, 10], &[0.0f32, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]).expect("a row");
    let seven = Tensor::new([1, 7], &[0.0f32, 1.0, 2.0, 4.0, 5.0, 7.0, 8.0]).expect("a row");
    cases.push(scaled("extent_of_a_rounded_scale", whole, ten, &[1.0, 0.7]).golden(vec![seven]));
    cases
}

fn modes(random: &mut Random) -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, coordinates) in [
        ("half_pixel_symmetric", Coordinates::HalfPixelSymmetric),
        ("align_corners", Coordinates::AlignCorners),
        ("asymmetric", Coordinates::Asymmetric),
        ("tf_half_pixel", Coordinates::TfHalfPixel),
    ] {
        let data = random.floats(IMAGE);
        cases.push(scaled(&format!("cubic_{name}"), with(CUBIC, coordinates), data, &[1.0, 1.0, 1.3, 0.7]));
    }
    for (name, interpolation) in [("linear", Interpolation::Linear), ("cubic", CUBIC)] {
        let op = Resize { antialias: true, exclude_outside: true, interpolation, ..Resize::default() };
        cases.push(scaled(&format!("antialias_{name}"), op, random.floats(&[1, 2, 13, 17]), &[1.0, 1.0, 0.3, 0.45]));
    }
    for (name, aspect_ratio) in [("not_larger", AspectRatio::NotLarger), ("not_smaller", AspectRatio::NotSmaller)] {
        let op = Resize { aspect_ratio, axes: Some(vec![-2, -1]), ..Resize::default() };
        cases.push(sized(name, op, random.floats(IMAGE), &[8, 9]));
    }
    let op = Resize {
        coordinates: Coordinates::CropAndResize,
        interpolation: Interpolation::Linear,
        extrapolation: 7.5,
        ..Resize::default()
    };
    let region = Tensor::vector(&[0.0f32, 0.0, 0.4, -0.3, 1.0, 1.0, 1.2, 0.8]);
    let inputs = vec![Some(random.floats(IMAGE)), Some(region), None, Some(Tensor::vector(&[2i64, 3, 6, 6]))];
    cases.push(Case { inputs, ..Case::new("resize/region", resize(op), vec![]) }.weights(&[1, 3]));
    cases
}
