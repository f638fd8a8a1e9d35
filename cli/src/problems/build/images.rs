//! Images that are stretched and sampled.

use super::{Problem, Shape, product};
use gristmill::Result;
use gristmill::internals::ops::grid_sample::{GridSample, Outside, grid_sample};
use gristmill::internals::ops::resample::{Interpolation, Rounding};
use gristmill::internals::ops::resize::{Resize, resize as resized};

/// How neighbours are weighed, and how many there are: 0 is the nearest, 1 linear, 2 cubic.
fn interpolation(shape: &Shape) -> Result<(Interpolation, usize)> {
    match shape.option("mode", 0) {
        0 => Ok((Interpolation::Nearest(Rounding::PreferFloor), 1)),
        1 => Ok((Interpolation::Linear, 4)),
        2 => Ok((Interpolation::Cubic(-0.75), 16)),
        _ => Err(shape.wrong()),
    }
}

pub(crate) fn resize(shape: &Shape, problem: &mut Problem) -> Result<u64> {
    let ([channels, height, width], scale) = (shape.of()?, shape.option("scale", 2));
    let (interpolation, neighbours) = interpolation(shape)?;
    let x = problem.input(&[1, channels, height, width]);
    let sizes = problem.numbers("sizes", &[1, channels, height * scale, width * scale]);
    let made = channels * height * width * scale * scale;
    problem.finish_some(resized(Resize { interpolation, ..Resize::default() }), &[Some(x), None, None, Some(sizes)], made);
    Ok(if neighbours == 1 { 0 } else { 2 * product(&[made, neighbours]) })
}

pub(crate) fn grid_samples(shape: &Shape, problem: &mut Problem) -> Result<u64> {
    let [channels, height, width] = shape.of()?;
    let (interpolation, neighbours) = interpolation(shape)?;
    let x = problem.input(&[1, channels, height, width]);
    let grid = problem.input(&[1, height, width, 2]);
    let op = GridSample { interpolation, outside: Outside::Zeros, align_corners: false };
    problem.finish(grid_sample(op), &[x, grid], channels * height * width);
    Ok(2 * product(&[channels, height, width, neighbours]))
}
