//! What is told of the first value that is infinite or no number.

use crate::tensor::{Tensor, TensorType};
use std::fmt;

/// Where a value is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// Nowhere: a run is given it, or it is a parameter, a state or a constant.
    Given,
    /// On the way to the loss.
    Forward,
    /// On the way from the loss to the gradients.
    Backward,
}

/// The numbers of a tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ValueRange {
    /// The least of the finite numbers; infinite where there is none.
    pub least: f64,
    /// The greatest of them; infinite below zero where there is none.
    pub greatest: f64,
    /// How many elements are no number.
    pub undefined: usize,
    /// How many are infinite.
    pub infinite: usize,
    /// How many there are.
    pub elements: usize,
}

/// A value that is not finite though all that it is computed from is: what made a batch such that nothing can be learned from it.
#[derive(Clone, Debug, PartialEq)]
pub struct NonFinite {
    /// The name of the value.
    pub value: String,
    /// Its type.
    pub ty: TensorType,
    /// The path of the node that makes it; `None` for what is given.
    pub node: Option<String>,
    /// Where it is made.
    pub pass: Pass,
    /// Its numbers.
    pub range: ValueRange,
    /// The places along its first axis where something is not finite.
    pub rows: Vec<usize>,
    /// The names and numbers of the floats that the node reads.
    pub inputs: Vec<(String, ValueRange)>,
}

impl ValueRange {
    /// The numbers of a tensor.
    pub(super) fn of(tensor: &Tensor) -> Self {
        let nothing = ValueRange {
            least: f64::INFINITY,
            greatest: f64::NEG_INFINITY,
            undefined: 0,
            infinite: 0,
            elements: tensor.elements(),
        };
        if !tensor.dtype().is_float() {
            return nothing;
        }
        tensor.to_f64().into_iter().fold(nothing, |range, number| match number {
            number if number.is_nan() => ValueRange { undefined: range.undefined + 1, ..range },
            number if number.is_infinite() => ValueRange { infinite: range.infinite + 1, ..range },
            number => ValueRange { least: range.least.min(number), greatest: range.greatest.max(number), ..range },
        })
    }

    /// Whether all numbers are finite.
    pub fn is_finite(&self) -> bool {
        self.undefined + self.infinite == 0
    }
}

impl fmt::Display for ValueRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if self.undefined > 0 {
            parts.push(format!("{} of {} are no number", self.undefined, self.elements));
        }
        if self.infinite > 0 {
            parts.push(format!("{} of {} are infinite", self.infinite, self.elements));
        }
        if self.least <= self.greatest {
            let others = if parts.is_empty() { "" } else { "the others " };
            parts.push(format!("{others}from {:e} to {:e}", self.least, self.greatest));
        }
        f.write_str(&parts.join(", "))
    }
}

impl fmt::Display for NonFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NonFinite { value, ty, node, range, .. } = self;
        let Some(node) = node else { return write!(f, "`{value}`, which is given, is {ty}: {range}") };
        let pass = if self.pass == Pass::Backward { "backward" } else { "forward" };
        write!(f, "in the {pass} pass {node} makes `{value}`, {ty}: {range}")?;
        if range.is_finite() {
            f.write_str(", whose squares are infinite")?;
        }
        for (number, (name, range)) in self.inputs.iter().enumerate() {
            f.write_str(if number == 0 { "; it reads " } else { ", and " })?;
            write!(f, "`{name}` {range}")?;
        }
        Ok(())
    }
}
