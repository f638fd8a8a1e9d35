//! RoiAlignGradient: what each pixel of the images is worth, given what each bin of the pooled regions is. It runs on the host, as RoiAlign does.

use super::{RoiAlign, neighbours};
use crate::error::{Error, Result};
use crate::graph::{Fact, Key, Op, required};
use crate::tensor::Tensor;
use std::sync::Arc;

pub(super) const NAME: &str = "RoiAlignGradient";

/// The gradient of [`RoiAlign`] with respect to its images. Inputs: what the result is worth, then those of RoiAlign.
#[derive(Clone, Debug, PartialEq)]
pub struct RoiAlignGradient {
    /// What it is the gradient of.
    pub op: RoiAlign,
}

/// The gradient of a RoiAlign with respect to its images.
pub fn roi_align_gradient(op: RoiAlign) -> Arc<dyn Op> {
    Arc::new(RoiAlignGradient { op })
}

impl RoiAlignGradient {
    /// Adds what a bin is worth to the pixels that its samples are made of.
    fn spread(&self, worth: f64, image: &[f64], sum: &mut [f64], points: &[Option<[(usize, f64); 4]>]) {
        if !self.op.maximum {
            let share = worth / points.len().max(1) as f64;
            points.iter().flatten().flatten().for_each(|(place, weight)| sum[*place] += share * weight);
            return;
        }
        let mut best: Option<(f64, Option<(usize, f64)>)> = None;
        for point in points {
            let inside = point.iter().flatten().map(|(place, weight)| (image[*place] * weight, Some((*place, *weight))));
            let outside = point.is_none().then_some((0.0, None));
            for (value, from) in inside.chain(outside) {
                if best.is_none_or(|(most, _)| value > most) {
                    best = Some((value, from));
                }
            }
        }
        if let Some((_, Some((place, weight)))) = best {
            sum[place] += worth * weight;
        }
    }
}

impl Op for RoiAlignGradient {
    fn name(&self) -> &'static str {
        NAME
    }

    fn attributes(&self, key: &mut Key) {
        self.op.attributes(key);
    }

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let worth = required(NAME, inputs, 0)?;
        match self.op.infer(inputs.get(1..).unwrap_or(&[]))?.first() {
            Some(pooled) if pooled.ty == worth.ty => {}
            _ => return Err(Error::invalid_model(format!("{NAME} expects what pooled regions are worth, found {}", worth.ty))),
        }
        let images = required(NAME, inputs, 1)?;
        Ok(vec![Fact::new(images.dtype(), images.shape().clone())])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let [worth, images, regions, batch] = [0, 1, 2, 3].map(|k| required(NAME, inputs, k));
        let (worth, images, regions, batch) = (worth?, images?, regions?, batch?);
        let [_, channels, height, width] = self.op.check(images.shape(), regions.shape(), batch.shape())?;
        let (worth, pixels) = (worth.to_f64(), images.to_f64());
        let mut sums = vec![0.0; pixels.len()];
        let (plane, bins) = (height * width, self.op.output[0] * self.op.output[1]);
        for (number, region) in self.op.regions(images, regions, batch)?.iter().enumerate() {
            for channel in 0..channels {
                let at = (region.image * channels + channel) * plane;
                let worth = &worth[(number * channels + channel) * bins..][..bins];
                let all = region.rows.iter().flat_map(|rows| region.columns.iter().map(move |columns| (rows, columns)));
                for (worth, (rows, columns)) in worth.iter().zip(all) {
                    let points = rows.iter().flat_map(|y| columns.iter().map(move |x| neighbours(*y, *x, height, width)));
                    self.spread(*worth, &pixels[at..at + plane], &mut sums[at..at + plane], &points.collect::<Vec<_>>());
                }
            }
        }
        Ok(vec![Tensor::from_f64(images.ty().clone(), &sums)?])
    }
}
