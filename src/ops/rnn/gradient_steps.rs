//! Backpropagation through time: the way back through the steps of a recurrent layer (Werbos 1990, "Backpropagation through time").

use super::{Cell, Recurrent, RecurrentShape, gradient_lower};
use crate::error::Result;
use crate::graph::{Fact, Io, Op, required};
use crate::kernel::Offers;
use crate::tensor::{Tensor, TensorType};
use std::sync::Arc;

/// How a number changes with what goes into the gates of one direction of a layer.
///
/// Inputs: the slopes, see [`Slopes`](super::slopes::Slopes); R; optional sequence lengths; what a change of each output of the layer
/// is worth, of the last states and of the last cell states, in the layer's order and each of them optional.
///
/// Outputs: the gradients of what goes into the gates, `[steps, batch, gates * hidden]`, of a GRU whose reset gate scales the product
/// followed by the same with that product in place of the candidate; the gradients of the first states, `[states, batch, hidden]`.
#[derive(Clone, Debug)]
pub(super) struct RecurrentGradient {
    /// The layer.
    pub layer: Recurrent,
    /// Its extents.
    pub geometry: RecurrentShape,
    /// Which of its directions.
    pub direction: usize,
}

/// The way back through one direction of a layer, given its numbers of steps, batch elements and hidden units, see `RecurrentGradient`.
pub fn recurrent_gradient(layer: Recurrent, direction: usize, [steps, batch, hidden]: [usize; 3]) -> Arc<dyn Op> {
    let geometry = RecurrentShape { steps, batch, input: 0, hidden, directions: layer.directions() };
    Arc::new(RecurrentGradient { layer, geometry, direction })
}

impl Cell {
    /// Blocks of a unit's gradients at a step.
    pub(super) fn blocks_made(self) -> usize {
        if self == (Cell::Gru { linear_before_reset: true }) { 6 } else { self.gates() }
    }
}

impl RecurrentGradient {
    /// Tensors that are carried from step to step.
    pub(super) fn states(&self) -> usize {
        1 + usize::from(self.layer.cell.is_lstm())
    }

    fn types(&self, like: &TensorType) -> [TensorType; 2] {
        let RecurrentShape { steps, batch, hidden, .. } = self.geometry;
        let shapes = [[steps, batch, self.layer.cell.blocks_made() * hidden], [self.states(), batch, hidden]];
        shapes.map(|shape| TensorType::new(like.dtype, shape))
    }
}

impl Op for RecurrentGradient {
    fn name(&self) -> &'static str {
        "RecurrentGradient"
    }

    crate::attributes!(layer, geometry, direction);

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let like = &required(self.name(), inputs, 0)?.ty;
        Ok(self.types(like).map(|ty| Fact::new(ty.dtype, ty.shape)).into())
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let RecurrentShape { batch, hidden, steps, .. } = self.geometry;
        let optional = |k: usize| inputs.get(k).copied().flatten();
        let slopes = required(self.name(), inputs, 0)?;
        let lengths = self.geometry.lengths(self.name(), optional(2))?;
        let weights = required(self.name(), inputs, 1)?.to_f64();
        let rows = self.layer.cell.gates() * hidden * hidden;
        let data = Data { op: self, slopes: slopes.to_f64(), weights: &weights[self.direction * rows..][..rows] };
        let worth = optional(3).map(Tensor::to_f64);
        let types = self.types(slopes.ty());
        let [mut made, mut first] = [0, 1].map(|k| vec![0f64; types[k].elements()]);
        for (element, length) in lengths.into_iter().enumerate() {
            let own = self.state_row(element) * hidden;
            let ends = [4, 5].map(|k| optional(k).map_or_else(|| vec![0f64; hidden], |end| end.to_f64()[own..][..hidden].to_vec()));
            let mut carried = ends;
            for step in (0..length).rev() {
                let time = if self.layer.reversed(self.direction) { length - 1 - step } else { step };
                if let Some(worth) = &worth {
                    let start = self.answered_row(element, time, steps) * hidden;
                    carried[0].iter_mut().zip(&worth[start..]).for_each(|(h, worth)| *h += worth);
                }
                data.back(time * batch + element, &mut carried, &mut made);
            }
            for (k, carried) in carried.iter().enumerate().take(self.states()) {
                first[(k * batch + element) * hidden..][..hidden].copy_from_slice(carried);
            }
        }
        types.iter().zip([made, first]).map(|(ty, values)| Tensor::from_f64(ty.clone(), &values)).collect()
    }

    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        gradient_lower::lower(self, io, offers)
    }
}

impl RecurrentGradient {
    /// The row of a batch element in the layer's states.
    fn state_row(&self, element: usize) -> usize {
        let RecurrentShape { batch, directions, .. } = self.geometry;
        if self.layer.batch_first { element * directions + self.direction } else { self.direction * batch + element }
    }

    /// The row of a batch element in what the layer answers.
    fn answered_row(&self, element: usize, time: usize, steps: usize) -> usize {
        let RecurrentShape { batch, directions, .. } = self.geometry;
        match self.layer.batch_first {
            true => (element * steps + time) * directions + self.direction,
            false => (time * directions + self.direction) * batch + element,
        }
    }
}

/// What the steps read.
struct Data<'a> {
    op: &'a RecurrentGradient,
    slopes: Vec<f64>,
    weights: &'a [f64],
}

impl Data<'_> {
    /// Goes back through the step of a row.
    fn back(&self, row: usize, carried: &mut [Vec<f64>; 2], made: &mut [f64]) {
        let (hidden, cell) = (self.op.geometry.hidden, self.op.layer.cell);
        let slope = |block: usize, unit: usize| self.slopes[(row * cell.slopes() + block) * hidden + unit];
        let mut gates = vec![vec![0f64; hidden]; cell.gates()];
        let mut product = vec![0f64; hidden];
        let mut kept = vec![0f64; hidden];
        for unit in 0..hidden {
            let h = carried[0][unit];
            match cell {
                Cell::Rnn => gates[0][unit] = h * slope(0, unit),
                Cell::Gru { linear_before_reset } => {
                    (0..3).for_each(|gate| gates[gate][unit] = h * slope(gate, unit));
                    product[unit] = if linear_before_reset { h * slope(3, unit) } else { 0.0 };
                    kept[unit] = h * slope(4, unit);
                }
                Cell::Lstm { .. } => {
                    let memory = carried[1][unit] + h * slope(4, unit);
                    (0..4).for_each(|gate| gates[gate][unit] = slope(gate, unit) * if gate == 1 { h } else { memory });
                    carried[1][unit] = memory * slope(5, unit);
                }
            }
        }
        if cell.takes_two_products() {
            let scaled = self.through_weights(2, &gates[2]);
            for unit in 0..hidden {
                gates[1][unit] = scaled[unit] * slope(1, unit);
                kept[unit] += scaled[unit] * slope(3, unit);
            }
        }
        let mut blocks = gates.clone();
        if cell.blocks_made() > cell.gates() {
            gates[2] = product;
            blocks.extend(gates.clone());
        }
        let products = if cell.takes_two_products() { 2 } else { cell.gates() };
        for (gate, changes) in gates.iter().enumerate().take(products) {
            let handed = self.through_weights(gate, changes);
            kept.iter_mut().zip(handed).for_each(|(kept, handed)| *kept += handed);
        }
        carried[0] = kept;
        let start = row * blocks.len() * hidden;
        made[start..][..blocks.len() * hidden].copy_from_slice(&blocks.concat());
    }

    /// The gradient of the state that a gate's product with it hands on.
    fn through_weights(&self, gate: usize, changes: &[f64]) -> Vec<f64> {
        let hidden = self.op.geometry.hidden;
        let mut state = vec![0f64; hidden];
        for (unit, change) in changes.iter().enumerate() {
            let weights = &self.weights[(gate * hidden + unit) * hidden..][..hidden];
            state.iter_mut().zip(weights).for_each(|(state, weight)| *state += weight * change);
        }
        state
    }
}
