//! Recurrent layers: RNN, GRU and LSTM.

mod activation;
mod gradient;
mod gradient_lower;
mod gradient_steps;
mod lower;
mod pack;
mod persistent;
mod reference;
mod slopes;
mod slopes_lower;
mod software;
mod steps;
mod tiled;

pub use activation::{Activation, ActivationFunction, activations};
pub use gradient_steps::recurrent_gradient;
pub use slopes::recurrent_slopes;

use super::Registration;
use super::matmul::MatMul;
use crate::error::{Error, Result};
use crate::graph::{Attribute, Fact, Key, Node, Op, ValueId, Writer, required};
use crate::tensor::{DType, Shape, Tensor, View};
use reference::{Start, Weights};
use std::sync::Arc;
use steps::Steps;

pub(super) static REGISTRATION: Registration = Registration {
    operators: &["RNN", "GRU", "LSTM", "RecurrentPack", "RecurrentSteps", "RecurrentSlopes", "RecurrentGradient"],
    shaders: lower::SHADERS,
};

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

crate::attributes!(enum Cell { Rnn, Gru { linear_before_reset }, Lstm { input_forget } });

impl Cell {
    /// Gates, that is blocks of `hidden_size` rows in the weights: `z r h` for GRU, `i o f c` for LSTM.
    pub fn gates(self) -> usize {
        match self {
            Cell::Rnn => 1,
            Cell::Gru { .. } => 3,
            Cell::Lstm { .. } => 4,
        }
    }

    /// Whether a step takes a second product, of what the first makes of the state.
    pub(super) fn takes_two_products(self) -> bool {
        self == Cell::Gru { linear_before_reset: false }
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

crate::attributes!(
    enum Direction {
        Forward,
        Reverse,
        Bidirectional,
    }
);

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
struct RecurrentShape {
    steps: usize,
    batch: usize,
    input: usize,
    hidden: usize,
    directions: usize,
}

crate::attributes!(struct RecurrentShape { steps, batch, input, hidden, directions });

impl Recurrent {
    fn geometry<'a>(&self, shape: impl Fn(usize) -> Option<&'a Shape>) -> Result<RecurrentShape> {
        let name = self.name();
        let need = |k: usize| shape(k).ok_or_else(|| Error::invalid_model(format!("{name} needs input {k}, which is missing")));
        let (x, w, r) = (need(0)?, need(1)?, need(2)?);
        if x.rank() != 3 || w.rank() != 3 || r.rank() != 3 {
            return Err(Error::invalid_model(format!("{name} takes X, W and R of rank 3, found {x}, {w} and {r}")));
        }
        let (steps, batch) = if self.batch_first { (x[1], x[0]) } else { (x[0], x[1]) };
        let directions = self.directions();
        let g = RecurrentShape { steps, batch, input: x[2], hidden: self.hidden_size.unwrap_or(r[2]), directions };
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

    /// The shapes of Y, and of Y_h and Y_c.
    fn output_shapes(&self, g: RecurrentShape) -> (Shape, Shape) {
        let RecurrentShape { steps, batch, directions, hidden, .. } = g;
        if self.batch_first {
            ([batch, steps, directions, hidden].into(), [batch, directions, hidden].into())
        } else {
            ([steps, directions, batch, hidden].into(), [directions, batch, hidden].into())
        }
    }

    fn output_facts(&self, g: RecurrentShape, dtype: DType) -> Vec<Fact> {
        let (all, last) = self.output_shapes(g);
        let mut outputs = vec![Fact::new(dtype, all), Fact::new(dtype, last.clone())];
        if matches!(self.cell, Cell::Lstm { .. }) {
            outputs.push(Fact::new(dtype, last));
        }
        outputs
    }

    /// Activation `k` of a direction.
    fn activation(&self, direction: usize, k: usize) -> Activation {
        let chosen = self.activations.get(direction * self.cell.activations() + k).copied();
        chosen.unwrap_or_else(|| self.cell.default_activations()[k].into())
    }

    /// How many directions there are.
    fn directions(&self) -> usize {
        if self.direction == Direction::Bidirectional { 2 } else { 1 }
    }

    /// True when a direction runs from the last step to the first.
    fn reversed(&self, direction: usize) -> bool {
        direction == 1 || self.direction == Direction::Reverse
    }
}

impl Attribute for Recurrent {
    fn add_to(&self, key: &mut Key) {
        self.attributes(key);
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

    crate::attributes!(cell, direction, hidden_size, activations, clip, batch_first);

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
        Ok(self.output_facts(g, x.dtype()))
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let optional = |k: usize| inputs.get(k).copied().flatten();
        let g = self.geometry(|k| optional(k).map(Tensor::shape))?;
        let need = |k: usize| required(self.name(), inputs, k);
        let columns = g.directions * self.cell.gates() * g.hidden;
        let products = reference::products(&need(0)?.to_f64(), &need(1)?.to_f64(), g.input, columns, g.steps * g.batch);
        let weights = Weights { r: need(2)?.to_f64(), b: optional(3).map(Tensor::to_f64), p: optional(7).map(Tensor::to_f64) };
        let start = Start { lengths: optional(4), h: optional(5), c: optional(6) };
        reference::steps(self, g, need(0)?.dtype(), &products, &weights, &start)
    }

    /// One product of all inputs and W, the weights packed (folded where they are constants), and the steps.
    fn expand(&self, node: &Node, inputs: &[Option<&Fact>], writer: &mut Writer) -> Result<Option<Vec<ValueId>>> {
        let g = self.geometry(|k| inputs.get(k).copied().flatten().map(Fact::shape))?;
        let columns = g.directions * self.cell.gates() * g.hidden;
        let a = View::contiguous(&[g.steps * g.batch, g.input].into());
        let b = View::contiguous(&[columns, g.input].into()).transpose(&[1, 0]);
        let products = writer.apply(Arc::new(MatMul { a: Some(a), b: Some(b) }), &[node.needed(0)?, node.needed(1)?])?;
        let weights = writer.apply_all(Arc::new(self.packer(g)), &[node.input(2), node.input(3), node.input(7)], 1)?;
        let inputs = [Some(products), weights.first().copied(), node.input(4), node.input(5), node.input(6)];
        let steps = Steps { layer: self.clone(), geometry: g };
        Ok(Some(writer.apply_all(Arc::new(steps), &inputs, node.outputs.len())?))
    }
}
