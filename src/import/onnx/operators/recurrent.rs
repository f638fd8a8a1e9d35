//! RNN, GRU, LSTM.

use super::{Row, row};
use crate::error::{Error, Result};
use crate::import::onnx::context::Context;
use crate::ops::rnn::{Cell, Direction, Recurrent, activations, recurrent};

pub(super) const ROWS: &[Row] = &[
    row("RNN", 1, 3..=6, 2, |c| layer(c, Cell::Rnn)),
    row("GRU", 1, 3..=6, 2, gru),
    row("LSTM", 1, 3..=8, 3, |c| layer(c, Cell::Lstm { input_forget: c.flag("input_forget", false)? })),
];

/// `linear_before_reset` exists from version 3 on; a file of version 1 means 0.
fn gru(c: &mut Context<'_, '_>) -> Result<()> {
    let linear_before_reset = c.version >= 3 && c.flag("linear_before_reset", false)?;
    layer(c, Cell::Gru { linear_before_reset })
}

fn layer(c: &mut Context<'_, '_>, cell: Cell) -> Result<()> {
    let direction = match c.string("direction", "forward")? {
        "forward" => Direction::Forward,
        "reverse" => Direction::Reverse,
        "bidirectional" => Direction::Bidirectional,
        other => return Err(Error::invalid_model(format!("direction `{other}`: expected forward, reverse or bidirectional"))),
    };
    let names: Vec<String> = c.attributes.strings("activations")?.unwrap_or_default().into_iter().map(str::to_string).collect();
    let alpha = c.attributes.floats("activation_alpha")?.unwrap_or_default();
    let beta = c.attributes.floats("activation_beta")?.unwrap_or_default();
    let directions = if direction == Direction::Bidirectional { 2 } else { 1 };
    let mut activations = activations(&names, alpha, beta)?;
    let expected = cell.activations().saturating_mul(directions);
    if activations.len() > expected && matches!(cell, Cell::Rnn) {
        // The default of RNN names two, whatever the direction.
        activations.truncate(expected);
    }
    if !activations.is_empty() && activations.len() != expected {
        return Err(Error::invalid_model(format!("expected {expected} activations, found {}", activations.len())));
    }
    let hidden_size = c.attributes.has("hidden_size").then(|| c.count("hidden_size", 0)).transpose()?;
    let clip = c.attributes.float("clip")?.filter(|clip| *clip > 0.0);
    let batch_first = c.version >= 14 && c.flag("layout", false)?;
    c.emit(recurrent(Recurrent { cell, direction, hidden_size, activations, clip, batch_first }), &c.inputs())
}
