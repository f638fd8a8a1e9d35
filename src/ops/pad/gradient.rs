//! Gradients of padded tensors: each element is worth the sum of what it is worth wherever it stands.

use super::{Pad, PadMode, Padding, pad};
use crate::error::Result;
use crate::graph::{Fact, Gradient, Node, ValueId, Writer};
use crate::ops::compose::Compose;
use crate::ops::reduce::Reduction;
use crate::tensor::{Shape, Tensor};

/// The gradients of the data and of the number around it.
pub(super) fn gradient(
    op: &Pad,
    node: &Node,
    upstream: &[Option<ValueId>],
    wanted: &[bool],
    writer: &mut Writer,
) -> Result<Gradient> {
    let Some(worth) = upstream.first().copied().flatten() else { return Ok(Gradient::Zero) };
    let facts: Vec<Option<Fact>> = writer.input_facts(node)?.into_iter().map(Option::<&Fact>::cloned).collect();
    let facts: Vec<Option<&Fact>> = facts.iter().map(Option::as_ref).collect();
    let padding = op.padding(&facts)?;
    let data = writer.fact(node.needed(0)?)?.shape().clone();
    let is_wanted = |k: usize| wanted.get(k).copied().unwrap_or(false);
    let mut found = vec![None; wanted.len()];
    if is_wanted(0) {
        let mut sum = worth;
        for axis in 0..data.rank() {
            if padding.before[axis] != 0 || padding.shape[axis] != data[axis] {
                sum = along(op.mode, sum, axis, &padding, data[axis], writer)?;
            }
        }
        found[0] = Some(sum);
    }
    if is_wanted(2) && op.mode == PadMode::Constant {
        found[2] = Some(of_fill(node, &padding, &data, worth, writer)?);
    }
    Ok(Gradient::Inputs(found))
}

/// The gradient along one axis, where the data has so many elements.
fn along(mode: PadMode, worth: ValueId, axis: usize, padding: &Padding, extent: usize, writer: &mut Writer) -> Result<ValueId> {
    let source = |index: usize| mode.source(index as i64 - padding.before[axis], extent as i64);
    let sources: Vec<Option<usize>> = (0..padding.shape[axis]).map(source).collect();
    let mut sum: Option<ValueId> = None;
    for run in runs(&sources) {
        let last = run.first as i64 + run.step * (run.count as i64 - 1);
        // The elements in the order in which they stand in the data.
        let part = match run.step {
            -1 => writer.sliced(worth, axis, run.place + run.count - 1, run.count, -1)?,
            _ => writer.sliced(worth, axis, run.place, run.count, 1)?,
        };
        let (part, count) = match run.step {
            0 => (writer.reduced(Reduction::Sum, part, &[axis])?, 1),
            _ => (part, run.count),
        };
        let before = last.min(run.first as i64);
        let part = around(part, axis, before, extent as i64 - before - count as i64, writer)?;
        sum = Some(match sum {
            Some(sum) => writer.function("Add", &[sum, part])?,
            None => part,
        });
    }
    match sum {
        Some(sum) => Ok(sum),
        None => {
            let ty = writer.fact(worth)?.ty.clone();
            let mut dims = ty.shape.to_vec();
            dims[axis] = extent;
            writer.zeros(ty.dtype, &dims.into())
        }
    }
}

/// Neighbours of the result that stand in the data in equal steps.
struct Run {
    place: usize,
    first: usize,
    step: i64,
    count: usize,
}

/// All elements of the result that come from the data, by runs.
fn runs(sources: &[Option<usize>]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (place, source) in sources.iter().enumerate() {
        let Some(source) = *source else { continue };
        if let Some(run) = runs.last_mut().filter(|run| run.place + run.count == place) {
            let step = source as i64 - (run.first as i64 + run.step * (run.count as i64 - 1));
            if run.count == 1 && step.abs() <= 1 || run.step == step {
                run.step = step;
                run.count += 1;
                continue;
            }
        }
        runs.push(Run { place, first: source, step: 1, count: 1 });
    }
    runs
}

/// Zeros before and after a value along an axis.
fn around(value: ValueId, axis: usize, before: i64, after: i64, writer: &mut Writer) -> Result<ValueId> {
    if before == 0 && after == 0 {
        return Ok(value);
    }
    let rank = writer.fact(value)?.shape().rank();
    let mut amounts = vec![0i64; 2 * rank];
    amounts[axis] = before;
    amounts[rank + axis] = after;
    let amounts = writer.tensor(Tensor::vector(&amounts));
    writer.apply(pad(PadMode::Constant), &[value, amounts])
}

/// The gradient of the number that stands around the data.
fn of_fill(node: &Node, padding: &Padding, data: &Shape, worth: ValueId, writer: &mut Writer) -> Result<ValueId> {
    let fill = writer.fact(node.needed(2)?)?.ty.clone();
    let zeros = writer.zeros(fill.dtype, data)?;
    let one = writer.number(fill.dtype, 1.0)?;
    let mut inputs = node.inputs.clone();
    for (k, value) in [(0, zeros), (2, one)] {
        inputs.iter_mut().skip(k).take(1).for_each(|input| *input = Some(value));
    }
    let outside = writer.apply_all(pad(PadMode::Constant), &inputs, 1)?;
    let mut product = worth;
    for outside in outside {
        product = writer.function("Mul", &[product, outside])?;
    }
    let axes: Vec<usize> = (0..padding.shape.rank()).collect();
    let sum = writer.reduced(Reduction::Sum, product, &axes)?;
    writer.reshape(sum, fill.shape.dims())
}
