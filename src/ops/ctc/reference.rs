//! The CTC loss on the CPU: forward and backward variables as they stand in the paper, as logarithms.

use super::{CtcLoss, Extents};
use crate::error::Result;
use crate::tensor::{Tensor, TensorType};

/// Losses and gradients of inputs that are in range.
pub(super) fn reference(op: &CtcLoss, extents: Extents, inputs: [&Tensor; 4]) -> Result<Vec<Tensor>> {
    let Extents { time, batch, classes, labels } = extents;
    let [logits, target, input_lengths, target_lengths] = inputs;
    let (data, target) = (logits.to_f64(), target.to_i64());
    let (input_lengths, target_lengths) = (input_lengths.to_i64(), target_lengths.to_i64());
    let mut losses = vec![0f64; batch];
    let mut gradient = vec![0f64; data.len()];
    for (element, loss) in losses.iter_mut().enumerate() {
        let frames = input_lengths[element] as usize;
        let row = |frame: usize| &data[(frame * batch + element) * classes..][..classes];
        let target = &target[element * labels..][..target_lengths[element] as usize];
        let sequence =
            Sequence { logarithms: (0..frames).map(|frame| log_softmax(row(frame))).collect(), states: extended(target, op.blank) };
        let (own, slopes) = sequence.loss(classes);
        let is_zero = op.zero_infinity && own.is_infinite();
        *loss = if is_zero { 0.0 } else { own };
        for (frame, slopes) in slopes.into_iter().enumerate() {
            let to = &mut gradient[(frame * batch + element) * classes..][..classes];
            to.iter_mut().zip(slopes).for_each(|(to, slope)| *to = if is_zero { 0.0 } else { slope });
        }
    }
    let types = [vec![batch], vec![time, batch, classes]].map(|dims| TensorType::new(logits.dtype(), dims));
    let [of_losses, of_gradient] = types;
    Ok(vec![Tensor::from_f64(of_losses, &losses)?, Tensor::from_f64(of_gradient, &gradient)?])
}

fn log_softmax(row: &[f64]) -> Vec<f64> {
    let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let total = row.iter().map(|x| (x - most).exp()).sum::<f64>().ln();
    row.iter().map(|x| x - most - total).collect()
}

/// The logarithm of a sum, given the logarithms of its terms.
fn joined(terms: &[f64]) -> f64 {
    let most = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if most == f64::NEG_INFINITY && !terms.iter().any(|x| x.is_nan()) {
        return most;
    }
    most + terms.iter().map(|x| (x - most).exp()).sum::<f64>().ln()
}

/// The labels with blanks between and around them.
fn extended(target: &[i64], blank: usize) -> Vec<usize> {
    let labels = target.iter().flat_map(|label| [*label as usize, blank]);
    std::iter::once(blank).chain(labels).collect()
}

/// What is known of one sequence.
struct Sequence {
    /// The logarithm of the probability of each class in each frame.
    logarithms: Vec<Vec<f64>>,
    /// Blanks and labels.
    states: Vec<usize>,
}

impl Sequence {
    /// Whether a way may pass from state `s - 2` to `s`: past a blank between labels that differ.
    fn skips(&self, s: usize) -> bool {
        s >= 3 && s % 2 == 1 && self.states[s] != self.states[s - 2]
    }

    /// The logarithms of the forward variables: of all ways to a state in a frame, that frame included.
    fn forward(&self) -> Vec<Vec<f64>> {
        let mut rows: Vec<Vec<f64>> = Vec::new();
        for logarithms in &self.logarithms {
            let row = (0..self.states.len()).map(|s| {
                let before = match rows.last() {
                    None if s < 2 => 0.0,
                    None => f64::NEG_INFINITY,
                    Some(last) => {
                        let one = if s >= 1 { last[s - 1] } else { f64::NEG_INFINITY };
                        let two = if self.skips(s) { last[s - 2] } else { f64::NEG_INFINITY };
                        joined(&[last[s], one, two])
                    }
                };
                before + logarithms[self.states[s]]
            });
            let row = row.collect();
            rows.push(row);
        }
        rows
    }

    /// The logarithms of the backward variables: of all ways from a state in a frame to the end, that frame left out.
    fn backward(&self) -> Vec<Vec<f64>> {
        let count = self.states.len();
        let mut rows: Vec<Vec<f64>> = Vec::new();
        for frame in (0..self.logarithms.len()).rev() {
            let row = (0..count).map(|s| match (rows.last(), self.logarithms.get(frame + 1)) {
                (Some(next), Some(logarithms)) => {
                    let through = |s: usize| next[s] + logarithms[self.states[s]];
                    let one = if s + 1 < count { through(s + 1) } else { f64::NEG_INFINITY };
                    let two = if s + 2 < count && self.skips(s + 2) { through(s + 2) } else { f64::NEG_INFINITY };
                    joined(&[through(s), one, two])
                }
                _ if s + 2 >= count => 0.0,
                _ => f64::NEG_INFINITY,
            });
            let row = row.collect();
            rows.push(row);
        }
        rows.reverse();
        rows
    }

    /// Minus the logarithm of the probability of the target, and its gradient in each frame with respect to the logits.
    fn loss(&self, classes: usize) -> (f64, Vec<Vec<f64>>) {
        let forward = self.forward();
        let probability = match forward.last() {
            Some(last) => joined(&last[last.len().saturating_sub(2)..]),
            // No frame at all is a way through a target without labels.
            None if self.states.len() == 1 => 0.0,
            None => f64::NEG_INFINITY,
        };
        let mut slopes = Vec::new();
        for ((logarithms, forward), backward) in self.logarithms.iter().zip(&forward).zip(self.backward()) {
            let mut slope: Vec<f64> = logarithms.iter().map(|x| x.exp()).collect();
            for (s, class) in self.states.iter().enumerate() {
                slope[*class] -= (forward[s] + backward[s] - probability).exp();
            }
            if probability == f64::NEG_INFINITY {
                slope = vec![f64::NAN; classes];
            }
            slopes.push(slope);
        }
        (-probability, slopes)
    }
}
