//! Cross entropy between a softmax and labels, and how it changes with the logits, in one kernel.

mod check;
mod lower;

pub use check::{CheckClasses, check_classes};

use super::Registration;
use super::compose::Compose;
use super::shared::around;
use crate::error::{Error, Result};
use crate::graph::{Fact, Gradient, Io, Node, Op, ValueId, Writer, required};
use crate::kernel::Offers;
use crate::tensor::{DType, Shape, Tensor, TensorType};
use std::sync::Arc;

/// The operators of this folder.
pub static REGISTRATION: Registration =
    Registration { operators: &[NAME, check::NAME], shaders: &[&lower::ROW, &lower::COLUMNS, &check::CHECK_CLASSES] };

const NAME: &str = "CrossEntropy";

/// Minus the logarithm of the softmax of input 0 at the labels, input 1, which have its shape without the axis of classes, times the weight of
/// the label's class, input 2 where given. Input 3 says whether all labels name classes ([`CheckClasses`]), where that is not known before.
///
/// Output 0 are the losses in the shape of the labels. Output 1 is how each changes with the logits of its row: the softmax less the label's
/// place, times the weight. Output 2 is what each loss counts in a mean: its weight, or 0 where it is ignored.
#[derive(Clone, Debug, PartialEq)]
pub struct CrossEntropy {
    /// The axis of the classes; negative counts from the end.
    pub axis: i64,
    /// The label whose losses are 0.
    pub ignore_index: Option<i64>,
    /// How much of a label is spread over all classes alike.
    pub label_smoothing: f64,
}

/// Cross entropy of classes along an axis, see [`CrossEntropy`].
pub fn cross_entropy(axis: i64, ignore_index: Option<i64>, label_smoothing: f64) -> Arc<dyn Op> {
    Arc::new(CrossEntropy { axis, ignore_index, label_smoothing })
}

/// Logits as `[outer, classes, inner]`.
#[derive(Clone, Copy)]
struct Rows {
    outer: usize,
    classes: usize,
    inner: usize,
}

/// One row of the reference.
struct Row<'a> {
    logits: Vec<f64>,
    label: usize,
    weights: &'a [f64],
}

impl Row<'_> {
    /// The loss, and how it changes with each logit.
    fn loss(&self, smoothing: f64) -> (f64, Vec<f64>) {
        let peak = self.logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = self.logits.iter().map(|x| (x - peak).exp()).sum();
        let shared = smoothing / self.logits.len() as f64;
        let own = (1.0 - smoothing) * self.weights[self.label];
        let surprise = |k: usize| total.ln() + (peak - self.logits[k]);
        let mut loss = own * surprise(self.label);
        let mut whole = own;
        if smoothing != 0.0 {
            loss += shared * (0..self.logits.len()).map(|k| self.weights[k] * surprise(k)).sum::<f64>();
            whole += shared * self.weights.iter().sum::<f64>();
        }
        let slope = |k: usize| {
            let label = if k == self.label { own } else { 0.0 };
            (self.logits[k] - peak).exp() / total * whole - label - shared * self.weights[k]
        };
        (loss, (0..self.logits.len()).map(slope).collect())
    }
}

impl CrossEntropy {
    fn rows(&self, shape: &Shape) -> Result<Rows> {
        let (outer, classes, inner) = around(shape, shape.axis(self.axis)?);
        Ok(Rows { outer, classes, inner })
    }

    /// The shape of labels and losses.
    fn labels(&self, shape: &Shape) -> Result<Shape> {
        let axis = shape.axis(self.axis)?;
        let others: Vec<usize> = shape.iter().enumerate().filter(|(k, _)| *k != axis).map(|(_, extent)| *extent).collect();
        Ok(others.as_slice().into())
    }
}

impl CrossEntropy {
    /// What changes of the losses are worth, 0 where they are ignored: a mean over none is worth no number at all.
    fn counted(&self, writer: &mut Writer, labels: ValueId, worth: ValueId) -> Result<ValueId> {
        let narrow = writer.fact(labels)?.dtype() == DType::I32;
        let index = match self.ignore_index {
            Some(index) if narrow => i32::try_from(index).ok().map(Tensor::scalar),
            index => index.map(Tensor::scalar),
        };
        let Some(index) = index else { return Ok(worth) };
        let index = writer.tensor(index);
        let is_ignored = writer.function("Equal", &[labels, index])?;
        let zero = writer.number(writer.fact(worth)?.dtype(), 0.0)?;
        writer.chosen(is_ignored, zero, worth)
    }
}

impl Op for CrossEntropy {
    fn name(&self) -> &'static str {
        NAME
    }

    crate::attributes!(axis, ignore_index, label_smoothing);

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let (logits, labels) = (required(NAME, inputs, 0)?, required(NAME, inputs, 1)?);
        if !logits.dtype().is_float() {
            return Err(Error::invalid_model(format!("{NAME} takes floats, found {}", logits.ty)));
        }
        let (classes, shape) = (self.rows(logits.shape())?.classes, self.labels(logits.shape())?);
        if !matches!(labels.dtype(), DType::I32 | DType::I64) || *labels.shape() != shape {
            return Err(Error::invalid_model(format!("{NAME} expects labels of i32 or i64 {shape}, found {}", labels.ty)));
        }
        if let Some(weights) = inputs.get(2).copied().flatten()
            && (!weights.dtype().is_float() || weights.shape().dims() != [classes])
        {
            return Err(Error::invalid_model(format!("{NAME} expects weights of floats [{classes}], found {}", weights.ty)));
        }
        let dtype = logits.dtype();
        Ok(vec![Fact::new(dtype, shape.clone()), Fact::new(dtype, logits.shape().clone()), Fact::new(dtype, shape)])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let (logits, labels) = (required(NAME, inputs, 0)?, required(NAME, inputs, 1)?.to_i64());
        let Rows { classes, inner, .. } = self.rows(logits.shape())?;
        CheckClasses { classes, ignore_index: self.ignore_index }.checked(&labels)?;
        let weights = inputs.get(2).copied().flatten().map_or_else(|| vec![1.0; classes], Tensor::to_f64);
        let data = logits.to_f64();
        let (mut losses, mut counts, mut slopes) = (vec![0.0; labels.len()], vec![0.0; labels.len()], vec![0.0; data.len()]);
        for (row, label) in labels.iter().enumerate().filter(|(_, label)| Some(**label) != self.ignore_index) {
            let at = |k: usize| (row / inner * classes + k) * inner + row % inner;
            // It was checked to be a class.
            let label = *label as usize;
            let found = Row { logits: (0..classes).map(|k| data[at(k)]).collect(), label, weights: &weights };
            let (loss, own) = found.loss(self.label_smoothing);
            (losses[row], counts[row]) = (loss, weights[label]);
            own.into_iter().enumerate().for_each(|(k, slope)| slopes[at(k)] = slope);
        }
        let rows = TensorType::new(logits.dtype(), self.labels(logits.shape())?);
        let losses = Tensor::from_f64(rows.clone(), &losses)?;
        Ok(vec![losses, Tensor::from_f64(logits.ty().clone(), &slopes)?, Tensor::from_f64(rows, &counts)?])
    }

    /// Says that labels are to be looked at.
    fn expand(&self, node: &Node, inputs: &[Option<&Fact>], writer: &mut Writer) -> Result<Option<Vec<ValueId>>> {
        if node.input(3).is_some() {
            return Ok(None);
        }
        let classes = self.rows(required(NAME, inputs, 0)?.shape())?.classes;
        let fits = writer.apply(check_classes(classes, self.ignore_index), &[node.needed(1)?])?;
        let inputs = [node.input(0), node.input(1), node.input(2), Some(fits)];
        let outputs: Vec<Option<ValueId>> = node.outputs.iter().map(|output| output.map(|_| writer.value(NAME, None))).collect();
        writer.write(Node::new(node.name(), Arc::new(self.clone()), inputs.to_vec(), outputs.clone()))?;
        // What nobody reads is not asked for.
        Ok(Some(outputs.into_iter().map(|output| output.unwrap_or(fits)).collect()))
    }

    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        lower::lower(self, io, offers)
    }

    /// The node itself says how losses change with the logits, from now on.
    fn gradient(&self, node: &Node, upstream: &[Option<ValueId>], wanted: &[bool], writer: &mut Writer) -> Result<Gradient> {
        if upstream.get(1).copied().flatten().is_some() {
            return Ok(Gradient::Undefined("there is no rule for the gradient of its gradient"));
        }
        if wanted.get(2).copied().unwrap_or(false) {
            return Ok(Gradient::Undefined("there is no rule for the weights of classes"));
        }
        let Some(worth) = upstream.first().copied().flatten() else { return Ok(Gradient::Zero) };
        let logits = writer.fact(node.needed(0)?)?.ty.clone();
        let slopes = match node.outputs.get(1).copied().flatten() {
            Some(slopes) => slopes,
            None => {
                let mut node = node.clone();
                let made = node.outputs.iter().flatten().find_map(|output| writer.producer(*output));
                let made = made.ok_or_else(|| Error::internal("a node that has gone has a gradient"))?;
                let slopes = writer.value(&format!("{}.slopes", node.name()), Some(Fact::new(logits.dtype, logits.shape.clone())));
                node.outputs.resize(node.outputs.len().max(2), None);
                node.outputs[1] = Some(slopes);
                writer.replace(made, node);
                slopes
            }
        };
        let worth = self.counted(writer, node.needed(1)?, worth)?;
        let mut along = logits.shape.dims().to_vec();
        along[logits.shape.axis(self.axis)?] = 1;
        let worth = writer.reshape(worth, &along)?;
        let found = writer.function("Mul", &[slopes, worth])?;
        Ok(Gradient::Inputs((0..wanted.len()).map(|index| (index == 0).then_some(found)).collect()))
    }
}
