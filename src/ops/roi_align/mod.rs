//! RoiAlign (He et al., "Mask R-CNN", 2017): regions of an image pooled to one size. It runs on the host.

mod gradient;

pub use gradient::{RoiAlignGradient, roi_align_gradient};

use super::Registration;
use super::shared::wrap;
use crate::error::{Error, Result};
use crate::graph::{Fact, Gradient, Node, Op, ValueId, Writer, required};
use crate::tensor::{Shape, Tensor, TensorType};
use std::sync::Arc;

/// The operator of this file.
pub static REGISTRATION: Registration = Registration { operators: &["RoiAlign", gradient::NAME], shaders: &[] };

/// The most samples along one side of a bin; more are the mark of a broken region.
const MOST_SAMPLES: f64 = 4096.0;

/// ONNX RoiAlign: inputs are images, regions (two corners, x before y) and the image that each region lies in.
#[derive(Clone, Debug, PartialEq)]
pub struct RoiAlign {
    /// The largest sample of a bin, instead of the mean.
    pub maximum: bool,
    /// Pixels have their centres at halves.
    pub half_pixel: bool,
    /// Height and width of a pooled region.
    pub output: [usize; 2],
    /// Samples along each side of a bin; 0 for as many as it has pixels.
    pub sampling_ratio: usize,
    /// What coordinates of regions are multiplied by.
    pub spatial_scale: f32,
}

/// RoiAlign as its fields say.
pub fn roi_align(op: RoiAlign) -> Arc<dyn Op> {
    Arc::new(op)
}

/// What a region samples.
struct Region {
    /// The image that it lies in.
    image: usize,
    /// For each bin, the coordinates of its samples.
    rows: Vec<Vec<f64>>,
    columns: Vec<Vec<f64>>,
}

/// Four neighbours of a point with their weights; none when it lies outside of the image.
fn neighbours(y: f64, x: f64, height: usize, width: usize) -> Option<[(usize, f64); 4]> {
    if y < -1.0 || y > height as f64 || x < -1.0 || x > width as f64 {
        return None;
    }
    let along = |v: f64, extent: usize| {
        let v = v.max(0.0).min(extent as f64 - 1.0);
        let low = v.floor() as usize;
        (low, (low + 1).min(extent - 1), v - v.floor())
    };
    let ((top, bottom, down), (left, right, across)) = (along(y, height), along(x, width));
    Some([
        (top * width + left, (1.0 - down) * (1.0 - across)),
        (top * width + right, (1.0 - down) * across),
        (bottom * width + left, down * (1.0 - across)),
        (bottom * width + right, down * across),
    ])
}

impl RoiAlign {
    fn check(&self, images: &Shape, regions: &Shape, batch: &Shape) -> Result<[usize; 4]> {
        match (images.dims(), regions.dims(), batch.dims()) {
            (&[n, c, h, w], &[count, 4], &[same]) if count == same && (count == 0 || n * h * w > 0) => Ok([count, c, h, w]),
            _ => Err(Error::invalid_model(format!(
                "RoiAlign expects images [n,c,h,w], regions [k,4] and their images [k], found {images}, {regions} and {batch}"
            ))),
        }
    }

    /// The points that a bin samples: for each bin of a region, rows and columns of coordinates.
    fn samples(&self, start: f64, end: f64, bins: usize) -> Result<Vec<Vec<f64>>> {
        let length = if self.half_pixel { end - start } else { (end - start).max(1.0) };
        let bin = length / bins as f64;
        let count = if self.sampling_ratio > 0 { self.sampling_ratio as f64 } else { bin.ceil() };
        if !(count <= MOST_SAMPLES && start.is_finite()) {
            return Err(Error::invalid_input(format!("a region from {start} to {end} is too large to sample")));
        }
        let count = count.max(0.0) as usize;
        let place = |k: usize, i: usize| start + k as f64 * bin + (i as f64 + 0.5) * bin / count as f64;
        Ok((0..bins).map(|k| (0..count).map(|i| place(k, i)).collect()).collect())
    }

    fn regions(&self, images: &Tensor, regions: &Tensor, batch: &Tensor) -> Result<Vec<Region>> {
        let (regions, batch) = (regions.to_f64(), batch.to_i64());
        let offset = if self.half_pixel { 0.5 } else { 0.0 };
        let mut all = Vec::with_capacity(batch.len());
        for (corners, image) in regions.chunks_exact(4).zip(batch) {
            let corner = |k: usize| corners[k] * f64::from(self.spatial_scale) - offset;
            let image = wrap(image, images.shape()[0])?;
            let rows = self.samples(corner(1), corner(3), self.output[0])?;
            all.push(Region { image, rows, columns: self.samples(corner(0), corner(2), self.output[1])? });
        }
        Ok(all)
    }

    fn pool(&self, image: &[f64], rows: &[f64], columns: &[f64], height: usize, width: usize) -> f64 {
        let points = rows.iter().flat_map(|y| columns.iter().map(move |x| neighbours(*y, *x, height, width)));
        // The maximum is taken of the weighted neighbours, not of their sum: that is how ONNX defines it.
        let value = |point: Option<[(usize, f64); 4]>| match point {
            None => 0.0,
            Some(all) if self.maximum => all.iter().map(|(p, w)| image[*p] * w).fold(f64::NEG_INFINITY, f64::max),
            Some(all) => all.iter().map(|(p, w)| image[*p] * w).sum(),
        };
        if self.maximum {
            points.map(value).reduce(f64::max).unwrap_or(0.0)
        } else {
            points.map(value).sum::<f64>() / (rows.len() * columns.len()).max(1) as f64
        }
    }
}

impl Op for RoiAlign {
    fn name(&self) -> &'static str {
        "RoiAlign"
    }

    crate::attributes!(maximum, half_pixel, output, sampling_ratio, spatial_scale);

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let [images, regions, batch] = [0, 1, 2].map(|k| required("RoiAlign", inputs, k));
        let (images, regions) = (images?, regions?);
        let [count, channels, ..] = self.check(images.shape(), regions.shape(), batch?.shape())?;
        if !images.dtype().is_float() || regions.dtype() != images.dtype() {
            return Err(Error::invalid_model(format!(
                "RoiAlign expects floats of one dtype, found {} and {}",
                images.ty, regions.ty
            )));
        }
        Ok(vec![Fact::new(images.dtype(), [count, channels, self.output[0], self.output[1]])])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let [images, regions, batch] = [0, 1, 2].map(|k| required("RoiAlign", inputs, k));
        let (images, regions, batch) = (images?, regions?, batch?);
        let [count, channels, height, width] = self.check(images.shape(), regions.shape(), batch.shape())?;
        let ty = TensorType::new(images.dtype(), [count, channels, self.output[0], self.output[1]]);
        let pixels = images.to_f64();
        let mut values = Vec::with_capacity(ty.elements());
        for Region { image, rows, columns } in self.regions(images, regions, batch)? {
            for channel in 0..channels {
                let plane = &pixels[(image * channels + channel) * height * width..][..height * width];
                for row in &rows {
                    values.extend(columns.iter().map(|column| self.pool(plane, row, column, height, width)));
                }
            }
        }
        Ok(vec![Tensor::from_f64(ty, &values)?])
    }

    fn gradient(&self, node: &Node, upstream: &[Option<ValueId>], wanted: &[bool], writer: &mut Writer) -> Result<Gradient> {
        let Some(worth) = upstream.first().copied().flatten() else { return Ok(Gradient::Zero) };
        if wanted.get(1) == Some(&true) {
            return Ok(Gradient::Undefined("how many samples a region has may change with it"));
        }
        let inputs = [worth, node.needed(0)?, node.needed(1)?, node.needed(2)?];
        let found = writer.apply(roi_align_gradient(self.clone()), &inputs)?;
        Ok(Gradient::Inputs(vec![Some(found), None, None]))
    }
}
