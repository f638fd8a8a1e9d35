//! The loss of connectionist temporal classification, as PyTorch defines it.

use super::losses::{LossReduction, Writing};
use crate::error::Result;
use crate::graph::{Builder, ValueId};
use crate::ops;
use crate::ops::elementwise::cast_like;

/// What [`ctc_loss`] reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CtcInputs {
    /// Logits `[time, batch, classes]`. The loss takes the logarithm of their softmax, that of log-probabilities is what they are:
    /// so it takes those just as well, and its gradient is then the one that their own logits would have.
    pub logits: ValueId,
    /// Labels `[batch, labels]`, integers; what stands behind a target's length counts for nothing.
    pub target: ValueId,
    /// How many frames of each sequence count, `[batch]`.
    pub input_lengths: ValueId,
    /// How many labels of each target count, `[batch]`.
    pub target_lengths: ValueId,
}

/// How [`ctc_loss`] counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CtcOptions {
    /// The class that stands for no label.
    pub blank: usize,
    /// A target that no alignment fits has an infinite loss; where this is true, that counts 0, and so does its gradient.
    pub zero_infinity: bool,
    /// What becomes of the losses `[batch]`. Their mean is that of each divided by the length of its target, or by 1.
    pub reduction: LossReduction,
}

/// The loss of labels that stand in order, but nowhere in time (Graves et al. 2006).
///
/// A run in which a label is no class or the blank, or a length exceeds what there is, fails.
///
/// # Errors
/// As [`cross_entropy`](super::cross_entropy).
pub fn ctc_loss(builder: &mut Builder, name: &str, inputs: CtcInputs, options: &CtcOptions) -> Result<ValueId> {
    let mut w = Writing { builder, name };
    let op = ops::ctc::ctc_loss(options.blank, options.zero_infinity);
    let mut loss = w.node(op, &[inputs.logits, inputs.target, inputs.input_lengths, inputs.target_lengths]);
    if options.reduction == LossReduction::Mean {
        let lengths = w.node(cast_like(), &[inputs.target_lengths, loss]);
        let one = w.number_like(1, loss);
        let lengths = w.function("Max", &[lengths, one])?;
        loss = w.function("Div", &[loss, lengths])?;
    }
    w.reduced(options.reduction, loss, None)
}
