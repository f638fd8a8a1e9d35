//! Gradients of recurrent layers. What all steps take part in at once is written as products; the slopes and the way back from step to
//! step are operators of their own, see [`Slopes`] and [`RecurrentGradient`].

use super::gradient_steps::RecurrentGradient;
use super::pack::Pack;
use super::slopes::Slopes;
use super::steps::Steps;
use super::{Cell, RecurrentShape};
use crate::error::Result;
use crate::graph::{Gradient, Node, OpExt, ValueId, Writer};
use crate::ops::compose::Compose;
use crate::ops::concat::concat;
use crate::ops::elementwise::{cast, clip};
use crate::ops::matmul::{MatMul, matmul};
use crate::ops::reduce::Reduction;
use crate::ops::reverse_sequence::reverse_sequence;
use crate::ops::view::strided_view;
use crate::tensor::{DType, Tensor, TensorType, View};
use std::ops::Range;
use std::sync::Arc;

/// The gradients of products, packed weights and first states.
pub(super) fn steps(
    op: &Steps,
    node: &Node,
    upstream: &[Option<ValueId>],
    wanted: &[bool],
    writer: &mut Writer,
) -> Result<Gradient> {
    let g = op.geometry;
    let optional = |k: usize| upstream.get(k).copied().flatten();
    let mut found = vec![None; wanted.len()];
    if g.steps * g.batch * g.hidden == 0 {
        // The state stays as it was.
        let states = [optional(1), optional(2)];
        found.iter_mut().skip(3).zip(states).for_each(|(found, worth)| *found = worth);
        return Ok(Gradient::Inputs(found));
    }
    let all = match node.outputs.first().copied().flatten() {
        Some(all) => all,
        // Nobody asked for them so far.
        None => writer.apply_all(node.op.clone(), &node.inputs, 1)?[0],
    };
    let r = weights_of_state(op, node, writer)?;
    let sides = (0..g.directions).map(|direction| Side { op, node, direction, all, r });
    let sides = sides.map(|side| Ok((side, side.gradient(&optional, writer)?))).collect::<Result<Vec<_>>>()?;
    let wants = |k: usize| wanted.get(k) == Some(&true);
    let state_axis = if op.layer.batch_first { 1 } else { 0 };
    if let (true, [(side, only)], false) = (wants(0), sides.as_slice(), op.layer.batch_first) {
        found[0] = Some(side.matrix(writer, only.made, 0..g.steps, 0..side.rows())?);
    } else if wants(0) {
        let parts = sides.iter().map(|(side, found)| Side::part(writer, found.made, 2, 0, side.rows()));
        let parts = parts.collect::<Result<Vec<_>>>()?;
        let products = joined(writer, 2, &parts)?;
        let products = if op.layer.batch_first { writer.transposed(products, &[1, 0, 2])? } else { products };
        let columns = g.directions * op.layer.cell.gates() * g.hidden;
        found[0] = Some(writer.reshape(products, &[g.steps * g.batch, columns])?);
    }
    if wants(1) {
        found[1] = Some(packed(op, &sides, writer)?);
    }
    for (k, state) in [(3, 0), (4, 1)] {
        if wants(k) {
            let parts = sides.iter().map(|(side, found)| side.first(writer, found.first, state)).collect::<Result<Vec<_>>>()?;
            found[k] = Some(joined(writer, state_axis, &parts)?);
        }
    }
    Ok(Gradient::Inputs(found))
}

/// Values one after another along an axis.
fn joined(writer: &mut Writer, axis: i64, parts: &[ValueId]) -> Result<ValueId> {
    if let [part] = parts { Ok(*part) } else { writer.apply(concat(axis), parts) }
}

/// R of all directions, `[directions, gates * hidden, hidden]`: what the weights were packed from, or a part of them.
fn weights_of_state(op: &Steps, node: &Node, writer: &mut Writer) -> Result<ValueId> {
    let RecurrentShape { directions, hidden, .. } = op.geometry;
    let packed = node.needed(1)?;
    let maker = writer.maker(packed).filter(|maker| maker.op.downcast::<Pack>().is_some());
    if let Some(r) = maker.and_then(|maker| maker.input(0)) {
        return Ok(r);
    }
    let [view, ..] = op.layer.packer(op.geometry).views();
    let r = writer.apply(strided_view(view), &[packed])?;
    writer.reshape(r, &[directions, op.layer.cell.gates() * hidden, hidden])
}

/// The gradient of the packed weights, in their order.
fn packed(op: &Steps, sides: &[(Side<'_>, Found)], writer: &mut Writer) -> Result<ValueId> {
    let mut kinds: Vec<Vec<ValueId>> = vec![];
    for (side, found) in sides {
        for (k, weights) in side.weights(found, writer)?.into_iter().enumerate() {
            if kinds.len() == k {
                kinds.push(vec![]);
            }
            kinds[k].push(weights);
        }
    }
    let inputs = kinds.iter().map(|parts| joined(writer, 0, parts).map(Some)).collect::<Result<Vec<_>>>()?;
    let packed = writer.apply_all(Arc::new(op.layer.packer(op.geometry)), &inputs, 1)?;
    Ok(packed[0])
}

/// The gradients of R, B and P from those of the packed weights.
pub(super) fn unpacked(pack: &Pack, upstream: Option<ValueId>, wanted: &[bool], writer: &mut Writer) -> Result<Gradient> {
    let Some(worth) = upstream else { return Ok(Gradient::Zero) };
    let RecurrentShape { hidden, directions, .. } = pack.geometry;
    let rows = pack.cell.gates() * hidden;
    let shapes: [&[usize]; 3] = [&[directions, rows, hidden], &[directions, 2 * rows], &[directions, 3 * hidden]];
    let is_same = |other: &Pack| {
        (other.cell, other.geometry.hidden, other.geometry.directions)
            == (pack.cell, pack.geometry.hidden, pack.geometry.directions)
    };
    // What was packed alike need not be packed.
    let source = writer.maker(worth).filter(|maker| maker.op.downcast::<Pack>().is_some_and(is_same)).cloned();
    let mut found = vec![None; wanted.len()];
    for (k, (view, shape)) in pack.views().into_iter().zip(shapes).enumerate() {
        if wanted.get(k) != Some(&true) {
            continue;
        }
        found[k] = match source.as_ref().and_then(|source| source.input(k)) {
            Some(part) => Some(part),
            None => {
                let part = writer.apply(strided_view(view), &[worth])?;
                Some(writer.reshape(part, shape)?)
            }
        };
    }
    Ok(Gradient::Inputs(found))
}

/// One direction of a layer. Its values have steps and batch as their first axes, whatever the order of the layer's.
#[derive(Clone, Copy)]
struct Side<'a> {
    op: &'a Steps,
    node: &'a Node,
    direction: usize,
    /// The states after each step as the layer answers them, and R, of all directions.
    all: ValueId,
    r: ValueId,
}

/// What one direction found.
struct Found {
    /// The gradients of what goes into the gates, see [`RecurrentGradient`], and of the first states.
    made: ValueId,
    first: ValueId,
    /// The states before each step, `[steps, batch, hidden]`, unless they are those after it one step away, and those that the
    /// reset gate has scaled.
    before: Option<ValueId>,
    scaled: Option<ValueId>,
    /// The cell states after each step.
    memories: Option<ValueId>,
}

impl Side<'_> {
    fn rows(&self) -> usize {
        self.op.layer.cell.gates() * self.op.geometry.hidden
    }

    /// A part of an axis.
    fn part(writer: &mut Writer, value: ValueId, axis: usize, start: usize, count: usize) -> Result<ValueId> {
        let whole = View::contiguous(writer.fact(value)?.shape());
        if start == 0 && whole.shape[axis] == count {
            return Ok(value);
        }
        writer.apply(strided_view(whole.slice(axis, start, count, 1)), &[value])
    }

    /// Columns of so many steps of what has a row for each batch element at each step, as a matrix.
    fn matrix(&self, writer: &mut Writer, value: ValueId, steps: Range<usize>, columns: Range<usize>) -> Result<ValueId> {
        let shape = writer.fact(value)?.shape().clone();
        let batch = self.op.geometry.batch;
        let whole = View::contiguous(&[shape[0] * batch, shape[2]].into());
        let view = whole.slice(0, steps.start * batch, steps.len() * batch, 1).slice(1, columns.start, columns.len(), 1);
        writer.apply(strided_view(view), &[value])
    }

    /// This direction of B as `[2, gates * hidden]`.
    fn bias(&self, writer: &mut Writer) -> Result<ValueId> {
        let [_, view, _] = self.op.layer.packer(self.op.geometry).views();
        let bias = writer.apply(strided_view(view.slice(0, self.direction, 1, 1)), &[self.node.needed(1)?])?;
        writer.reshape(bias, &[2, self.rows()])
    }

    /// This direction of a tensor of all steps whose last axis has this extent; with `by_side` the directions stand before the batch.
    fn steps(&self, writer: &mut Writer, value: ValueId, width: usize, by_side: bool) -> Result<ValueId> {
        let RecurrentShape { steps, batch, directions, .. } = self.op.geometry;
        if directions == 1 && !self.op.layer.batch_first {
            return writer.reshape(value, &[steps, batch, width]);
        }
        let row = directions * width;
        let strides = match (self.op.layer.batch_first, by_side) {
            (true, _) => [row, steps * row, 1],
            (false, true) => [batch * row, width, 1],
            (false, false) => [batch * row, row, 1],
        };
        let offset = self.direction * if by_side && !self.op.layer.batch_first { batch * width } else { width };
        let strides = strides.map(|stride| stride as i64).to_vec();
        writer.apply(strided_view(View { shape: [steps, batch, width].into(), strides, offset: offset as i64 }), &[value])
    }

    /// This direction of a state as `[1, batch, hidden]`.
    fn state(&self, writer: &mut Writer, value: ValueId) -> Result<ValueId> {
        let RecurrentShape { batch, hidden, .. } = self.op.geometry;
        let axis = if self.op.layer.batch_first { 1 } else { 0 };
        let part = Self::part(writer, value, axis, self.direction, 1)?;
        writer.reshape(part, &[1, batch, hidden])
    }

    /// The gradient of a first state, as the layer takes it.
    fn first(&self, writer: &mut Writer, first: ValueId, which: usize) -> Result<ValueId> {
        let RecurrentShape { batch, hidden, .. } = self.op.geometry;
        let part = Self::part(writer, first, 0, which, 1)?;
        let shape = if self.op.layer.batch_first { [batch, 1, hidden] } else { [1, batch, hidden] };
        writer.reshape(part, &shape)
    }

    fn zeros(&self, writer: &mut Writer) -> Result<ValueId> {
        let dtype = writer.fact(self.node.needed(0)?)?.dtype();
        let RecurrentShape { batch, hidden, .. } = self.op.geometry;
        Ok(writer.tensor(Tensor::zeros(TensorType::new(dtype, [1, batch, hidden]))))
    }

    /// An optional state of the layer, or zeros.
    fn state_or_zeros(&self, writer: &mut Writer, value: Option<ValueId>) -> Result<ValueId> {
        match value {
            Some(value) => self.state(writer, value),
            None => self.zeros(writer),
        }
    }

    /// The order of steps turned round, if this direction goes back.
    fn turned(&self, writer: &mut Writer, value: ValueId) -> Result<ValueId> {
        if !self.op.layer.reversed(self.direction) {
            return Ok(value);
        }
        if let Some(lengths) = self.node.input(2) {
            let lengths =
                if writer.fact(lengths)?.dtype() == DType::I32 { lengths } else { writer.apply(cast(DType::I64)?, &[lengths])? };
            return writer.apply(reverse_sequence(0, 1), &[value, lengths]);
        }
        let shape = writer.fact(value)?.shape().clone();
        let view = View::contiguous(&shape).slice(0, shape[0] - 1, shape[0], -1);
        writer.apply(strided_view(view), &[value])
    }

    /// What stood before each step, given what stands after each, and before the first.
    fn before(&self, writer: &mut Writer, after: ValueId, first: Option<ValueId>) -> Result<ValueId> {
        let first = self.state_or_zeros(writer, first)?;
        let turned = self.turned(writer, after)?;
        let others = Self::part(writer, turned, 0, 0, self.op.geometry.steps - 1)?;
        let before = writer.apply(concat(0), &[first, others])?;
        self.turned(writer, before)
    }

    /// The product of states `[steps, batch, hidden]` and so many rows of R from a first one on, `[steps * batch, rows]`.
    fn product(&self, writer: &mut Writer, states: ValueId, first: usize, rows: usize) -> Result<ValueId> {
        let RecurrentShape { steps, batch, hidden, directions, .. } = self.op.geometry;
        let a = View::contiguous(&[steps * batch, hidden].into());
        let b = View::contiguous(&[directions * self.rows(), hidden].into());
        let b = b.slice(0, self.direction * self.rows() + first, rows, 1).transpose(&[1, 0]);
        writer.apply(Arc::new(MatMul { a: Some(a), b: Some(b) }), &[states, self.r])
    }

    /// Of a cell that takes two products: the states that the reset gate scales, given the products of the others.
    fn scaled(&self, writer: &mut Writer, before: ValueId, products: ValueId) -> Result<ValueId> {
        let RecurrentShape { steps, batch, hidden, .. } = self.op.geometry;
        let x = self.steps(writer, self.node.needed(0)?, self.rows(), false)?;
        let mut sum = Self::part(writer, x, 2, hidden, hidden)?;
        let products = writer.reshape(products, &[steps, batch, 2 * hidden])?;
        let product = Self::part(writer, products, 2, hidden, hidden)?;
        let bias = self.bias(writer)?;
        for half in 0..2 {
            let half = Self::part(writer, bias, 0, half, 1)?;
            let own = Self::part(writer, half, 1, hidden, hidden)?;
            sum = writer.function("Add", &[sum, own])?;
        }
        sum = writer.function("Add", &[sum, product])?;
        if let Some(limit) = self.op.layer.clip.map(f64::from) {
            sum = writer.apply(clip(Some(-limit), Some(limit))?, &[sum])?;
        }
        let reset = self.op.layer.activation(self.direction, 0).compose(writer, sum)?;
        writer.function("Mul", &[reset, before])
    }

    /// Goes back.
    fn gradient(&self, upstream: &dyn Fn(usize) -> Option<ValueId>, writer: &mut Writer) -> Result<Found> {
        let (node, cell, hidden) = (self.node, self.op.layer.cell, self.op.geometry.hidden);
        let (layer, geometry, direction) = (self.op.layer.clone(), self.op.geometry, self.direction);
        let states = self.steps(writer, self.all, hidden, true)?;
        // Where there is no first state, the state before a step is read where the one after the last stands.
        let shifted = node.input(3).is_none() && !cell.takes_two_products();
        let before = if shifted { None } else { Some(self.before(writer, states, node.input(3))?) };
        let first_products = if cell.takes_two_products() { 2 * hidden } else { self.rows() };
        let products = self.product(writer, before.unwrap_or(states), 0, first_products)?;
        let (mut scaled, mut candidates) = (None, None);
        if let (true, Some(before)) = (cell.takes_two_products(), before) {
            let states = self.scaled(writer, before, products)?;
            scaled = Some(states);
            candidates = Some(self.product(writer, states, 2 * hidden, hidden)?);
        }
        let seen = match cell {
            Cell::Rnn => None,
            Cell::Gru { .. } => Some(before.unwrap_or(self.all)),
            Cell::Lstm { .. } => node.input(4),
        };
        let (x, packed, lengths) = (node.input(0), node.input(1), node.input(2));
        let slopes = Slopes { layer: layer.clone(), geometry, direction, shifted };
        let outputs = 1 + usize::from(cell.is_lstm());
        let slopes = writer.apply_all(Arc::new(slopes), &[x, Some(products), packed, lengths, seen, candidates], outputs)?;
        let back = RecurrentGradient { layer, geometry, direction };
        let inputs = [slopes.first().copied(), Some(self.r), lengths, upstream(0), upstream(1), upstream(2)];
        let made = writer.apply_all(Arc::new(back), &inputs, 2)?;
        Ok(Found { made: made[0], first: made[1], before, scaled, memories: slopes.get(1).copied() })
    }

    /// The gradients of this direction of R, B and, where the cell has them, P.
    fn weights(&self, found: &Found, writer: &mut Writer) -> Result<Vec<ValueId>> {
        let (hidden, rows) = (self.op.geometry.hidden, self.rows());
        let blocks = self.op.layer.cell.blocks_made() * hidden;
        let (all, recurrent) = (0..self.op.geometry.steps, blocks - rows..blocks);
        let r = match (found.before, found.scaled) {
            (Some(before), None) => self.outer(writer, [found.made, before], [all.clone(), all], recurrent)?,
            (Some(before), Some(scaled)) => {
                let gates = self.outer(writer, [found.made, before], [all.clone(), all.clone()], 0..rows - hidden)?;
                let candidate = self.outer(writer, [found.made, scaled], [all.clone(), all], rows - hidden..rows)?;
                writer.apply(concat(0), &[gates, candidate])?
            }
            (None, _) => self.outer_of_neighbours(writer, found.made, recurrent)?,
        };
        let b = self.total(writer, found.made)?;
        // Where both halves are the same, they are made once.
        let b = writer.reshape(b, &[blocks / rows, rows])?;
        let b = writer.stretched(b, &[2, rows].into())?;
        let mut weights = vec![writer.reshape(r, &[1, rows, hidden])?, writer.reshape(b, &[1, 2 * rows])?];
        if let Some(after) = found.memories {
            let before = self.before(writer, after, self.node.input(4))?;
            let mut parts = vec![];
            // Gates i, o and f: the output gate sees the cell state of its own step.
            for (gate, seen) in [before, after, before].into_iter().enumerate() {
                let gate = Self::part(writer, found.made, 2, gate * hidden, hidden)?;
                let terms = writer.function("Mul", &[gate, seen])?;
                parts.push(self.total(writer, terms)?);
            }
            let p = writer.apply(concat(0), &parts)?;
            weights.push(writer.reshape(p, &[1, 3 * hidden])?);
        }
        Ok(weights)
    }

    /// The sum over all steps and the batch.
    fn total(&self, writer: &mut Writer, value: ValueId) -> Result<ValueId> {
        let width = writer.fact(value)?.shape()[2];
        let rows = self.op.geometry.steps * self.op.geometry.batch;
        let value = writer.reshape(value, &[rows, width])?;
        let sum = writer.reduced(Reduction::Sum, value, &[0])?;
        writer.reshape(sum, &[width])
    }

    /// The sum over steps of both and the batch of the products of each of these columns of the left and each of the right.
    fn outer(
        &self,
        writer: &mut Writer,
        [left, right]: [ValueId; 2],
        [own, others]: [Range<usize>; 2],
        columns: Range<usize>,
    ) -> Result<ValueId> {
        let hidden = self.op.geometry.hidden;
        let left = self.matrix(writer, left, own, columns)?;
        let left = writer.transposed(left, &[1, 0])?;
        let right = self.matrix(writer, right, others, 0..hidden)?;
        writer.apply(matmul(), &[left, right])
    }

    /// The same with the states before each step, which are those after the step before it; before the first there is none, and none
    /// after the end of a sequence.
    fn outer_of_neighbours(&self, writer: &mut Writer, made: ValueId, columns: Range<usize>) -> Result<ValueId> {
        let RecurrentShape { steps, hidden, .. } = self.op.geometry;
        if steps == 1 {
            let dtype = writer.fact(made)?.dtype();
            return Ok(writer.tensor(Tensor::zeros(TensorType::new(dtype, [self.rows(), hidden]))));
        }
        let states = self.steps(writer, self.all, hidden, true)?;
        let (earlier, later) = (0..steps - 1, 1..steps);
        let steps = if self.op.layer.reversed(self.direction) { [earlier, later] } else { [later, earlier] };
        self.outer(writer, [made, states], steps, columns)
    }
}
