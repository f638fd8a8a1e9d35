//! Losses as PyTorch defines them, written into a graph. Classes stand along axis 1.

use crate::error::Result;
use crate::graph::{Builder, Op, ValueId};
use crate::ops::concat::concat;
use crate::ops::cross_entropy::cross_entropy as cross_entropy_op;
use crate::ops::elementwise::{binary, cast_like, select, unary, unary_with};
use crate::ops::gather::{gather, gather_elements};
use crate::ops::reduce::{self, reduce};
use crate::ops::reshape::{identity, reshape, squeeze, unsqueeze};
use crate::ops::shape::shape;
use crate::ops::softmax::log_softmax;
use crate::tensor::Tensor;
use std::sync::Arc;

/// What becomes of the losses of all elements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LossReduction {
    /// They stay what they are.
    None,
    /// Their mean; where classes have weights or are ignored, the sum over the sum of the weights that count.
    #[default]
    Mean,
    /// Their sum.
    Sum,
    /// Their sum over the extent of axis 0.
    BatchMean,
}

/// What the target of [`cross_entropy`] is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Target {
    /// The index of a class, in the shape of the input without axis 1.
    #[default]
    Classes,
    /// The probability of each class, in the shape of the input.
    Probabilities,
}

/// How [`cross_entropy`] and [`negative_log_likelihood`] weigh classes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClassLoss {
    /// A weight for each class.
    pub weight: Option<ValueId>,
    /// The class that counts for nothing.
    pub ignore_index: Option<i64>,
    /// How much of the target is spread over all classes alike; only [`cross_entropy`] looks at it.
    pub label_smoothing: f64,
    /// What the target is; only [`cross_entropy`] looks at it.
    pub target: Target,
    /// What becomes of the losses.
    pub reduction: LossReduction,
}

/// Writes nodes under one name.
pub(super) struct Writing<'a> {
    pub(super) builder: &'a mut Builder,
    pub(super) name: &'a str,
}

impl Writing<'_> {
    pub(super) fn node(&mut self, op: Arc<dyn Op>, inputs: &[ValueId]) -> ValueId {
        let inputs: Vec<Option<ValueId>> = inputs.iter().copied().map(Some).collect();
        self.builder.node(&format!("{}.part", self.name), op, &inputs)
    }

    pub(super) fn function(&mut self, name: &str, inputs: &[ValueId]) -> Result<ValueId> {
        let op = if inputs.len() == 1 { unary(name)? } else { binary(name)? };
        Ok(self.node(op, inputs))
    }

    /// A function of a value and a number.
    fn with_number(&mut self, name: &str, value: ValueId, number: f64) -> Result<ValueId> {
        Ok(self.node(unary_with(name, &[number])?, &[value]))
    }

    /// A small integer in the dtype of a value.
    pub(super) fn number_like(&mut self, number: i64, value: ValueId) -> ValueId {
        let number = self.builder.constant(&format!("{}.constant", self.name), Tensor::scalar(number));
        self.node(cast_like(), &[number, value])
    }

    fn vector(&mut self, numbers: &[i64]) -> ValueId {
        self.builder.constant(&format!("{}.constant", self.name), Tensor::vector(numbers))
    }

    fn total(&mut self, reduction: reduce::Reduction, value: ValueId) -> ValueId {
        self.node(reduce(reduction, Some(Vec::new()), false, false), &[value])
    }

    /// Along an axis, which falls away.
    fn along(&mut self, reduction: reduce::Reduction, axis: i64, value: ValueId) -> ValueId {
        self.node(reduce(reduction, Some(vec![axis]), false, false), &[value])
    }

    /// What the losses come to; `weight` is what each counts in a mean, 1 where it is not said.
    pub(super) fn reduced(&mut self, reduction: LossReduction, loss: ValueId, weight: Option<ValueId>) -> Result<ValueId> {
        let reduced = match (reduction, weight) {
            (LossReduction::None, _) => loss,
            (LossReduction::Sum, _) => self.total(reduce::Reduction::Sum, loss),
            (LossReduction::Mean, None) => self.total(reduce::Reduction::Mean, loss),
            (LossReduction::Mean, Some(weight)) => {
                let loss = self.total(reduce::Reduction::Sum, loss);
                let weight = self.total(reduce::Reduction::Sum, weight);
                self.function("Div", &[loss, weight])?
            }
            (LossReduction::BatchMean, _) => {
                let means = self.along(reduce::Reduction::Mean, 0, loss);
                self.total(reduce::Reduction::Sum, means)
            }
        };
        // The whole has the name.
        Ok(self.builder.node(self.name, identity(), &[Some(reduced)]))
    }

    /// A weight for each class as it stands along axis 1 of the input.
    fn along_classes(&mut self, weight: ValueId, input: ValueId) -> Result<ValueId> {
        let rest = self.node(shape(2, None), &[input]);
        let (zero, one) = (self.number_like(0, rest), self.number_like(1, rest));
        let rest = self.function("Mul", &[rest, zero])?;
        let rest = self.function("Add", &[rest, one])?;
        let first = self.vector(&[1, -1]);
        let extents = self.node(concat(0), &[first, rest]);
        Ok(self.node(reshape(false), &[weight, extents]))
    }

    /// The mean over classes of their losses, times their weights: of what a target that is spread over all of them comes to.
    fn spread(&mut self, losses: ValueId, weight: Option<ValueId>) -> Result<ValueId> {
        let weighed = match weight {
            Some(weight) => self.function("Mul", &[losses, weight])?,
            None => losses,
        };
        Ok(self.along(reduce::Reduction::Mean, 1, weighed))
    }

    /// `(1 - smoothing) * loss + smoothing * spread`.
    fn smoothed(&mut self, smoothing: f64, loss: ValueId, losses: ValueId, weight: Option<ValueId>) -> Result<ValueId> {
        if smoothing == 0.0 {
            return Ok(loss);
        }
        let spread = self.spread(losses, weight)?;
        let own = self.with_number("Mul", loss, 1.0 - smoothing)?;
        let spread = self.with_number("Mul", spread, smoothing)?;
        self.function("Add", &[own, spread])
    }

    /// Minus the logarithms of the probabilities of the classes that the target names.
    fn of_classes(&mut self, losses: ValueId, target: ValueId, options: &ClassLoss) -> Result<ValueId> {
        let mut class = target;
        let mut ignored = None;
        if let Some(index) = options.ignore_index {
            let index = self.number_like(index, target);
            let is_ignored = self.function("Equal", &[target, index])?;
            let first = self.number_like(0, target);
            class = self.node(select()?, &[is_ignored, first, target]);
            ignored = Some(is_ignored);
        }
        let axis = self.vector(&[1]);
        let index = self.node(unsqueeze(), &[class, axis]);
        let picked = self.node(gather_elements(1), &[losses, index]);
        let mut loss = self.node(squeeze(), &[picked, axis]);
        let mut counted = options.weight.map(|weight| self.node(gather(0), &[weight, class]));
        if let Some(weight) = counted {
            loss = self.function("Mul", &[loss, weight])?;
        }
        if let Some(ignored) = ignored {
            let zero = self.number_like(0, losses);
            loss = self.node(select()?, &[ignored, zero, loss]);
            let one = self.number_like(1, losses);
            counted = Some(self.node(select()?, &[ignored, zero, counted.unwrap_or(one)]));
        }
        self.reduced(options.reduction, loss, counted)
    }
}

/// Cross entropy between the softmax of the input and the target. A run in which a target names no class fails.
///
/// # Errors
/// None; the type is that of its neighbours.
pub fn cross_entropy(builder: &mut Builder, name: &str, input: ValueId, target: ValueId, options: &ClassLoss) -> Result<ValueId> {
    if options.target == Target::Classes {
        return cross_entropy_along(builder, name, [input, target], 1, options);
    }
    let mut w = Writing { builder, name };
    let logarithms = w.node(log_softmax(1), &[input]);
    let losses = w.function("Neg", &[logarithms])?;
    let weight = options.weight.map(|weight| w.along_classes(weight, losses)).transpose()?;
    let mut products = w.function("Mul", &[target, losses])?;
    if let Some(weight) = weight {
        products = w.function("Mul", &[products, weight])?;
    }
    let loss = w.along(reduce::Reduction::Sum, 1, products);
    let loss = w.smoothed(options.label_smoothing, loss, losses, weight)?;
    w.reduced(options.reduction, loss, None)
}

/// The same where the target names classes, which stand along an axis of the input.
pub(super) fn cross_entropy_along(
    builder: &mut Builder,
    name: &str,
    [input, target]: [ValueId; 2],
    axis: i64,
    options: &ClassLoss,
) -> Result<ValueId> {
    let op = cross_entropy_op(axis, options.ignore_index, options.label_smoothing);
    let loss = builder.value(&format!("{name}.rows"), None);
    let all_count = options.weight.is_none() && options.ignore_index.is_none();
    let counted = (!all_count).then(|| builder.value(&format!("{name}.counted"), None));
    builder.push(name, op, vec![Some(input), Some(target), options.weight], vec![Some(loss), None, counted]);
    Writing { builder, name }.reduced(options.reduction, loss, counted)
}

/// Minus the input, which holds logarithms of probabilities, at the classes that the target names.
///
/// # Errors
/// As [`cross_entropy`].
pub fn negative_log_likelihood(
    builder: &mut Builder,
    name: &str,
    input: ValueId,
    target: ValueId,
    options: &ClassLoss,
) -> Result<ValueId> {
    let mut w = Writing { builder, name };
    let losses = w.function("Neg", &[input])?;
    w.of_classes(losses, target, options)
}

/// Binary cross entropy between the sigmoid of the input and the target, times `weight`; `positive_weight` is what a target of 1 counts.
///
/// # Errors
/// As [`cross_entropy`].
pub fn binary_cross_entropy_with_logits(
    builder: &mut Builder,
    name: &str,
    [input, target]: [ValueId; 2],
    [weight, positive_weight]: [Option<ValueId>; 2],
    reduction: LossReduction,
) -> Result<ValueId> {
    let mut w = Writing { builder, name };
    let turned = w.function("Neg", &[input])?;
    let mut positive = w.function("Softplus", &[turned])?;
    if let Some(weight) = positive_weight {
        positive = w.function("Mul", &[positive, weight])?;
    }
    let positive = w.function("Mul", &[target, positive])?;
    let one = w.number_like(1, target);
    let rest = w.function("Sub", &[one, target])?;
    let negative = w.function("Softplus", &[input])?;
    let negative = w.function("Mul", &[rest, negative])?;
    let mut loss = w.function("Add", &[positive, negative])?;
    if let Some(weight) = weight {
        loss = w.function("Mul", &[loss, weight])?;
    }
    w.reduced(reduction, loss, None)
}

/// The squared difference of input and target.
///
/// # Errors
/// As [`cross_entropy`].
pub fn mean_squared_error(builder: &mut Builder, name: &str, pair: [ValueId; 2], reduction: LossReduction) -> Result<ValueId> {
    let mut w = Writing { builder, name };
    let difference = w.function("Sub", &pair)?;
    let loss = w.function("Mul", &[difference, difference])?;
    w.reduced(reduction, loss, None)
}

/// The absolute difference of input and target.
///
/// # Errors
/// As [`cross_entropy`].
pub fn l1_loss(builder: &mut Builder, name: &str, pair: [ValueId; 2], reduction: LossReduction) -> Result<ValueId> {
    let mut w = Writing { builder, name };
    let difference = w.function("Sub", &pair)?;
    let loss = w.function("Abs", &[difference])?;
    w.reduced(reduction, loss, None)
}

/// Half the squared difference of input and target up to `delta`, and a line from there on (Huber 1964).
///
/// # Errors
/// As [`cross_entropy`].
pub fn huber_loss(builder: &mut Builder, name: &str, pair: [ValueId; 2], delta: f64, reduction: LossReduction) -> Result<ValueId> {
    let mut w = Writing { builder, name };
    let difference = w.function("Sub", &pair)?;
    let far = w.function("Abs", &[difference])?;
    let square = w.function("Mul", &[difference, difference])?;
    let square = w.with_number("Mul", square, 0.5)?;
    let line = w.with_number("Sub", far, delta / 2.0)?;
    let line = w.with_number("Mul", line, delta)?;
    let is_near = w.with_number("LessOrEqual", far, delta)?;
    let loss = w.node(select()?, &[is_near, square, line]);
    w.reduced(reduction, loss, None)
}

/// The divergence of Kullback and Leibler of the target from the input, which holds logarithms of probabilities, as the target does where
/// `log_target` is true.
///
/// # Errors
/// As [`cross_entropy`].
pub fn kl_divergence(
    builder: &mut Builder,
    name: &str,
    [input, target]: [ValueId; 2],
    log_target: bool,
    reduction: LossReduction,
) -> Result<ValueId> {
    let mut w = Writing { builder, name };
    if log_target {
        let probabilities = w.function("Exp", &[target])?;
        let difference = w.function("Sub", &[target, input])?;
        let loss = w.function("Mul", &[probabilities, difference])?;
        return w.reduced(reduction, loss, None);
    }
    let (zero, one) = (w.number_like(0, target), w.number_like(1, target));
    let is_positive = w.function("Greater", &[target, zero])?;
    let positive = w.node(select()?, &[is_positive, target, one]);
    let logarithm = w.function("Log", &[positive])?;
    let difference = w.function("Sub", &[logarithm, input])?;
    let loss = w.function("Mul", &[target, difference])?;
    let loss = w.node(select()?, &[is_positive, loss, zero]);
    w.reduced(reduction, loss, None)
}
