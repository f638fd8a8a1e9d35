//! Gradients of images read at the points of a grid: pixels and weights are found anew, then what a sample is worth is summed where its
//! pixels stand, and where its point stands.

use super::{CUBIC, GridSample, Interpolation, Outside};
use crate::error::Result;
use crate::graph::{Gradient, Node, ValueId, Writer};
use crate::ops::compose::Compose;
use crate::ops::concat::concat;
use crate::ops::elementwise::cast;
use crate::ops::gather::gather_elements;
use crate::ops::reduce::Reduction;
use crate::ops::scatter::{Combine, scatter_elements};
use crate::tensor::{DType, Shape, Tensor, TensorType};

/// Weights of neighbouring pixels as polynomials of how far a point is past the first of them: for each power the factors of all pixels.
fn polynomials(interpolation: Interpolation) -> Vec<Vec<f64>> {
    let a = CUBIC;
    match interpolation {
        Interpolation::Nearest(_) => vec![vec![1.0]],
        Interpolation::Linear => vec![vec![1.0, 0.0], vec![-1.0, 1.0]],
        Interpolation::Cubic(_) => vec![
            vec![0.0, 1.0, 0.0, 0.0],
            vec![a, 0.0, -a, 0.0],
            vec![-2.0 * a, -(a + 3.0), 2.0 * a + 3.0, a],
            vec![a, a + 2.0, -(a + 2.0), -a],
        ],
    }
}

/// The pixels along one axis that make up each point: tensors that broadcast to `[images, 1, pixels of each axis.., points]`.
struct Taps {
    /// Places of pixels, i32.
    places: ValueId,
    weights: ValueId,
    /// How weights change with the grid; `None` where they do not.
    slopes: Option<ValueId>,
}

/// The gradients of the image and of the grid.
pub(super) fn gradient(
    op: &GridSample,
    node: &Node,
    upstream: &[Option<ValueId>],
    wanted: &[bool],
    writer: &mut Writer,
) -> Result<Gradient> {
    let Some(worth) = upstream.first().copied().flatten() else { return Ok(Gradient::Zero) };
    let (image, grid) = (node.needed(0)?, node.needed(1)?);
    let (image_ty, grid_ty) = (writer.fact(image)?.ty.clone(), writer.fact(grid)?.ty.clone());
    let spatial = image_ty.shape.rank() - 2;
    let [images, channels] = [image_ty.shape[0], image_ty.shape[1]];
    let points = grid_ty.shape.product(1..spatial + 1);
    if images * channels * points == 0 {
        return Ok(Gradient::Zero);
    }
    let places = writer.reshape(grid, &[images, points, spatial])?;
    let mut taps = Vec::with_capacity(spatial);
    for axis in 0..spatial {
        taps.push(op.taps_written(places, [images, points], (axis, spatial), image_ty.shape[axis + 2], writer)?);
    }
    let all = Samples { taps, images, channels, points, plane: image_ty.shape.product(2..spatial + 2), dtype: grid_ty.dtype };
    let worth = writer.apply(cast(grid_ty.dtype)?, &[worth])?;
    let worth = writer.reshape(worth, &[images, channels, 1, points])?;
    let index = all.index(&image_ty.shape, writer)?;
    let is_wanted = |k: usize| wanted.get(k).copied().unwrap_or(false);
    let of_image = match is_wanted(0) {
        true => {
            let sum = all.of_image(worth, index, writer)?;
            let sum = writer.reshape(sum, image_ty.shape.dims())?;
            Some(writer.apply(cast(image_ty.dtype)?, &[sum])?)
        }
        false => None,
    };
    let of_grid = match is_wanted(1) && all.taps.iter().any(|taps| taps.slopes.is_some()) {
        true => {
            let image = writer.apply(cast(grid_ty.dtype)?, &[image])?;
            let sum = all.of_grid(image, worth, index, writer)?;
            Some(writer.reshape(sum, grid_ty.shape.dims())?)
        }
        false => None,
    };
    Ok(Gradient::Inputs(vec![of_image, of_grid]))
}

impl GridSample {
    /// The pixels of an axis, from the points `[images, points, axes]`.
    fn taps_written(
        &self,
        places: ValueId,
        [images, points]: [usize; 2],
        (axis, spatial): (usize, usize),
        extent: usize,
        writer: &mut Writer,
    ) -> Result<Taps> {
        let length = extent as f64;
        let (low, high) = if self.align_corners { (0.0, length - 1.0) } else { (-0.5, length - 0.5) };
        let dtype = writer.fact(places)?.dtype();
        // The grid names the last axis first.
        let own = writer.sliced(places, 2, spatial - 1 - axis, 1, 1)?;
        let one_each = [&[images, 1][..], &vec![1; spatial], &[points]].concat();
        let own = writer.reshape(own, &one_each)?;
        let by = if self.align_corners { (length - 1.0) / 2.0 } else { length / 2.0 };
        let x = writer.with_number("Mul", own, by)?;
        let x = writer.with_number("Add", x, if self.align_corners { by } else { by - 0.5 })?;
        let nearest = matches!(self.interpolation, Interpolation::Nearest(_));
        let x = if nearest { writer.function("Round", &[x])? } else { x };
        let (x, slope) = self.brought_in(x, [low, high], length, by, writer)?;
        let first = writer.function("Floor", &[x])?;
        let past = writer.function("Sub", &[x, first])?;
        let powers = polynomials(self.interpolation);
        let count = powers[0].len();
        let mut along = vec![1; spatial + 3];
        along[axis + 2] = count;
        let ty = TensorType::new(dtype, along.clone());
        let polynomial = |powers: &[Vec<f64>], writer: &mut Writer| -> Result<Option<ValueId>> {
            let mut sum = None;
            for factors in powers.iter().rev() {
                let factors = writer.tensor(Tensor::from_f64(ty.clone(), factors)?);
                sum = Some(match sum {
                    None => factors,
                    Some(sum) => {
                        let sum = writer.function("Mul", &[sum, past])?;
                        writer.function("Add", &[sum, factors])?
                    }
                });
            }
            Ok(sum)
        };
        let derived = |(power, factors): (usize, &Vec<f64>)| factors.iter().map(|factor| factor * power as f64).collect();
        let derivative: Vec<Vec<f64>> = powers.iter().enumerate().skip(1).map(derived).collect();
        let (weights, slopes) = (polynomial(&powers, writer)?, polynomial(&derivative, writer)?);
        let weights = weights.map_or_else(|| writer.number(dtype, 1.0), Ok)?;
        let slopes = slopes.map(|slopes| writer.function("Mul", &[slopes, slope])).transpose()?;
        let before = if count == 4 { -1.0 } else { 0.0 };
        let offsets: Vec<f64> = (0..count).map(|k| k as f64 + before).collect();
        let offsets = writer.tensor(Tensor::from_f64(TensorType::new(dtype, along), &offsets)?);
        let place = writer.function("Add", &[first, offsets])?;
        self.pixels(place, [low, high], length, (weights, slopes), writer)
    }

    /// Coordinates outside of the image as the rule has them, and how they change with the grid.
    fn brought_in(
        &self,
        x: ValueId,
        [low, high]: [f64; 2],
        length: f64,
        by: f64,
        writer: &mut Writer,
    ) -> Result<(ValueId, ValueId)> {
        let dtype = writer.fact(x)?.dtype();
        let by = writer.number(dtype, by)?;
        match self.outside {
            Outside::Zeros => Ok((x, by)),
            Outside::Border => {
                let (below, above) = (writer.with_number("Less", x, low)?, writer.with_number("Greater", x, high)?);
                let out = writer.function("Or", &[below, above])?;
                let near = writer.with_number("Max", x, 0.0)?;
                let near = writer.with_number("Min", near, length - 1.0)?;
                let none = writer.number(dtype, 0.0)?;
                Ok((writer.chosen(out, near, x)?, writer.chosen(out, none, by)?))
            }
            Outside::Reflection => reflected(x, [low, high], Some(by), writer),
        }
    }

    /// The pixels at these places, none of which are outside of the image.
    fn pixels(
        &self,
        place: ValueId,
        ends: [f64; 2],
        length: f64,
        (weights, slopes): (ValueId, Option<ValueId>),
        writer: &mut Writer,
    ) -> Result<Taps> {
        let (mut weights, mut slopes) = (weights, slopes);
        let place = match self.outside {
            Outside::Reflection => reflected(place, ends, None, writer)?.0,
            _ => place,
        };
        let inside = writer.with_number("Max", place, 0.0)?;
        let inside = writer.with_number("Min", inside, length - 1.0)?;
        if self.outside == Outside::Zeros {
            let there = writer.function("Equal", &[inside, place])?;
            weights = writer.kept(there, weights)?;
            slopes = slopes.map(|slopes| writer.kept(there, slopes)).transpose()?;
        }
        let places = writer.apply(cast(DType::I32)?, &[inside])?;
        Ok(Taps { places, weights, slopes })
    }
}

/// Coordinates mirrored at the borders until they lie within, and how they change with the grid, given how they did before.
fn reflected(x: ValueId, [low, high]: [f64; 2], by: Option<ValueId>, writer: &mut Writer) -> Result<(ValueId, ValueId)> {
    let dtype = writer.fact(x)?.dtype();
    let range = high - low;
    let by = by.map_or_else(|| writer.number(dtype, 1.0), Ok)?;
    if range <= 0.0 {
        // The image is one pixel, whatever the point is.
        let nowhere = writer.with_number("Mul", x, 0.0)?;
        return Ok((writer.with_number("Add", nowhere, low)?, writer.number(dtype, 0.0)?));
    }
    let from_low = writer.with_number("Sub", x, low)?;
    let distance = writer.function("Abs", &[from_low])?;
    let turns = writer.with_number("Div", distance, 2.0 * range)?;
    let turns = writer.function("Floor", &[turns])?;
    let turned = writer.with_number("Mul", turns, 2.0 * range)?;
    let phase = writer.function("Sub", &[distance, turned])?;
    let span = writer.number(dtype, 2.0 * range)?;
    let back = writer.function("Sub", &[span, phase])?;
    let within = writer.function("Min", &[phase, back])?;
    let forth = writer.with_number("LessOrEqual", phase, range)?;
    let right = writer.with_number("GreaterOrEqual", from_low, 0.0)?;
    let same = writer.function("Equal", &[forth, right])?;
    let against = writer.function("Neg", &[by])?;
    Ok((writer.with_number("Add", within, low)?, writer.chosen(same, by, against)?))
}

/// All samples of all points: the pixels of all axes together.
struct Samples {
    taps: Vec<Taps>,
    images: usize,
    channels: usize,
    points: usize,
    /// Pixels of one channel of an image.
    plane: usize,
    dtype: DType,
}

impl Samples {
    /// How many pixels make up a point.
    fn count(&self, writer: &Writer) -> Result<usize> {
        self.taps.iter().enumerate().try_fold(1, |count, (axis, taps)| Ok(count * writer.fact(taps.places)?.shape()[axis + 2]))
    }

    /// A tensor that broadcasts to all samples, as `[images, 1, pixels, points]`.
    fn joined(&self, value: ValueId, writer: &mut Writer) -> Result<ValueId> {
        let mut extents = vec![self.images, 1];
        for (axis, taps) in self.taps.iter().enumerate() {
            extents.push(writer.fact(taps.places)?.shape()[axis + 2]);
        }
        extents.push(self.points);
        let full = writer.stretched(value, &extents.into())?;
        let count = self.count(writer)?;
        writer.reshape(full, &[self.images, 1, count, self.points])
    }

    /// Where each sample's pixel stands in its plane, for all channels: `[images, channels, pixels * points]`.
    fn index(&self, image: &Shape, writer: &mut Writer) -> Result<ValueId> {
        let strides = Shape::from(&image[2..]).strides();
        let mut sum = None;
        for (taps, stride) in self.taps.iter().zip(strides) {
            let term = writer.with_number("Mul", taps.places, stride as f64)?;
            sum = Some(match sum {
                None => term,
                Some(sum) => writer.function("Add", &[sum, term])?,
            });
        }
        let index = sum.map_or_else(|| writer.number(DType::I32, 0.0), Ok)?;
        let index = self.joined(index, writer)?;
        let samples = self.count(writer)? * self.points;
        let index = writer.reshape(index, &[self.images, 1, samples])?;
        writer.stretched(index, &[self.images, self.channels, samples].into())
    }

    /// The product of the weights of all axes, one of them by its slopes instead.
    fn weights(&self, sloped: Option<usize>, writer: &mut Writer) -> Result<Option<ValueId>> {
        let mut product = None;
        for (axis, taps) in self.taps.iter().enumerate() {
            let factor = if sloped == Some(axis) { taps.slopes } else { Some(taps.weights) };
            let Some(factor) = factor else { return Ok(None) };
            product = Some(match product {
                None => factor,
                Some(product) => writer.function("Mul", &[product, factor])?,
            });
        }
        product.map(|product| self.joined(product, writer)).transpose()
    }

    fn of_image(&self, worth: ValueId, index: ValueId, writer: &mut Writer) -> Result<ValueId> {
        let zeros = writer.tensor(Tensor::zeros(TensorType::new(self.dtype, [self.images, self.channels, self.plane])));
        let Some(weights) = self.weights(None, writer)? else { return Ok(zeros) };
        let parts = writer.function("Mul", &[worth, weights])?;
        let samples = self.count(writer)? * self.points;
        let parts = writer.reshape(parts, &[self.images, self.channels, samples])?;
        writer.apply(scatter_elements(2, Some(Combine::Add)), &[zeros, index, parts])
    }

    fn of_grid(&self, image: ValueId, worth: ValueId, index: ValueId, writer: &mut Writer) -> Result<ValueId> {
        let planes = writer.reshape(image, &[self.images, self.channels, self.plane])?;
        let pixels = writer.apply(gather_elements(2), &[planes, index])?;
        let count = self.count(writer)?;
        let pixels = writer.reshape(pixels, &[self.images, self.channels, count, self.points])?;
        let pixels = writer.function("Mul", &[pixels, worth])?;
        let pixels = writer.reduced(Reduction::Sum, pixels, &[1])?;
        let mut parts = Vec::with_capacity(self.taps.len());
        for axis in (0..self.taps.len()).rev() {
            let sum = match self.weights(Some(axis), writer)? {
                Some(slopes) => {
                    let product = writer.function("Mul", &[pixels, slopes])?;
                    writer.reduced(Reduction::Sum, product, &[2])?
                }
                None => writer.zeros(self.dtype, &[self.images, 1, 1, self.points].into())?,
            };
            parts.push(writer.reshape(sum, &[self.images, self.points, 1])?);
        }
        writer.apply(concat(2), &parts)
    }
}
