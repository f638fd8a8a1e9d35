//! Gradients of picked elements: each is worth the sum of what it is worth wherever it was picked to.

use super::{Gather, Tuples};
use crate::error::Result;
use crate::graph::{Fact, Gradient, Node, ValueId, Writer};
use crate::ops::compose::Compose;
use crate::ops::concat::concat;
use crate::ops::scatter::{Combine, scatter_elements, scatter_nd};
use crate::tensor::{Shape, Tensor, TensorType};

/// The gradient of data from which slices were picked.
pub(super) fn of_slices(op: &Gather, node: &Node, upstream: &[Option<ValueId>], writer: &mut Writer) -> Result<Gradient> {
    let Some(worth) = upstream.first().copied().flatten() else { return Ok(Gradient::Zero) };
    let (data, indices) = (node.needed(0)?, node.needed(1)?);
    let shape = writer.fact(data)?.shape().clone();
    let facts: Vec<Option<Fact>> = writer.input_facts(node)?.into_iter().map(Option::<&Fact>::cloned).collect();
    let facts: Vec<Option<&Fact>> = facts.iter().map(Option::as_ref).collect();
    let found = match op.moved(&facts) {
        Some(moved) => writer.view_sum(worth, &moved.view, &shape)?,
        None => slices_sum(worth, indices, shape.axis(op.axis)?, &shape, writer)?,
    };
    Ok(Gradient::Inputs(vec![Some(found), None]))
}

/// For each slice of a tensor of this shape along an axis, the sum of those slices of `worth` for which the indices name it; their axes
/// stand in `worth` where the axis was.
pub(crate) fn slices_sum(worth: ValueId, indices: ValueId, axis: usize, shape: &Shape, writer: &mut Writer) -> Result<ValueId> {
    let dtype = writer.fact(worth)?.dtype();
    let count = writer.fact(indices)?.ty.elements();
    // The slices first, then what is before and behind the axis.
    let worth = writer.reshape(worth, &[&shape[..axis], &[count], &shape[axis + 1..]].concat())?;
    let mut order: Vec<usize> = (0..shape.rank()).filter(|k| *k != axis).collect();
    order.insert(0, axis);
    let worth = writer.transposed(worth, &order)?;
    let indices = writer.reshape(indices, &[count, 1])?;
    let ahead: Shape = order.iter().map(|k| shape[*k]).collect::<Vec<_>>().into();
    let zeros = writer.zeros(dtype, &ahead)?;
    let sums = writer.apply(scatter_nd(Some(Combine::Add)), &[zeros, indices, worth])?;
    let mut back: Vec<usize> = (1..shape.rank()).collect();
    back.insert(axis, 0);
    writer.transposed(sums, &back)
}

/// The gradient of data from which elements were picked along an axis.
pub(super) fn of_elements(axis: i64, node: &Node, upstream: &[Option<ValueId>], writer: &mut Writer) -> Result<Gradient> {
    let Some(worth) = upstream.first().copied().flatten() else { return Ok(Gradient::Zero) };
    let data = writer.fact(node.needed(0)?)?.ty.clone();
    let zeros = writer.zeros(data.dtype, &data.shape)?;
    let found = writer.apply(scatter_elements(axis, Some(Combine::Add)), &[zeros, node.needed(1)?, worth])?;
    Ok(Gradient::Inputs(vec![Some(found), None]))
}

/// The gradient of data from which slices were picked by tuples of indices.
pub(super) fn of_tuples(batch_dims: i64, node: &Node, upstream: &[Option<ValueId>], writer: &mut Writer) -> Result<Gradient> {
    let Some(worth) = upstream.first().copied().flatten() else { return Ok(Gradient::Zero) };
    let (data, given) = (writer.fact(node.needed(0)?)?.ty.clone(), writer.fact(node.needed(1)?)?.ty.clone());
    let tuples = Tuples::new("GatherND", batch_dims, &data.shape, &given.shape)?;
    let mut indices = node.needed(1)?;
    let (mut whole, mut worth) = (data.shape.clone(), worth);
    if tuples.batch > 0 {
        // The common axes become one more index, which counts them.
        let (batch, rows) = (data.shape.product(0..tuples.batch), tuples.rows(&given.shape));
        let numbers: Vec<i128> = (0..batch).flat_map(|b| std::iter::repeat_n(b as i128, rows)).collect();
        let numbers = writer.tensor(Tensor::from_i128(TensorType::new(given.dtype, [batch * rows, 1]), &numbers)?);
        indices = writer.reshape(indices, &[batch * rows, tuples.depth])?;
        indices = writer.apply(concat(1), &[numbers, indices])?;
        whole = [&[batch], &data.shape[tuples.batch..]].concat().into();
        worth = writer.reshape(worth, &[&[batch * rows], &data.shape[tuples.indexed().end..]].concat())?;
    }
    let zeros = writer.zeros(data.dtype, &whole)?;
    let sums = writer.apply(scatter_nd(Some(Combine::Add)), &[zeros, indices, worth])?;
    Ok(Gradient::Inputs(vec![Some(writer.reshape(sums, data.shape.dims())?), None]))
}
