//! RNN, GRU, LSTM.

use super::{Row, rows};
use crate::error::Result;
use crate::export::onnx::context::Context;
use crate::export::onnx::form::form;
use crate::ops::rnn::{Activation, ActivationFunction, Cell, Direction, Recurrent};

pub(super) const ROWS: &[Row] = rows! {
    Recurrent => layer,
};

fn layer(op: &Recurrent, c: &mut Context<'_, '_>) -> Result<()> {
    let form = match op.cell {
        Cell::Rnn => form("RNN"),
        Cell::Gru { linear_before_reset } => form("GRU").flag("linear_before_reset", linear_before_reset),
        Cell::Lstm { input_forget } => form("LSTM").flag("input_forget", input_forget),
    };
    let direction = match op.direction {
        Direction::Forward => "forward",
        Direction::Reverse => "reverse",
        Direction::Bidirectional => "bidirectional",
    };
    // Other readers want the size even where the weights say it.
    let of_weights = || c.known(2).and_then(|weights| weights.shape().last().copied());
    let hidden_size = op.hidden_size.or_else(of_weights).map(|size| size as i64);
    let constants = |of: fn(&Activation) -> Option<f32>| op.activations.iter().filter_map(of).collect();
    let names = op.activations.iter().map(|activation| format!("{:?}", activation.function)).collect();
    let form = form.text("direction", direction).maybe("hidden_size", hidden_size).texts("activations", names);
    let form = form.floats("activation_alpha", constants(alpha)).floats("activation_beta", constants(beta));
    c.emit(&form.maybe_float("clip", op.clip).flag("layout", op.batch_first))
}

/// The first constant of a function that has one.
fn alpha(activation: &Activation) -> Option<f32> {
    use ActivationFunction::{Relu, Sigmoid, Softplus, Softsign, Tanh};
    (!matches!(activation.function, Sigmoid | Tanh | Relu | Softsign | Softplus)).then_some(activation.alpha)
}

/// The second constant of a function that has two.
fn beta(activation: &Activation) -> Option<f32> {
    use ActivationFunction::{Affine, HardSigmoid, ScaledTanh};
    matches!(activation.function, Affine | ScaledTanh | HardSigmoid).then_some(activation.beta)
}
