//! Cross-entropy, written out: the losses and what they count, without how they change.

use super::{Row, rows};
use crate::error::{Error, Result};
use crate::export::onnx::context::Context;
use crate::export::onnx::form::form;
use crate::ops::cross_entropy::CrossEntropy;

pub(super) const ROWS: &[Row] = rows! {
    CrossEntropy => cross_entropy,
};

/// What several of the nodes read.
struct Parts {
    /// Logarithms of probabilities.
    logarithms: String,
    axis: String,
    /// Labels, where those that are ignored are 0.
    labels: String,
    /// Where labels are ignored.
    ignored: Option<String>,
    /// The weight of each label.
    weights: Option<String>,
}

fn cross_entropy(op: &CrossEntropy, c: &mut Context<'_, '_>) -> Result<()> {
    if c.wants(1) {
        return Err(Error::unsupported("how the losses change is no output of ONNX's"));
    }
    let (logits, labels) = (c.input(0)?, c.input(1)?);
    let logarithms = c.between(&form("LogSoftmax").int("axis", op.axis), &[&logits]);
    let axis = c.ints("axis", &[op.axis]);
    let ignored = match op.ignore_index {
        Some(index) => {
            let index = c.number_like(index as f64, 1)?;
            Some(c.between(&form("Equal"), &[&labels, &index]))
        }
        None => None,
    };
    let labels = match &ignored {
        Some(ignored) => {
            let first = c.number_like(0.0, 1)?;
            c.between(&form("Where"), &[ignored, &first, &labels])
        }
        None => labels,
    };
    let weights = match c.optional(2) {
        given if given.is_empty() => None,
        given => Some(c.between(&form("Gather").int("axis", 0), &[&given, &labels])),
    };
    let parts = Parts { logarithms, axis, labels, ignored, weights };
    losses(op, c, &parts)?;
    counts(c, &parts)
}

/// Output 0.
fn losses(op: &CrossEntropy, c: &mut Context<'_, '_>, parts: &Parts) -> Result<()> {
    if !c.wants(0) {
        return Ok(());
    }
    let index = c.between(&form("Unsqueeze"), &[&parts.labels, &parts.axis]);
    let picked = c.between(&form("GatherElements").int("axis", op.axis), &[&parts.logarithms, &index]);
    let picked = c.between(&form("Squeeze"), &[&picked, &parts.axis]);
    let mut loss = c.between(&form("Neg"), &[&picked]);
    if let Some(weights) = &parts.weights {
        loss = c.between(&form("Mul"), &[&loss, weights]);
    }
    if op.label_smoothing != 0.0 {
        let own = c.number_like(1.0 - op.label_smoothing, 0)?;
        loss = c.between(&form("Mul"), &[&loss, &own]);
        let shared = shared(op, c, parts)?;
        loss = c.between(&form("Add"), &[&loss, &shared]);
    }
    match &parts.ignored {
        Some(ignored) => {
            let zero = c.number_like(0.0, 0)?;
            c.emit_output(0, &form("Where"), &[ignored, &zero, &loss]);
        }
        None => c.rename(&loss),
    }
    Ok(())
}

/// What all classes have of a loss alike.
fn shared(op: &CrossEntropy, c: &mut Context<'_, '_>, parts: &Parts) -> Result<String> {
    let mut all = parts.logarithms.clone();
    let given = c.optional(2);
    if !given.is_empty() {
        let behind = if op.axis < 0 { -op.axis - 1 } else { c.rank(0)? as i64 - op.axis - 1 };
        let axes: Vec<i64> = (1..=behind).collect();
        let axes = c.ints("axes", &axes);
        let along = c.between(&form("Unsqueeze"), &[&given, &axes]);
        all = c.between(&form("Mul"), &[&all, &along]);
    }
    let mean = c.between(&form("ReduceMean").flag("keepdims", false), &[&all, &parts.axis]);
    let share = c.number_like(-op.label_smoothing, 0)?;
    Ok(c.between(&form("Mul"), &[&mean, &share]))
}

/// Output 2: what each label counts.
fn counts(c: &mut Context<'_, '_>, parts: &Parts) -> Result<()> {
    if !c.wants(2) {
        return Ok(());
    }
    let one = c.number_like(1.0, 0)?;
    let counted = match &parts.weights {
        Some(weights) => weights.clone(),
        None => {
            let shape = c.between(&form("Shape"), &[&parts.labels]);
            c.between(&form("Expand"), &[&one, &shape])
        }
    };
    match &parts.ignored {
        Some(ignored) => {
            let zero = c.number_like(0.0, 0)?;
            c.emit_output(2, &form("Where"), &[ignored, &zero, &counted]);
        }
        None => c.emit_output(2, &form("Identity"), &[&counted]),
    }
    Ok(())
}
