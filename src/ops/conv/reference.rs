//! Convolutions on the host: naive loops over batches, groups, channels and taps, sums in f64.

use super::Problem;
use super::window::{for_each_run, taps};

/// Step between neighbours of a run in the convolution's input.
fn step(problem: &Problem) -> usize {
    problem.axes.last().map_or(1, |axis| axis.stride)
}

/// Data `[batches, groups * channels, ..]` with weights `[groups * filters, channels, ..]`.
pub(super) fn convolve(problem: &Problem, x: &[f64], w: &[f64], bias: Option<&[f64]>) -> Vec<f64> {
    let (input, output, count) = (problem.input_area(), problem.output_area(), problem.taps());
    let (taps, step) = (taps(&problem.axes), step(problem));
    let mut y = vec![0.0; problem.batches * problem.groups * problem.filters * output];
    for (plane, sums) in y.chunks_mut(output.max(1)).enumerate() {
        let filter = plane % (problem.groups * problem.filters);
        let (batch, group) = (plane / (problem.groups * problem.filters), filter / problem.filters);
        sums.fill(bias.map_or(0.0, |b| b[filter]));
        for channel in 0..problem.channels {
            let data = &x[((batch * problem.groups + group) * problem.channels + channel) * input..][..input];
            for (k, tap) in taps.iter().enumerate() {
                let weight = w[(filter * problem.channels + channel) * count + k];
                for_each_run(&problem.axes, tap, |o, i, n| {
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
pub(super) fn convolve_transposed(problem: &Problem, x: &[f64], w: &[f64], bias: Option<&[f64]>) -> Vec<f64> {
    let (input, output, count) = (problem.input_area(), problem.output_area(), problem.taps());
    let (taps, step) = (taps(&problem.axes), step(problem));
    let mut y = vec![0.0; problem.batches * problem.groups * problem.channels * input];
    for (plane, sums) in y.chunks_mut(input.max(1)).enumerate() {
        let channel = plane % (problem.groups * problem.channels);
        let (batch, group) = (plane / (problem.groups * problem.channels), channel / problem.channels);
        sums.fill(bias.map_or(0.0, |b| b[channel]));
        for filter in group * problem.filters..(group + 1) * problem.filters {
            let data = &x[(batch * problem.groups * problem.filters + filter) * output..][..output];
            for (k, tap) in taps.iter().enumerate() {
                let weight = w[(filter * problem.channels + channel % problem.channels) * count + k];
                for_each_run(&problem.axes, tap, |o, i, n| {
                    let places = sums[i..].iter_mut().step_by(step);
                    places.zip(&data[o..o + n]).for_each(|(sum, value)| *sum += weight * value);
                });
            }
        }
    }
    y
}
