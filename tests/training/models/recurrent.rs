//! Networks of recurrent layers, whose parameters are PyTorch's: gates in its order, input and hidden biases, and directions by themselves.

use super::layers::Layers;
use gristmill::graph::ValueId;
use gristmill::operators::{self, Cell, Direction, Recurrent};

/// Where ONNX's gates stand among PyTorch's: reset, update, new.
const GRU_GATES: &[usize] = &[1, 0, 2];

/// Input, forget, cell, output.
const LSTM_GATES: &[usize] = &[0, 3, 1, 2];

/// What of a layer's outputs is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// The states of all steps, directions side by side.
    All,
    /// The last state, of batches first.
    Last,
}

fn gates(cell: Cell) -> &'static [usize] {
    if matches!(cell, Cell::Lstm { .. }) { LSTM_GATES } else { GRU_GATES }
}

/// A parameter with its gates in ONNX's order.
fn reordered(layers: &mut Layers<'_>, name: &str, order: &[usize]) -> ValueId {
    let parameter = layers.parameter(name);
    let split = operators::split(0, order.len());
    let parts = layers.apply_all(split, &[Some(parameter)], &vec![true; order.len()]);
    let parts: Vec<ValueId> = order.iter().map(|k| parts[*k]).collect();
    layers.apply(operators::concat(0), &parts)
}

/// What ONNX calls W, R and B of one layer: all its directions, stacked.
fn weights(layers: &mut Layers<'_>, name: &str, layer: usize, cell: Cell, directions: &[&str]) -> [ValueId; 3] {
    let order = gates(cell);
    [&["weight_ih"][..], &["weight_hh"], &["bias_ih", "bias_hh"]].map(|parts| {
        let of_direction = directions.iter().map(|direction| {
            let names = parts.iter().map(|part| format!("{name}.{part}_l{layer}{direction}"));
            let values: Vec<ValueId> = names.map(|name| reordered(layers, &name, order)).collect();
            let joined = layers.apply(operators::concat(0), &values);
            let first = layers.integers(&[0]);
            layers.apply(operators::unsqueeze(), &[joined, first])
        });
        let of_direction: Vec<ValueId> = of_direction.collect();
        layers.apply(operators::concat(0), &of_direction)
    })
}

/// All layers of a name: as many as the file has, in as many directions.
fn recurrent(layers: &mut Layers<'_>, name: &str, mut x: ValueId, cell: Cell, batch_first: bool, wanted: Wanted) -> ValueId {
    let count = (0..).take_while(|layer| layers.has(&format!("{name}.weight_ih_l{layer}"))).count();
    let both = layers.has(&format!("{name}.weight_ih_l0_reverse"));
    let directions: &[&str] = if both { &["", "_reverse"] } else { &[""] };
    let direction = if both { Direction::Bidirectional } else { Direction::Forward };
    for layer in 0..count {
        let [w, r, b] = weights(layers, name, layer, cell, directions);
        let operator = operators::recurrent(Recurrent { direction, batch_first, ..Recurrent::new(cell) });
        let last = wanted == Wanted::Last && layer + 1 == count;
        let inputs = [x, w, r, b].map(Some);
        x = layers.apply_all(operator, &inputs, if last { &[false, true] } else { &[true] })[0];
        if last {
            return layers.reshaped(x, &[0, -1]);
        }
        if !batch_first {
            x = layers.transposed(x, &[0, 2, 1, 3]);
        }
        x = layers.reshaped(x, &[0, 0, -1]);
    }
    x
}

const GRU: Cell = Cell::Gru { linear_before_reset: true };
const LSTM: Cell = Cell::Lstm { input_forget: false };

/// Ids by time, their embeddings, a GRU, a fully connected layer.
pub fn seq2seq_gru(layers: &mut Layers<'_>) -> ValueId {
    let ids = layers.data("input");
    let x = layers.embedding("embedding", ids);
    let x = recurrent(layers, "rnn", x, GRU, false, Wanted::All);
    layers.linear("out", x)
}

/// Ids by batch, their embeddings, an LSTM, a fully connected layer on its last state.
pub fn lstm_classifier(layers: &mut Layers<'_>) -> ValueId {
    let ids = layers.data("input");
    let x = layers.embedding("embedding", ids);
    let x = recurrent(layers, "lstm", x, LSTM, true, Wanted::Last);
    layers.linear("fc", x)
}

/// Frames by time, GRUs in both directions, a fully connected layer, logarithms of probabilities.
pub fn speech_ctc(layers: &mut Layers<'_>) -> ValueId {
    let x = layers.data("input");
    let x = recurrent(layers, "gru", x, GRU, false, Wanted::All);
    let x = layers.linear("fc", x);
    layers.apply(operators::log_softmax(-1), &[x])
}

/// Frames by batch, GRUs in both directions, a fully connected layer.
pub fn bigru_ctc(layers: &mut Layers<'_>) -> ValueId {
    let x = layers.data("input");
    let x = recurrent(layers, "gru", x, GRU, true, Wanted::All);
    layers.batch_first = true;
    layers.linear("fc", x)
}
