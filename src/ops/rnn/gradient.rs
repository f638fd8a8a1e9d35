//! Gradients of recurrent layers. What all steps take part in at once is written as products; the way back from step to step is an operator
//! of its own, see [`RecurrentGradient`].

use super::gradient_steps::RecurrentGradient;
use super::pack::Pack;
use super::steps::Steps;
use super::{Cell, RecurrentShape};
use crate::error::Result;
use crate::graph::{Gradient, Node, ValueId, Writer};
use crate::ops::compose::Compose;
use crate::ops::concat::concat;
use crate::ops::elementwise::{cast, clip};
use crate::ops::matmul::MatMul;
use crate::ops::reduce::Reduction;
use crate::ops::reverse_sequence::reverse_sequence;
use crate::ops::view::strided_view;
use crate::tensor::{DType, Shape, Tensor, TensorType, View};
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
    let sides = (0..g.directions).map(|direction| Side { op, node, direction }.gradient(all, &optional, writer));
    let sides = sides.collect::<Result<Vec<Found>>>()?;
    let joined = |writer: &mut Writer, part: &dyn Fn(&Found) -> ValueId, axis: i64| {
        let parts: Vec<ValueId> = sides.iter().map(part).collect();
        writer.apply(concat(axis), &parts)
    };
    let products = joined(writer, &|side| side.products, 2)?;
    let products = if op.layer.batch_first { writer.transposed(products, &[1, 0, 2])? } else { products };
    let columns = g.directions * op.layer.cell.gates() * g.hidden;
    let answers = [
        Some(writer.reshape(products, &[g.steps * g.batch, columns])?),
        if wanted.get(1) == Some(&true) { Some(packed(op, node, &sides, writer)?) } else { None },
        None,
        Some(joined(writer, &|side| side.state, if op.layer.batch_first { 1 } else { 0 })?),
        match sides.iter().all(|side| side.memory.is_some()) {
            true => Some(joined(writer, &|side| side.memory.unwrap_or(side.state), if op.layer.batch_first { 1 } else { 0 })?),
            false => None,
        },
    ];
    found.iter_mut().zip(answers).for_each(|(found, answer)| *found = answer);
    Ok(Gradient::Inputs(found))
}

/// The gradient of the packed weights, in their order.
fn packed(op: &Steps, node: &Node, sides: &[Found], writer: &mut Writer) -> Result<ValueId> {
    let g = op.geometry;
    let (mut r, mut b, mut p) = (vec![], vec![], vec![]);
    for (direction, side) in sides.iter().enumerate() {
        let weights = Side { op, node, direction }.weights(side, writer)?;
        r.push(weights[0]);
        b.push(weights[1]);
        p.extend(weights.get(2));
    }
    let mut inputs = vec![Some(writer.apply(concat(0), &r)?), Some(writer.apply(concat(0), &b)?)];
    if !p.is_empty() {
        inputs.push(Some(writer.apply(concat(0), &p)?));
    }
    let packed = writer.apply_all(Arc::new(op.layer.packer(g)), &inputs, 1)?;
    Ok(packed[0])
}

/// The gradients of R, B and P from those of the packed weights.
pub(super) fn unpacked(pack: &Pack, upstream: Option<ValueId>, wanted: &[bool], writer: &mut Writer) -> Result<Gradient> {
    let Some(worth) = upstream else { return Ok(Gradient::Zero) };
    let RecurrentShape { hidden, directions, .. } = pack.geometry;
    let rows = pack.cell.gates() * hidden;
    let shapes: [&[usize]; 3] = [&[directions, rows, hidden], &[directions, 2 * rows], &[directions, 3 * hidden]];
    let mut found = vec![None; wanted.len()];
    for ((found, view), (shape, wanted)) in found.iter_mut().zip(pack.views()).zip(shapes.into_iter().zip(wanted)) {
        if *wanted {
            let part = writer.apply(strided_view(view), &[worth])?;
            *found = Some(writer.reshape(part, shape)?);
        }
    }
    Ok(Gradient::Inputs(found))
}

/// One direction of a layer. Its values have steps and batch as their first axes, whatever the order of the layer's.
#[derive(Clone, Copy)]
struct Side<'a> {
    op: &'a Steps,
    node: &'a Node,
    direction: usize,
}

/// What one direction found.
struct Found {
    /// The gradients of what comes from the inputs, `[steps, batch, gates * hidden]`.
    products: ValueId,
    /// Of what comes from the state.
    recurrent: ValueId,
    /// Of the first state, as the layer takes it.
    state: ValueId,
    /// Of the first cell state.
    memory: Option<ValueId>,
    /// The states before each step, `[steps, batch, hidden]`, and those that the reset gate has scaled.
    before: ValueId,
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

    /// This direction of R as `[gates * hidden, hidden]`, of B as `[2, gates * hidden]` or of P as `[3, hidden]`.
    fn weight(&self, writer: &mut Writer, k: usize) -> Result<ValueId> {
        let pack = self.op.layer.packer(self.op.geometry);
        let view = pack.views()[k].slice(0, self.direction, 1, 1);
        let shape = [[self.rows(), self.op.geometry.hidden], [2, self.rows()], [3, self.op.geometry.hidden]][k];
        let weight = writer.apply(strided_view(view), &[self.node.needed(1)?])?;
        writer.reshape(weight, &shape)
    }

    /// This direction of a tensor of all steps whose last axis has this extent; with `by_side` the directions stand before the batch.
    fn steps(&self, writer: &mut Writer, value: ValueId, width: usize, by_side: bool) -> Result<ValueId> {
        let RecurrentShape { steps, batch, directions, .. } = self.op.geometry;
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

    /// The product of the rows of all steps and a transposed matrix `[columns, hidden]`.
    fn product(&self, writer: &mut Writer, states: ValueId, matrix: ValueId) -> Result<ValueId> {
        let RecurrentShape { steps, batch, hidden, .. } = self.op.geometry;
        let columns = writer.fact(matrix)?.shape()[0];
        let a = View::contiguous(&[steps * batch, hidden].into());
        let b = View::contiguous(&[columns, hidden].into()).transpose(&[1, 0]);
        let product = writer.apply(Arc::new(MatMul { a: Some(a), b: Some(b) }), &[states, matrix])?;
        writer.reshape(product, &[steps, batch, columns])
    }

    /// What goes into the gates at each step, as [`RecurrentGradient`] takes it, and the states that the reset gate has scaled.
    fn sums(&self, writer: &mut Writer, before: ValueId, weights: ValueId) -> Result<(ValueId, Option<ValueId>)> {
        let (hidden, rows) = (self.op.geometry.hidden, self.rows());
        let bias = self.weight(writer, 1)?;
        let [of_input, of_state] = [Self::part(writer, bias, 0, 0, 1)?, Self::part(writer, bias, 0, 1, 1)?];
        let x = self.steps(writer, self.node.needed(0)?, rows, false)?;
        let x = writer.function("Add", &[x, of_input])?;
        let Cell::Gru { linear_before_reset } = self.op.layer.cell else {
            let h = self.product(writer, before, weights)?;
            let h = writer.function("Add", &[h, of_state])?;
            return Ok((writer.function("Add", &[x, h])?, None));
        };
        let product = if linear_before_reset { weights } else { Self::part(writer, weights, 0, 0, 2 * hidden)? };
        let h = self.product(writer, before, product)?;
        let own = if linear_before_reset { of_state } else { Self::part(writer, of_state, 1, 0, 2 * hidden)? };
        let h = writer.function("Add", &[h, own])?;
        let [x_gates, h_gates] = [Self::part(writer, x, 2, 0, 2 * hidden)?, Self::part(writer, h, 2, 0, 2 * hidden)?];
        let gates = writer.function("Add", &[x_gates, h_gates])?;
        let x_candidate = Self::part(writer, x, 2, 2 * hidden, hidden)?;
        if linear_before_reset {
            let h_candidate = Self::part(writer, h, 2, 2 * hidden, hidden)?;
            return Ok((writer.apply(concat(2), &[gates, x_candidate, h_candidate])?, None));
        }
        let reset = Self::part(writer, gates, 2, hidden, hidden)?;
        let reset = match self.op.layer.clip.map(f64::from) {
            Some(limit) => writer.apply(clip(Some(-limit), Some(limit))?, &[reset])?,
            None => reset,
        };
        let reset = self.op.layer.activation(self.direction, 0).compose(writer, reset)?;
        let scaled = writer.function("Mul", &[reset, before])?;
        let matrix = Self::part(writer, weights, 0, 2 * hidden, hidden)?;
        let candidate = self.product(writer, scaled, matrix)?;
        let own = Self::part(writer, of_state, 1, 2 * hidden, hidden)?;
        let candidate = writer.function("Add", &[candidate, own])?;
        let candidate = writer.function("Add", &[candidate, x_candidate])?;
        Ok((writer.apply(concat(2), &[gates, candidate])?, Some(scaled)))
    }

    /// Goes back, given the states after each step as the layer answers them.
    fn gradient(&self, all: ValueId, upstream: &dyn Fn(usize) -> Option<ValueId>, writer: &mut Writer) -> Result<Found> {
        let RecurrentShape { batch, hidden, .. } = self.op.geometry;
        let (rows, cell, node) = (self.rows(), self.op.layer.cell, self.node);
        let is_lstm = matches!(cell, Cell::Lstm { .. });
        let states = self.steps(writer, all, hidden, true)?;
        let before = self.before(writer, states, node.input(3))?;
        let matrix = self.weight(writer, 0)?;
        let (sums, scaled) = self.sums(writer, before, matrix)?;
        let mut weights = writer.reshape(matrix, &[rows * hidden])?;
        if is_lstm {
            let peepholes = self.weight(writer, 2)?;
            let peepholes = writer.reshape(peepholes, &[3 * hidden])?;
            weights = writer.apply(concat(0), &[weights, peepholes])?;
        }
        let start = match node.input(4) {
            _ if cell == Cell::Rnn => None,
            Some(first) if is_lstm => Some(self.state(writer, first)?),
            _ if is_lstm => None,
            _ => Some(before),
        };
        let worth = upstream(0).map(|worth| self.steps(writer, worth, hidden, true)).transpose()?;
        let ends = match (upstream(1), upstream(2)) {
            (None, None) => None,
            (h, c) if is_lstm => {
                let both = [self.state_or_zeros(writer, h)?, self.state_or_zeros(writer, c)?];
                Some(writer.apply(concat(0), &both)?)
            }
            (h, _) => Some(self.state_or_zeros(writer, h)?),
        };
        let back = RecurrentGradient { layer: self.op.layer.clone(), geometry: self.op.geometry, direction: self.direction };
        let made = writer.apply_all(Arc::new(back), &[Some(sums), Some(weights), start, node.input(2), worth, ends], 2)?;
        let (all, first) = (made[0], made[1]);
        let products = Self::part(writer, all, 2, 0, rows)?;
        let recurrent = if cell == (Cell::Gru { linear_before_reset: true }) {
            let parts = [Self::part(writer, all, 2, 0, 2 * hidden)?, Self::part(writer, all, 2, 3 * hidden, hidden)?];
            writer.apply(concat(2), &parts)?
        } else {
            products
        };
        let shape = if self.op.layer.batch_first { [batch, 1, hidden] } else { [1, batch, hidden] };
        let first_of = |k: usize, writer: &mut Writer| {
            let part = Self::part(writer, first, 0, k, 1)?;
            writer.reshape(part, &shape)
        };
        let state = first_of(0, writer)?;
        let memory = if is_lstm { Some(first_of(1, writer)?) } else { None };
        let memories = if is_lstm { Some(Self::part(writer, all, 2, rows, hidden)?) } else { None };
        Ok(Found { products, recurrent, state, memory, before, scaled, memories })
    }

    /// The gradients of this direction of R, B and, where the cell has them, P.
    fn weights(&self, found: &Found, writer: &mut Writer) -> Result<Vec<ValueId>> {
        let (hidden, rows) = (self.op.geometry.hidden, self.rows());
        let r = match found.scaled {
            None => self.outer(writer, found.recurrent, found.before)?,
            Some(scaled) => {
                let gates = Self::part(writer, found.recurrent, 2, 0, rows - hidden)?;
                let candidate = Self::part(writer, found.recurrent, 2, rows - hidden, hidden)?;
                let parts = [self.outer(writer, gates, found.before)?, self.outer(writer, candidate, scaled)?];
                writer.apply(concat(0), &parts)?
            }
        };
        let b = [self.total(writer, found.products)?, self.total(writer, found.recurrent)?];
        let b = writer.apply(concat(0), &b)?;
        let mut weights = vec![writer.reshape(r, &[1, rows, hidden])?, writer.reshape(b, &[1, 2 * rows])?];
        if let Some(after) = found.memories {
            let before = self.before(writer, after, self.node.input(4))?;
            let mut parts = vec![];
            // Gates i, o and f: the output gate sees the cell state of its own step.
            for (gate, seen) in [before, after, before].into_iter().enumerate() {
                let gate = Self::part(writer, found.products, 2, gate * hidden, hidden)?;
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
        let shape: Shape = [width].into();
        let rows = self.op.geometry.steps * self.op.geometry.batch;
        let value = writer.reshape(value, &[rows, width])?;
        let sum = writer.reduced(Reduction::Sum, value, &[0])?;
        writer.reshape(sum, &shape)
    }

    /// The sum over all steps and the batch of the products of each of the left and each of the right.
    fn outer(&self, writer: &mut Writer, left: ValueId, right: ValueId) -> Result<ValueId> {
        let RecurrentShape { steps, batch, hidden, .. } = self.op.geometry;
        let width = writer.fact(left)?.shape()[2];
        let a = View::contiguous(&[steps * batch, width].into()).transpose(&[1, 0]);
        let b = View::contiguous(&[steps * batch, hidden].into());
        writer.apply(Arc::new(MatMul { a: Some(a), b: Some(b) }), &[left, right])
    }
}
