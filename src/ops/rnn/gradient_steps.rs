//! Backpropagation through time: the way back through the steps of a recurrent layer (Werbos 1990, "Backpropagation through time").

use super::{Activation, Cell, Recurrent, RecurrentShape, gradient_lower};
use crate::error::{Error, Result};
use crate::graph::{Fact, Io, Op, required};
use crate::kernel::Offers;
use crate::tensor::{Tensor, TensorType};
use std::sync::Arc;

/// How a number changes with what goes into the gates of one direction of a layer.
///
/// Inputs, all with steps before batch: what goes into the gates, `[steps, batch, blocks * hidden]` with a block per gate, biases
/// included, and for a GRU whose reset gate scales the product of state and weights, that product and the rest of the candidate apart, the
/// product last; the direction's R, followed for an LSTM by its P; for a GRU the states before each step, for an LSTM the first cell state,
/// which may be left out; optional sequence lengths; optionally what a change of each output is worth, `[steps, batch, hidden]`, and of
/// the last state, for an LSTM followed by the cell state, `[states, batch, hidden]`.
///
/// Outputs: the gradient of the first input, for an LSTM followed by a block of the cell states after each step; the gradients of the
/// first states.
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
    let directions = direction + 1;
    let geometry = RecurrentShape { steps, batch, input: 0, hidden, directions };
    Arc::new(RecurrentGradient { layer, geometry, direction })
}

impl RecurrentGradient {
    /// Blocks of `hidden` numbers of a step that come in.
    pub(super) fn blocks(&self) -> usize {
        match self.layer.cell {
            Cell::Rnn => 1,
            Cell::Gru { linear_before_reset: false } => 3,
            Cell::Gru { linear_before_reset: true } | Cell::Lstm { .. } => 4,
        }
    }

    /// Those that go out.
    pub(super) fn blocks_made(&self) -> usize {
        self.blocks() + usize::from(self.is_lstm())
    }

    pub(super) fn is_lstm(&self) -> bool {
        matches!(self.layer.cell, Cell::Lstm { .. })
    }

    /// Tensors that are carried from step to step.
    pub(super) fn states(&self) -> usize {
        1 + usize::from(self.is_lstm())
    }
}

impl Op for RecurrentGradient {
    fn name(&self) -> &'static str {
        "RecurrentGradient"
    }

    crate::attributes!(layer, geometry, direction);

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let dtype = required(self.name(), inputs, 0)?.dtype();
        let RecurrentShape { steps, batch, hidden, .. } = self.geometry;
        Ok(vec![Fact::new(dtype, [steps, batch, self.blocks_made() * hidden]), Fact::new(dtype, [self.states(), batch, hidden])])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let RecurrentShape { steps, batch, hidden, .. } = self.geometry;
        let sums = required(self.name(), inputs, 0)?;
        let optional = |k: usize| inputs.get(k).copied().flatten();
        let lengths = optional(3).map_or_else(|| vec![steps as i64; batch], Tensor::to_i64);
        if let Some(bad) = lengths.iter().find(|l| **l < 0 || **l > steps as i64) {
            return Err(Error::invalid_input(format!("{} has {steps} steps, found a sequence length of {bad}", self.name())));
        }
        let weights = required(self.name(), inputs, 1)?.to_f64();
        let data = Data { op: self, sums: sums.to_f64(), before: optional(2).map(Tensor::to_f64), weights };
        let (worth, ends) = (optional(4).map(Tensor::to_f64), optional(5).map(Tensor::to_f64));
        let mut made = vec![0f64; steps * batch * self.blocks_made() * hidden];
        let mut first = ends.unwrap_or_else(|| vec![0f64; self.states() * batch * hidden]);
        for (element, length) in lengths.iter().enumerate() {
            let length = *length as usize;
            let place = |k: usize| if self.layer.reversed(self.direction) { length - 1 - k } else { k } * batch + element;
            if self.is_lstm() {
                data.remember(element, (0..length).map(place), &mut made);
            }
            let mut carried: Vec<Vec<f64>> =
                (0..self.states()).map(|k| first[(k * batch + element) * hidden..][..hidden].to_vec()).collect();
            for k in (0..length).rev() {
                let row = place(k);
                if let Some(worth) = &worth {
                    carried[0].iter_mut().zip(&worth[row * hidden..]).for_each(|(h, worth)| *h += worth);
                }
                let before = if k > 0 { Some(place(k - 1)) } else { None };
                data.back(element, row, before, &mut carried, &mut made);
            }
            for (k, carried) in carried.iter().enumerate() {
                first[(k * batch + element) * hidden..][..hidden].copy_from_slice(carried);
            }
        }
        let types = [[steps, batch, self.blocks_made() * hidden], [self.states(), batch, hidden]];
        let [all, first_type] = types.map(|shape| TensorType::new(sums.dtype(), shape));
        Ok(vec![Tensor::from_f64(all, &made)?, Tensor::from_f64(first_type, &first)?])
    }

    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        gradient_lower::lower(self, io, offers)
    }
}

/// What the steps read.
struct Data<'a> {
    op: &'a RecurrentGradient,
    sums: Vec<f64>,
    weights: Vec<f64>,
    before: Option<Vec<f64>>,
}

impl Data<'_> {
    fn hidden(&self) -> usize {
        self.op.geometry.hidden
    }

    fn activation(&self, k: usize) -> Activation {
        self.op.layer.activation(self.op.direction, k)
    }

    /// An activation and its derivative.
    fn both(&self, k: usize, x: f64) -> (f64, f64) {
        let limit = self.op.layer.clip.map_or(f64::INFINITY, f64::from);
        let (function, within) = (self.activation(k), x.abs() <= limit);
        (function.apply(x.clamp(-limit, limit)), if within { function.derivative(x) } else { 0.0 })
    }

    /// What goes into a gate of a unit.
    fn sum(&self, row: usize, block: usize, unit: usize) -> f64 {
        self.sums[(row * self.op.blocks() + block) * self.hidden() + unit]
    }

    fn peephole(&self, gate: usize, unit: usize) -> f64 {
        self.weights[self.op.layer.cell.gates() * self.hidden() * self.hidden() + gate * self.hidden() + unit]
    }

    /// The first cell state.
    fn first_memory(&self, element: usize, unit: usize) -> f64 {
        self.before.as_ref().map_or(0.0, |before| before[element * self.hidden() + unit])
    }

    /// Input gate, forget gate and candidate of an LSTM, each with its derivative.
    fn memory_gates(&self, row: usize, unit: usize, memory: f64) -> [(f64, f64); 3] {
        let input = self.both(0, self.sum(row, 0, unit) + self.peephole(0, unit) * memory);
        let forget = match self.op.layer.cell {
            Cell::Lstm { input_forget: true } => (1.0 - input.0, 0.0),
            _ => self.both(0, self.sum(row, 2, unit) + self.peephole(2, unit) * memory),
        };
        [input, forget, self.both(1, self.sum(row, 3, unit))]
    }

    /// Puts the cell states after each step where they are asked for.
    fn remember(&self, element: usize, rows: impl Iterator<Item = usize>, made: &mut [f64]) {
        let hidden = self.hidden();
        let mut memory: Vec<f64> = (0..hidden).map(|unit| self.first_memory(element, unit)).collect();
        for row in rows {
            for (unit, memory) in memory.iter_mut().enumerate() {
                let [input, forget, candidate] = self.memory_gates(row, unit, *memory);
                *memory = forget.0 * *memory + input.0 * candidate.0;
                made[(row * 5 + 4) * hidden + unit] = *memory;
            }
        }
    }

    /// Goes back through one step.
    fn back(&self, element: usize, row: usize, before: Option<usize>, carried: &mut [Vec<f64>], made: &mut [f64]) {
        let (hidden, blocks) = (self.hidden(), self.op.blocks());
        let own = &mut made[..];
        let mut gates = vec![0f64; blocks * hidden];
        let mut kept = vec![0f64; hidden];
        match self.op.layer.cell {
            Cell::Rnn => (0..hidden).for_each(|unit| gates[unit] = carried[0][unit] * self.both(0, self.sum(row, 0, unit)).1),
            Cell::Gru { linear_before_reset } => {
                self.back_gru(row, linear_before_reset, &carried[0], &mut gates, &mut kept);
            }
            Cell::Lstm { .. } => {
                for unit in 0..hidden {
                    let memory = before.map_or_else(|| self.first_memory(element, unit), |row| own[(row * 5 + 4) * hidden + unit]);
                    self.back_lstm(row, unit, [memory, own[(row * 5 + 4) * hidden + unit]], carried, &mut gates);
                }
            }
        }
        // Of a GRU's blocks of the candidate the product with the state is the last.
        let skipped = if self.op.layer.cell == (Cell::Gru { linear_before_reset: true }) { 2 } else { usize::MAX };
        let used: Vec<usize> = (0..blocks).filter(|k| *k != skipped).collect();
        let used = if self.op.layer.cell.takes_two_products() { vec![0, 1] } else { used };
        for (gate, block) in used.into_iter().enumerate() {
            self.through_weights(gate, &gates[block * hidden..][..hidden], &mut kept);
        }
        carried[0] = kept;
        own[row * self.op.blocks_made() * hidden..][..blocks * hidden].copy_from_slice(&gates);
    }

    /// Adds the gradients of the state that a gate's product with it hands on.
    fn through_weights(&self, gate: usize, changes: &[f64], state: &mut [f64]) {
        let hidden = self.hidden();
        for (unit, change) in changes.iter().enumerate() {
            let weights = &self.weights[(gate * hidden + unit) * hidden..][..hidden];
            state.iter_mut().zip(weights).for_each(|(state, weight)| *state += weight * change);
        }
    }

    fn back_gru(&self, row: usize, linear: bool, worth: &[f64], gates: &mut [f64], kept: &mut [f64]) {
        let hidden = self.hidden();
        let before = |unit: usize| self.before.as_ref().map_or(0.0, |before| before[row * hidden + unit]);
        let reset: Vec<(f64, f64)> = (0..hidden).map(|unit| self.both(0, self.sum(row, 1, unit))).collect();
        for unit in 0..hidden {
            let update = self.both(0, self.sum(row, 0, unit));
            let product = if linear { reset[unit].0 * self.sum(row, 3, unit) } else { 0.0 };
            let candidate = self.both(1, self.sum(row, 2, unit) + product);
            gates[unit] = worth[unit] * (before(unit) - candidate.0) * update.1;
            gates[2 * hidden + unit] = worth[unit] * (1.0 - update.0) * candidate.1;
            kept[unit] = worth[unit] * update.0;
        }
        if linear {
            for unit in 0..hidden {
                gates[hidden + unit] = gates[2 * hidden + unit] * self.sum(row, 3, unit) * reset[unit].1;
                gates[3 * hidden + unit] = gates[2 * hidden + unit] * reset[unit].0;
            }
            return;
        }
        let mut scaled = vec![0f64; hidden];
        self.through_weights(2, &gates[2 * hidden..], &mut scaled);
        for unit in 0..hidden {
            gates[hidden + unit] = scaled[unit] * before(unit) * reset[unit].1;
            kept[unit] += scaled[unit] * reset[unit].0;
        }
    }

    /// One unit of an LSTM, given its cell state before and after the step.
    fn back_lstm(&self, row: usize, unit: usize, memory: [f64; 2], carried: &mut [Vec<f64>], gates: &mut [f64]) {
        let hidden = self.hidden();
        let [before, after] = memory;
        let [input, forget, candidate] = self.memory_gates(row, unit, before);
        let output = self.both(0, self.sum(row, 1, unit) + self.peephole(1, unit) * after);
        let last = self.activation(2);
        let worth = carried[0][unit];
        let of_output = worth * last.apply(after) * output.1;
        let of_memory = carried[1][unit] + worth * output.0 * last.derivative(after) + of_output * self.peephole(1, unit);
        let through_forget = of_memory * before;
        let coupled = if self.op.layer.cell == (Cell::Lstm { input_forget: true }) { through_forget } else { 0.0 };
        let of_input = (of_memory * candidate.0 - coupled) * input.1;
        let of_forget = through_forget * forget.1;
        gates[unit] = of_input;
        gates[hidden + unit] = of_output;
        gates[2 * hidden + unit] = of_forget;
        gates[3 * hidden + unit] = of_memory * input.0 * candidate.1;
        carried[1][unit] = of_memory * forget.0 + of_input * self.peephole(0, unit) + of_forget * self.peephole(2, unit);
    }
}
