//! Rows, and what is made of each.

use super::{Problem, Shape, product};
use gristmill::Result;
use gristmill::internals::ops;
use gristmill::internals::ops::reduce::Reduction;

fn rows_and_axis(shape: &Shape) -> Result<([usize; 2], i64)> {
    Ok((shape.of()?, shape.option("axis", 1) as i64))
}

pub(crate) fn softmax(shape: &Shape, problem: &mut Problem) -> Result<u64> {
    let (extents, axis) = rows_and_axis(shape)?;
    let x = problem.input(&extents);
    problem.finish(ops::softmax::softmax(axis), &[x], extents[0] * extents[1]);
    // Maximum, difference, exponential, sum, quotient.
    Ok(5 * product(&extents))
}

pub(crate) fn layer_norm(shape: &Shape, problem: &mut Problem) -> Result<u64> {
    let extents: [usize; 2] = shape.of()?;
    let x = problem.input(&extents);
    let (scale, bias) = (problem.weight("scale", &[extents[1]]), problem.weight("bias", &[extents[1]]));
    problem.finish(ops::norm::layer_normalization(-1, 1e-5), &[x, scale, bias], extents[0] * extents[1]);
    // Sum, difference, square and its sum, factor, scale, bias.
    Ok(7 * product(&extents))
}

pub(crate) fn reduce(shape: &Shape, problem: &mut Problem) -> Result<u64> {
    let (extents, axis) = rows_and_axis(shape)?;
    let x = problem.input(&extents);
    problem.finish(ops::reduce::reduce(Reduction::Mean, Some(vec![axis]), true, false), &[x], extents[usize::from(axis == 0)]);
    Ok(product(&extents))
}

pub(crate) fn rms_norm(shape: &Shape, problem: &mut Problem) -> Result<u64> {
    let extents: [usize; 2] = shape.of()?;
    let x = problem.input(&extents);
    let scale = problem.weight("scale", &[extents[1]]);
    problem.finish(ops::norm::rms_normalization(-1, 1e-5), &[x, scale], extents[0] * extents[1]);
    // Square and its sum, factor, scale.
    Ok(4 * product(&extents))
}

pub(crate) fn group_norm(shape: &Shape, problem: &mut Problem) -> Result<u64> {
    channels_normalized(shape, problem, |_| ops::norm::group_normalization(shape.option("groups", 8), 1e-5))
}

pub(crate) fn instance_norm(shape: &Shape, problem: &mut Problem) -> Result<u64> {
    channels_normalized(shape, problem, |_| ops::norm::instance_normalization(1e-5))
}

fn channels_normalized(
    shape: &Shape,
    problem: &mut Problem,
    op: impl FnOnce(usize) -> std::sync::Arc<dyn gristmill::internals::graph::Op>,
) -> Result<u64> {
    let [channels, height, width] = shape.of()?;
    let x = problem.input(&[1, channels, height, width]);
    let (scale, bias) = (problem.weight("scale", &[channels]), problem.weight("bias", &[channels]));
    problem.finish(op(channels), &[x, scale, bias], channels * height * width);
    Ok(7 * product(&[channels, height, width]))
}

pub(crate) fn arg_max(shape: &Shape, problem: &mut Problem) -> Result<u64> {
    let (extents, axis) = rows_and_axis(shape)?;
    let x = problem.input(&extents);
    problem.finish(ops::argreduce::arg_max(axis, true, false), &[x], extents[usize::from(axis == 0)]);
    Ok(product(&extents))
}

pub(crate) fn top_k(shape: &Shape, problem: &mut Problem) -> Result<u64> {
    let [rows, columns, count] = shape.of()?;
    let x = problem.input(&[rows, columns]);
    let k = problem.numbers("k", &[count]);
    problem.finish(ops::top_k::top_k(-1, true), &[x, k], 2 * rows * count);
    Ok(product(&[rows, columns]))
}

pub(crate) fn cum_sum(shape: &Shape, problem: &mut Problem) -> Result<u64> {
    let (extents, axis) = rows_and_axis(shape)?;
    let x = problem.input(&extents);
    let axis = problem.numbers("axis", &[axis as usize]);
    problem.finish(ops::cumulative::cum_sum(false, false), &[x, axis], extents[0] * extents[1]);
    Ok(product(&extents))
}
