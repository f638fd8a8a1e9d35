//! Gradients of matrix products: products again, of what the result is worth and the other operand transposed.

use super::{MatMul, matmul};
use crate::error::Result;
use crate::graph::{Gradient, Node, OpExt, ValueId, Writer};
use crate::ops::compose::Compose;
use crate::ops::view::{StridedView, strided_view};
use crate::tensor::{Shape, View};

/// The gradients of both operands.
pub(super) fn gradient(
    op: &MatMul,
    node: &Node,
    upstream: &[Option<ValueId>],
    wanted: &[bool],
    writer: &mut Writer,
) -> Result<Gradient> {
    let Some(worth) = upstream.first().copied().flatten() else { return Ok(Gradient::Zero) };
    let views = [&op.a, &op.b];
    let mut seen = [node.needed(0)?, node.needed(1)?];
    for (value, view) in seen.iter_mut().zip(views) {
        if let Some(view) = view {
            *value = writer.apply(strided_view(view.clone()), &[*value])?;
        }
    }
    let shapes = [writer.fact(seen[0])?.shape().clone(), writer.fact(seen[1])?.shape().clone()];
    // Vectors as matrices of one row or column.
    let (a, b) = (with_axis(&shapes[0], true), with_axis(&shapes[1], false));
    let [a, b] = [writer.reshape(seen[0], a.dims())?, writer.reshape(seen[1], b.dims())?];
    let (shape_a, shape_b) = (writer.fact(a)?.shape().clone(), writer.fact(b)?.shape().clone());
    let (m, n) = (shape_a[shape_a.rank() - 2], shape_b[shape_b.rank() - 1]);
    let given = writer.fact(worth)?.shape().clone();
    let vectors = shapes.iter().filter(|shape| shape.rank() == 1).count();
    let batch = &given[..given.rank() + vectors - 2];
    let worth = writer.reshape(worth, &[batch, &[m, n]].concat())?;
    let mut found = vec![None; wanted.len()];
    for (index, view) in views.into_iter().enumerate() {
        if !wanted.get(index).copied().unwrap_or(false) {
            continue;
        }
        let whole = writer.fact(node.needed(index)?)?.shape().clone();
        if let (1, Some(view)) = (index, view)
            && is_turned(view, &whole)
        {
            // In the order in which the operand lies.
            let [worth, a] = [rows_of(worth, writer)?, rows_of(a, writer)?];
            let worth = turned(worth, writer)?;
            let product = writer.apply(matmul(), &[worth, a])?;
            found[index] = Some(writer.reshape(product, whole.dims())?);
            continue;
        }
        let product = match index {
            0 => {
                let b = turned(b, writer)?;
                writer.apply(matmul(), &[worth, b])?
            }
            _ => of_right(a, worth, shape_b.rank(), writer)?,
        };
        let sum = writer.sum_to(product, if index == 0 { &shape_a } else { &shape_b })?;
        let sum = writer.reshape(sum, shapes[index].dims())?;
        found[index] = Some(match view {
            Some(view) => writer.view_sum(sum, view, &whole)?,
            None => sum,
        });
    }
    Ok(Gradient::Inputs(found))
}

/// A product that is only read transposed, as the product of its operands exchanged, each transposed: what a weight is worth that was read transposed
/// is then made in the order in which it lies. `None` for any other value.
pub fn exchanged_product(value: ValueId, writer: &mut Writer) -> Result<Option<ValueId>> {
    let maker = |id: ValueId| writer.maker(id);
    let Some((view, product)) = maker(value).and_then(|node| Some((node.op.downcast::<StridedView>()?, node.input(0)?))) else {
        return Ok(None);
    };
    let Some(node) = maker(product).filter(|node| node.op.downcast::<MatMul>().is_some_and(|op| op.a.is_none() && op.b.is_none()))
    else {
        return Ok(None);
    };
    let (a, b) = (node.needed(0)?, node.needed(1)?);
    let is_matrix = |id: ValueId| writer.fact(id).is_ok_and(|fact| fact.shape().rank() == 2);
    let is_only_reader = writer.consumers(product).count() == 1 && !writer.is_output(product);
    if !is_turned(&view.view, writer.fact(product)?.shape()) || !is_only_reader || !is_matrix(a) || !is_matrix(b) {
        return Ok(None);
    }
    let (a, b) = (turned(a, writer)?, turned(b, writer)?);
    writer.apply(matmul(), &[b, a]).map(Some)
}

/// What the right operand is worth, before sums over what it was stretched along.
fn of_right(a: ValueId, worth: ValueId, rank: usize, writer: &mut Writer) -> Result<ValueId> {
    let (mut a, mut worth) = (a, worth);
    if rank == 2 {
        // One matrix for all rows of all batches: the sum over the batches is within the product.
        a = rows_of(a, writer)?;
        worth = rows_of(worth, writer)?;
    }
    let turned = turned(a, writer)?;
    writer.apply(matmul(), &[turned, worth])
}

/// The matrix of the rows of all batches.
fn rows_of(value: ValueId, writer: &mut Writer) -> Result<ValueId> {
    let shape = writer.fact(value)?.shape().clone();
    let last = shape.rank() - 1;
    writer.reshape(value, &[shape.product(0..last), shape[last]])
}

/// Whether a view is one matrix, transposed, of all there is.
fn is_turned(view: &View, whole: &Shape) -> bool {
    view.shape.rank() == 2
        && view.offset == 0
        && view.strides == [1, view.shape[0] as i64]
        && view.shape.elements() == whole.elements()
}

/// The shape of a vector as a matrix of one row, or of one column.
fn with_axis(shape: &Shape, row: bool) -> Shape {
    match (&shape[..], row) {
        ([k], true) => Shape::from([1, *k]),
        ([k], false) => Shape::from([*k, 1]),
        _ => shape.clone(),
    }
}

/// Matrices transposed.
fn turned(value: ValueId, writer: &mut Writer) -> Result<ValueId> {
    let rank = writer.fact(value)?.shape().rank();
    let mut order: Vec<usize> = (0..rank).collect();
    order.swap(rank - 2, rank - 1);
    writer.transposed(value, &order)
}
