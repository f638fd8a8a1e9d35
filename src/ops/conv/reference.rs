//! Convolutions on the host: naive loops over batches, groups, channels and taps, sums in f64.

use super::ConvShape;
use super::window::{for_each_run, taps};
use crate::error::Result;
use crate::tensor::{Tensor, TensorType};

/// Step between neighbours of a run in the convolution's input.
fn step(conv: &ConvShape) -> usize {
    conv.axes.last().map_or(1, |axis| axis.stride)
}

/// The sums as a tensor, with a bias for each channel. It is added to the sums as their dtype holds them: half floats are rounded before
/// and after.
pub(super) fn with_bias(ty: TensorType, sums: &[f64], bias: Option<&Tensor>) -> Result<Tensor> {
    let area: usize = ty.shape.iter().skip(2).product();
    let sums = Tensor::from_f64(ty, sums)?;
    let Some(bias) = bias.map(Tensor::to_f64) else { return Ok(sums) };
    let mut values = sums.to_f64();
    for (plane, values) in values.chunks_mut(area.max(1)).enumerate() {
        values.iter_mut().for_each(|value| *value += bias[plane % bias.len()]);
    }
    Tensor::from_f64(sums.ty().clone(), &values)
}

/// Data `[batches, groups * channels, ..]` with weights `[groups * filters, channels, ..]`.
pub(super) fn convolve(conv: &ConvShape, x: &[f64], w: &[f64]) -> Vec<f64> {
    let (input, output, count) = (conv.input_area(), conv.output_area(), conv.taps());
    let (taps, step) = (taps(&conv.axes), step(conv));
    let mut y = vec![0.0; conv.batches * conv.groups * conv.filters * output];
    for (plane, sums) in y.chunks_mut(output.max(1)).enumerate() {
        let filter = plane % (conv.groups * conv.filters);
        let (batch, group) = (plane / (conv.groups * conv.filters), filter / conv.filters);
        for channel in 0..conv.channels {
            let data = &x[((batch * conv.groups + group) * conv.channels + channel) * input..][..input];
            for (k, tap) in taps.iter().enumerate() {
                let weight = w[(filter * conv.channels + channel) * count + k];
                for_each_run(&conv.axes, tap, |o, i, n| {
                    let values = data[i..].iter().step_by(step);
                    sums[o..o + n].iter_mut().zip(values).for_each(|(sum, value)| *sum += weight * value);
                });
            }
        }
    }
    y
}

/// The transpose: what [`convolve`] reads is written. Data has the convolution's output shape; weights are
/// `[groups * filters, channels, ..]` as there.
pub(super) fn convolve_transposed(conv: &ConvShape, x: &[f64], w: &[f64]) -> Vec<f64> {
    let (input, output, count) = (conv.input_area(), conv.output_area(), conv.taps());
    let (taps, step) = (taps(&conv.axes), step(conv));
    let mut y = vec![0.0; conv.batches * conv.groups * conv.channels * input];
    for (plane, sums) in y.chunks_mut(input.max(1)).enumerate() {
        let channel = plane % (conv.groups * conv.channels);
        let (batch, group) = (plane / (conv.groups * conv.channels), channel / conv.channels);
        for filter in group * conv.filters..(group + 1) * conv.filters {
            let data = &x[(batch * conv.groups * conv.filters + filter) * output..][..output];
            for (k, tap) in taps.iter().enumerate() {
                let weight = w[(filter * conv.channels + channel % conv.channels) * count + k];
                for_each_run(&conv.axes, tap, |o, i, n| {
                    let places = sums[i..].iter_mut().step_by(step);
                    places.zip(&data[o..o + n]).for_each(|(sum, value)| *sum += weight * value);
                });
            }
        }
    }
    y
}
