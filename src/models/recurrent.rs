//! GRUs: layers one above the other, over steps `[time, batch, inputs]`.

use super::initial::Initial;
use super::layers::Layers;
use crate::error::Result;
use crate::graph::ValueId;
use crate::operators::{self, Cell, Direction, Recurrent};

/// The sizes of a GRU.
///
/// A layer's parameters are those of ONNX's operator, so that no step puts them in order: `NAME.weight_ih_lK`, `[directions, 3 hidden, inputs]`,
/// `NAME.weight_hh_lK`, `[directions, 3 hidden, hidden]`, and `NAME.bias_lK`, `[directions, 6 hidden]`, the gates in the order update, reset, new.
/// [`from_pytorch`](super::from_pytorch) makes them of PyTorch's.
#[derive(Clone, Copy)]
pub(super) struct Gru<'a> {
    pub(super) name: &'a str,
    pub(super) inputs: usize,
    pub(super) hidden: usize,
    pub(super) layers: usize,
    pub(super) bidirectional: bool,
    /// How much is dropped of what goes from layer to layer.
    pub(super) dropout: f64,
}

/// What a GRU leaves.
pub(super) struct Run {
    /// The states of the last layer, `[time, batch, directions * hidden]`.
    pub(super) all: ValueId,
    /// The last state of each layer, `[directions, batch, hidden]`.
    pub(super) last: Vec<ValueId>,
}

impl Gru<'_> {
    /// Runs over steps, of which so many count, i32 `[batch]`, from a state of each layer, or from zeros.
    pub(super) fn write(&self, layers: &mut Layers, x: ValueId, lengths: Option<ValueId>, start: &[ValueId]) -> Result<Run> {
        let Gru { name, hidden, bidirectional, .. } = *self;
        let directions = if bidirectional { 2 } else { 1 };
        let direction = if bidirectional { Direction::Bidirectional } else { Direction::Forward };
        let cell = Cell::Gru { linear_before_reset: true };
        let (mut all, mut last) = (x, Vec::new());
        for k in 0..self.layers {
            if k > 0 {
                all = layers.dropout(&format!("{name}.dropout{k}"), all, self.dropout)?;
            }
            let inputs = if k == 0 { self.inputs } else { directions * hidden };
            let initial = Initial::of_inputs(hidden);
            let weight = layers.parameter(&format!("{name}.weight_ih_l{k}"), &[directions, 3 * hidden, inputs], initial)?;
            let state_weight = layers.parameter(&format!("{name}.weight_hh_l{k}"), &[directions, 3 * hidden, hidden], initial)?;
            let bias = layers.parameter(&format!("{name}.bias_l{k}"), &[directions, 6 * hidden], initial)?;
            let operator = operators::recurrent(Recurrent { direction, ..Recurrent::new(cell) });
            let given = [Some(all), Some(weight), Some(state_weight), Some(bias), lengths, start.get(k).copied()];
            let [states, end] = ["states", "last"].map(|part| layers.builder.value(&format!("{name}.{part}{k}"), None));
            layers.builder.push(&format!("{name}{k}"), operator, given.to_vec(), vec![Some(states), Some(end)]);
            let turned = match bidirectional {
                true => layers.transposed(&format!("{name}.turned{k}"), states, &[0, 2, 1, 3]),
                false => states,
            };
            let width = i64::try_from(directions * hidden).unwrap_or(i64::MAX);
            all = match bidirectional {
                true => layers.reshaped(&format!("{name}.joined{k}"), turned, &[0, 0, width]),
                // The axis of directions goes.
                false => {
                    let axis = layers.integers(&format!("{name}.direction{k}"), &[1]);
                    layers.node(&format!("{name}.joined{k}"), operators::squeeze(), &[turned, axis])
                }
            };
            last.push(end);
        }
        Ok(Run { all, last })
    }
}
