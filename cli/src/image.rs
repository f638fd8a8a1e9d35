//! Images as inputs.

use crate::failure::{Failure, Result};
use clap::Args;
use gristmill::internals::graph::{Dim, Input};
use gristmill::{DType, Tensor, TensorType};
use image::imageops::FilterType;
use std::path::Path;

/// How the values of an image are scaled.
#[derive(Args, Debug, Default)]
pub(crate) struct Scaling {
    /// Subtract this from the values of images (which are in 0..1): one number, or one per channel
    #[arg(long, value_name = "M[,M,M]", value_delimiter = ',', allow_hyphen_values = true)]
    mean: Vec<f32>,
    /// Divide the values of images by this, after --mean
    #[arg(long, value_name = "S[,S,S]", value_delimiter = ',')]
    std: Vec<f32>,
}

impl Scaling {
    /// What to subtract from and divide a channel by.
    fn channel(&self, channel: usize, channels: usize) -> Result<(f32, f32)> {
        let pick = |option: &str, values: &[f32], default: f32| match values {
            [] => Ok(default),
            [one] => Ok(*one),
            many if many.len() == channels => Ok(many[channel]),
            many => Err(Failure::message(format!("--{option}: expected 1 or {channels} numbers, found {}", many.len()))),
        };
        Ok((pick("mean", &self.mean, 0.0)?, pick("std", &self.std, 1.0)?))
    }
}

/// An image as a tensor [1,C,H,W] (or [C,H,W]) of the channels and the size that the input declares: floats in 0..1
/// before `scaling`, or bytes.
pub(crate) fn read(path: &Path, input: &Input, scaling: &Scaling) -> Result<Tensor> {
    let failed = |e: String| Failure::file("read", path, e);
    let dims = input.dims.as_deref().unwrap_or(&[Dim::Unknown, Dim::Unknown, Dim::Unknown, Dim::Unknown]);
    let (leading, [channels, height, width]) = match dims {
        [Dim::Known(n), _, _, _] if *n != 1 => {
            return Err(failed(format!("the input takes {n} images at once: give them as .npy")));
        }
        [_, c, h, w] => (1, [c, h, w]),
        [c, h, w] => (0, [c, h, w]),
        _ => return Err(failed(format!("expected an input of rank 3 or 4 for an image, the model's has rank {}", dims.len()))),
    };
    let reader =
        image::ImageReader::open(path).and_then(image::ImageReader::with_guessed_format).map_err(|e| failed(e.to_string()))?;
    let mut picture = reader.decode().map_err(|e| failed(e.to_string()))?;
    let extent = |dim: &Dim, own: u32| match dim {
        Dim::Known(n) => u32::try_from(*n).map_err(|_| failed(format!("an image of extent {n} is too large"))),
        _ => Ok(own),
    };
    let (height, width) = (extent(height, picture.height())?, extent(width, picture.width())?);
    if (height, width) != (picture.height(), picture.width()) {
        TensorType::new(DType::F32, [4, height as usize, width as usize]).checked()?;
        picture = picture.resize_exact(width, height, FilterType::Triangle);
    }
    let channels = extent(channels, if picture.color().has_color() { 3 } else { 1 })?;
    // Pixels stand channel by channel within a row; the tensor holds one plane per channel.
    let pixels = match channels {
        1 => picture.to_luma32f().into_raw(),
        3 => picture.to_rgb32f().into_raw(),
        n => return Err(failed(format!("the input has {n} channels; an image has 1 or 3"))),
    };
    let channels = channels as usize;
    let mut values = Vec::with_capacity(pixels.len());
    for channel in 0..channels {
        let (mean, std) = scaling.channel(channel, channels)?;
        let plane = pixels.iter().skip(channel).step_by(channels);
        if input.dtype.is_float() {
            values.extend(plane.map(|x| f64::from((x - mean) / std)));
        } else {
            values.extend(plane.map(|x| f64::from((x * 255.0).round())));
        }
    }
    let mut shape = vec![1; leading];
    shape.extend([channels, height as usize, width as usize]);
    Ok(Tensor::from_f64(TensorType::new(input.dtype, shape), &values)?)
}
