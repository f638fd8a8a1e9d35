//! Recurrent layers: RNN, GRU and LSTM.

mod activation;
mod lower;
mod reference;

pub use activation::{Activation, ActivationFunction, activations};

use super::Registration;
use crate::error::{Error, Result};
use crate::graph::{Fact, Io, Op, required};
use crate::kernel::{Caps, Lowering};
use crate::tensor::{Shape, Tensor};
use std::sync::Arc;

pub(super) static REGISTRATION: Registration = Registration { operators: &["RNN", "GRU", "LSTM"], shaders: lower::SHADERS };

/// The kinds of recurrent cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// `H = f(X W + H R + b)`.
    Rnn,
    /// Gated recurrent unit.
    Gru {
        /// The reset gate scales the product of state and weights instead of the state.
        linear_before_reset: bool,
    },
    /// Long short-term memory.
    Lstm {
        /// The forget gate is one minus the input gate.
        input_forget: bool,
    },
}

impl Cell {
    /// Gates, that is blocks of `hidden_size` rows in the weights: `z r h` for GRU, `i o f c` for LSTM.
    pub fn gates(self) -> usize {
        match self {
            Cell::Rnn => 1,
            Cell::Gru { .. } => 3,
            Cell::Lstm { .. } => 4,
        }
    }

    /// Activations per direction.
    pub fn activations(self) -> usize {
        match self {
            Cell::Rnn => 1,
            Cell::Gru { .. } => 2,
            Cell::Lstm { .. } => 3,
        }
    }

    /// The functions a model gets when it names none.
    fn default_activations(self) -> &'static [ActivationFunction] {
        use ActivationFunction::{Sigmoid, Tanh};
        match self {
            Cell::Rnn => &[Tanh],
            Cell::Gru { .. } => &[Sigmoid, Tanh],
            Cell::Lstm { .. } => &[Sigmoid, Tanh, Tanh],
        }
    }
}

/// The order in which steps are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the first step to the last.
    Forward,
    /// From the last step to the first.
    Reverse,
    /// Both, each with weights of its own.
    Bidirectional,
}

/// A recurrent layer over inputs X, W, R and optional B, sequence_lens, initial_h, initial_c and P (peepholes).
#[derive(Clone, Debug)]
pub struct Recurrent {
    /// The kind of cell.
    pub cell: Cell,
    /// Which way it runs.
    pub direction: Direction,
    /// Size of the state; `None` takes it from R.
    pub hidden_size: Option<usize>,
    /// As many per direction as [`Cell::activations`] says; empty for the usual ones.
    pub activations: Vec<Activation>,
    /// What goes into an activation is clamped to `-clip..=clip`.
    pub clip: Option<f32>,
    /// ONNX's `layout` 1: batch before steps, and before directions in the states.
    pub batch_first: bool,
}

impl Recurrent {
    /// A layer with ONNX's default attributes.
    pub fn new(cell: Cell) -> Self {
        Recurrent { cell, direction: Direction::Forward, hidden_size: None, activations: vec![], clip: None, batch_first: false }
    }
}

/// A recurrent layer.
pub fn recurrent(attributes: Recurrent) -> Arc<dyn Op> {
    Arc::new(attributes)
}

/// Extents of one layer.
#[derive(Clone, Copy, Debug)]
struct Geometry {
    steps: usize,
    batch: usize,
    input: usize,
    hidden: usize,
    directions: usize,
}

impl Recurrent {
    fn geometry<'a>(&self, shape: impl Fn(usize) -> Option<&'a Shape>) -> Result<Geometry> {
        let name = self.name();
        let need = |k: usize| shape(k).ok_or_else(|| Error::invalid_model(format!("{name} needs input {k}, which is missing")));
        let (x, w, r) = (need(0)?, need(1)?, need(2)?);
        if x.rank() != 3 || w.rank() != 3 || r.rank() != 3 {
            return Err(Error::invalid_model(format!("{name} takes X, W and R of rank 3, found {x}, {w} and {r}")));
        }
        let (steps, batch) = if self.batch_first { (x[1], x[0]) } else { (x[0], x[1]) };
        let directions = if self.direction == Direction::Bidirectional { 2 } else { 1 };
        let g = Geometry { steps, batch, input: x[2], hidden: self.hidden_size.unwrap_or(r[2]), directions };
        let gates = self.cell.gates().saturating_mul(g.hidden);
        let state: Shape =
            if self.batch_first { [batch, directions, g.hidden].into() } else { [directions, batch, g.hidden].into() };
        let expected: [(usize, &str, Shape); 7] = [
            (1, "W", [directions, gates, g.input].into()),
            (2, "R", [directions, gates, g.hidden].into()),
            (3, "B", [directions, gates.saturating_mul(2)].into()),
            (4, "sequence_lens", [batch].into()),
            (5, "initial_h", state.clone()),
            (6, "initial_c", state),
            (7, "P", [directions, g.hidden.saturating_mul(3)].into()),
        ];
        let most = if matches!(self.cell, Cell::Lstm { .. }) { 8 } else { 6 };
        for (k, what, expected) in expected.into_iter().filter(|(k, ..)| *k < most) {
            if let Some(found) = shape(k).filter(|s| **s != expected) {
                return Err(Error::invalid_model(format!("{name} takes {what} of shape {expected}, found {found}")));
            }
        }
        Ok(g)
    }

    /// Activation `k` of a direction.
    fn activation(&self, direction: usize, k: usize) -> Activation {
        let chosen = self.activations.get(direction * self.cell.activations() + k).copied();
        chosen.unwrap_or_else(|| self.cell.default_activations()[k].into())
    }

    /// True when a direction runs from the last step to the first.
    fn reversed(&self, direction: usize) -> bool {
        direction == 1 || self.direction == Direction::Reverse
    }
}

impl Op for Recurrent {
    fn name(&self) -> &'static str {
        match self.cell {
            Cell::Rnn => "RNN",
            Cell::Gru { .. } => "GRU",
            Cell::Lstm { .. } => "LSTM",
        }
    }

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let x = required(self.name(), inputs, 0)?;
        if !x.dtype().is_float() {
            return Err(Error::invalid_model(format!("{} takes floats, found {}", self.name(), x.dtype())));
        }
        if inputs.get(4).copied().flatten().is_some_and(|lengths| !lengths.dtype().is_integer()) {
            return Err(Error::invalid_model(format!("{} takes integer sequence lengths", self.name())));
        }
        let g = self.geometry(|k| inputs.get(k).copied().flatten().map(Fact::shape))?;
        let expected = g.directions * self.cell.activations();
        if !self.activations.is_empty() && self.activations.len() != expected {
            return Err(Error::invalid_model(format!(
                "{} takes {expected} activations, found {}",
                self.name(),
                self.activations.len()
            )));
        }
        let (all, last) = if self.batch_first {
            (Shape::from([g.batch, g.steps, g.directions, g.hidden]), Shape::from([g.batch, g.directions, g.hidden]))
        } else {
            (Shape::from([g.steps, g.directions, g.batch, g.hidden]), Shape::from([g.directions, g.batch, g.hidden]))
        };
        let mut outputs = vec![Fact::new(x.dtype(), all), Fact::new(x.dtype(), last.clone())];
        if matches!(self.cell, Cell::Lstm { .. }) {
            outputs.push(Fact::new(x.dtype(), last));
        }
        Ok(outputs)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        reference::recurrent(self, inputs)
    }

    fn lower(&self, io: &Io, caps: &Caps) -> Result<Vec<Lowering>> {
        lower::lower(self, io, caps)
    }
}
