//! Losses over classes, written out in simpler operators.

use super::{Row, row};
use crate::error::{Error, Result};
use crate::graph::ValueId;
use crate::import::onnx::context::Context;
use crate::ops::elementwise::{binary, select, unary};
use crate::ops::reduce::{Reduction, reduce};
use crate::ops::{gather, reshape, softmax};

pub(super) const ROWS: &[Row] = &[
    row("NegativeLogLikelihoodLoss", 12, 2..=3, 1, |c| negative_log_likelihood(c, c.input(0)?)),
    row("SoftmaxCrossEntropyLoss", 12, 2..=3, 2, softmax_cross_entropy),
];

fn softmax_cross_entropy(c: &mut Context<'_, '_>) -> Result<()> {
    let logarithms = c.apply(softmax::log_softmax(1), c.input(0)?);
    c.emit_output(1, reshape::identity(), &[Some(logarithms)]);
    negative_log_likelihood(c, logarithms)
}

/// Minus the values that stand along axis 1 at the targets (input 1), times the weights of their classes (input 2). A target
/// of `ignore_index` counts neither in a sum nor in a mean.
fn negative_log_likelihood(c: &mut Context<'_, '_>, values: ValueId) -> Result<()> {
    let mut target = c.input(1)?;
    let zero = c.number_like("zero", 0i64, values);
    let ignored = match c.attributes.int("ignore_index")? {
        Some(index) => {
            let index = c.number_like("ignore_index", index, target);
            let ignored = c.node(binary("Equal")?, &[Some(target), Some(index)]);
            let first = c.number_like("first", 0i64, target);
            target = c.node(select()?, &[Some(ignored), Some(first), Some(target)]);
            Some(ignored)
        }
        None => None,
    };
    let class_axis = c.int_constant("axis", &[1])?;
    let index = c.node(reshape::unsqueeze(), &[Some(target), Some(class_axis)]);
    let picked = c.node(gather::gather_elements(1), &[Some(values), Some(index)]);
    let picked = c.node(reshape::squeeze(), &[Some(picked), Some(class_axis)]);
    let mut loss = c.apply(unary("Neg")?, picked);
    let mut weight = c.optional(2).map(|weight| c.node(gather::gather(0), &[Some(weight), Some(target)]));
    if let Some(weight) = weight {
        loss = c.node(binary("Mul")?, &[Some(loss), Some(weight)]);
    }
    if let Some(ignored) = ignored {
        loss = c.node(select()?, &[Some(ignored), Some(zero), Some(loss)]);
        let counted = match weight {
            Some(weight) => weight,
            None => c.number_like("one", 1i64, values),
        };
        weight = Some(c.node(select()?, &[Some(ignored), Some(zero), Some(counted)]));
    }
    let total = || reduce(Reduction::Sum, Some(Vec::new()), false, false);
    match (c.string("reduction", "mean")?, weight) {
        ("none", _) => c.emit_output(0, reshape::identity(), &[Some(loss)]),
        ("sum", _) => c.emit_output(0, total(), &[Some(loss)]),
        ("mean", None) => c.emit_output(0, reduce(Reduction::Mean, Some(Vec::new()), false, false), &[Some(loss)]),
        ("mean", Some(weight)) => {
            let (loss, weight) = (c.apply(total(), loss), c.apply(total(), weight));
            c.emit_output(0, binary("Div")?, &[Some(loss), Some(weight)]);
        }
        (other, _) => return Err(Error::invalid_model(format!("attribute `reduction` is `{other}`: expected none, sum or mean"))),
    }
    Ok(())
}
