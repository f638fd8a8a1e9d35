//! The loss of a graph by the names of its values: of one that was imported as of one written here.

use super::ctc::{CtcInputs, CtcOptions, ctc_loss};
use super::losses::{
    ClassLoss, LossReduction, binary_cross_entropy_with_logits, cross_entropy_along, huber_loss, l1_loss, mean_squared_error,
};
use crate::error::{Error, Result};
use crate::graph::{Builder, Dim, Graph, ValueId};
use crate::ops::elementwise::{cast, cast_like};
use crate::ops::reshape::reshape;
use crate::ops::shape::shape;
use crate::ops::transpose::transpose;
use crate::tensor::DType;

/// What a loss compares, and how.
#[derive(Clone, Debug, PartialEq)]
pub enum LossKind {
    /// [`cross_entropy`](super::cross_entropy) of logits and the indices of classes, whose shape is that of the logits without their axis of classes.
    CrossEntropy {
        /// The axis of the classes; negative counts from the end.
        axis: i64,
        /// The target that counts for nothing, as what pads sequences.
        ignore_index: Option<i64>,
        /// How much of a target is spread over all classes alike, from 0 to 1.
        label_smoothing: f64,
    },
    /// [`mean_squared_error`](super::mean_squared_error) of numbers.
    MeanSquaredError,
    /// [`l1_loss`](super::l1_loss) of numbers.
    L1,
    /// [`huber_loss`](super::huber_loss) of numbers.
    Huber {
        /// From which difference on it is a line, above 0.
        delta: f64,
    },
    /// [`binary_cross_entropy_with_logits`](super::binary_cross_entropy_with_logits) of logits and probabilities from 0 to 1.
    BinaryCrossEntropyWithLogits,
    /// [`ctc_loss`](super::ctc_loss) of logits or log-probabilities `[time, batch, classes]` and labels `[batch, labels]`.
    Ctc {
        /// The class that stands for no label.
        blank: usize,
        /// Whether a target that no alignment fits counts 0.
        zero_infinity: bool,
        /// Whether the prediction is `[batch, time, classes]` instead.
        batch_first: bool,
        /// The value that says how many frames of each sequence count, `[batch]`.
        input_lengths: String,
        /// The value that says how many labels of each target count, `[batch]`.
        target_lengths: String,
    },
}

impl LossKind {
    /// Cross entropy of classes along the last axis, all of which count.
    pub fn cross_entropy() -> Self {
        LossKind::CrossEntropy { axis: -1, ignore_index: None, label_smoothing: 0.0 }
    }

    /// CTC with class 0 for the blank, over `frame_lengths` and `target_lengths`.
    pub fn ctc() -> Self {
        LossKind::Ctc {
            blank: 0,
            zero_infinity: false,
            batch_first: false,
            input_lengths: "frame_lengths".into(),
            target_lengths: "target_lengths".into(),
        }
    }
}

/// A loss by the names of what it is computed from.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedLoss {
    /// What it compares, and how.
    pub kind: LossKind,
    /// The value that the network predicts.
    pub prediction: String,
    /// What that should be: a value of the graph, or else a new input.
    pub target: String,
    /// What the loss is called.
    pub name: String,
    /// What becomes of the losses of all elements.
    pub reduction: LossReduction,
}

impl NamedLoss {
    /// The mean `loss` of a prediction and `target`.
    pub fn new(kind: LossKind, prediction: impl Into<String>) -> Self {
        NamedLoss {
            kind,
            prediction: prediction.into(),
            target: "target".into(),
            name: "loss".into(),
            reduction: LossReduction::Mean,
        }
    }
}

/// The graph with a loss for a further output. What the loss compares the prediction with, and lengths, are values of the graph where it has
/// some of these names; otherwise they become inputs: numbers f32, classes and lengths i64. Numbers are compared one by one, so a target may
/// have any shape with as many elements as the prediction.
///
/// ```
/// use gristmill::graph::{Builder, Dim};
/// use gristmill::train::{self, LossKind, NamedLoss};
/// use gristmill::{DType, Model, Options, Session, Tensor, operators};
///
/// let mut b = Builder::new("twice");
/// let x = b.input("x", DType::F32, &[Dim::Named("batch".into()), Dim::Known(1)]);
/// let y = b.node("y", operators::binary("Add")?, &[Some(x), Some(x)]);
/// b.output("y", y)?;
/// let graph = train::with_loss(&b.finish()?, &NamedLoss::new(LossKind::MeanSquaredError, "y"))?;
///
/// let session = Session::cpu(&Model::from_graph(graph), Options::default())?;
/// let (x, target) = (Tensor::new([2, 1], &[1.0f32, 2.0])?, Tensor::vector(&[2.0f32, 7.0]));
/// let outputs = session.run_blocking(&[("x", x.view()), ("target", target.view())])?;
/// assert_eq!(outputs["loss"].as_slice::<f32>()?, [4.5]);
/// # Ok::<(), gristmill::Error>(())
/// ```
///
/// # Errors
/// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for a prediction that the graph has not, a name of the loss that it has, and numbers that are
/// none.
pub fn with_loss(graph: &Graph, loss: &NamedLoss) -> Result<Graph> {
    loss.check()?;
    let prediction = graph.find(&loss.prediction).ok_or_else(|| {
        let outputs: Vec<&str> = graph.outputs().iter().map(|id| graph.value(*id).name.as_str()).collect();
        Error::invalid_argument(format!("the graph has no value `{}`; its outputs are {outputs:?}", loss.prediction))
    })?;
    if graph.find(&loss.name).is_some() {
        return Err(Error::invalid_argument(format!("the graph has a value `{}` already", loss.name)));
    }
    let mut writing = WithLoss { graph, dtypes: graph.dtypes(), builder: Builder::extending(graph), loss };
    let value = writing.write(prediction)?;
    writing.builder.output(&loss.name, value)?;
    writing.builder.finish()
}

impl NamedLoss {
    fn check(&self) -> Result<()> {
        let wrong = |what: String| Err(Error::invalid_argument(format!("loss `{}`: {what}", self.name)));
        match &self.kind {
            LossKind::CrossEntropy { label_smoothing, .. } if !(0.0..=1.0).contains(label_smoothing) => {
                wrong(format!("a label smoothing of {label_smoothing}; expected a number from 0 to 1"))
            }
            LossKind::Huber { delta } if !(delta.is_finite() && *delta > 0.0) => {
                wrong(format!("a delta of {delta}; expected a number above 0"))
            }
            _ => Ok(()),
        }
    }
}

struct WithLoss<'a> {
    graph: &'a Graph,
    dtypes: Vec<Option<DType>>,
    builder: Builder,
    loss: &'a NamedLoss,
}

impl WithLoss<'_> {
    fn write(&mut self, prediction: ValueId) -> Result<ValueId> {
        let NamedLoss { kind, name, reduction, .. } = self.loss;
        match kind {
            LossKind::CrossEntropy { axis, ignore_index, label_smoothing } => {
                let pair = [prediction, self.classes(&self.loss.target, None)?];
                let options = ClassLoss {
                    ignore_index: *ignore_index,
                    label_smoothing: *label_smoothing,
                    reduction: *reduction,
                    ..ClassLoss::default()
                };
                cross_entropy_along(&mut self.builder, name, pair, *axis, &options)
            }
            LossKind::MeanSquaredError => {
                let pair = self.numbers(prediction);
                mean_squared_error(&mut self.builder, name, pair, *reduction)
            }
            LossKind::L1 => {
                let pair = self.numbers(prediction);
                l1_loss(&mut self.builder, name, pair, *reduction)
            }
            LossKind::Huber { delta } => {
                let pair = self.numbers(prediction);
                huber_loss(&mut self.builder, name, pair, *delta, *reduction)
            }
            LossKind::BinaryCrossEntropyWithLogits => {
                let pair = self.numbers(prediction);
                binary_cross_entropy_with_logits(&mut self.builder, name, pair, [None; 2], *reduction)
            }
            LossKind::Ctc { blank, zero_infinity, batch_first, input_lengths, target_lengths } => {
                let inputs = CtcInputs {
                    logits: if *batch_first { self.time_first(prediction) } else { prediction },
                    target: self.classes(&self.loss.target, Some(2))?,
                    input_lengths: self.classes(input_lengths, Some(1))?,
                    target_lengths: self.classes(target_lengths, Some(1))?,
                };
                let options = CtcOptions { blank: *blank, zero_infinity: *zero_infinity, reduction: *reduction };
                ctc_loss(&mut self.builder, name, inputs, &options)
            }
        }
    }

    /// The prediction, and numbers of its shape that it should be.
    fn numbers(&mut self, prediction: ValueId) -> [ValueId; 2] {
        let name = &self.loss.target;
        let known = self.graph.find(name);
        let mut target = known.unwrap_or_else(|| self.builder.declare(name, DType::F32, None));
        if known.is_some_and(|id| !self.dtypes[id.index()].is_some_and(DType::is_float)) {
            target = self.builder.node(&format!("{name}.numbers"), cast_like(), &[Some(target), Some(prediction)]);
        }
        let extents = self.builder.node(&format!("{name}.extents"), shape(0, None), &[Some(prediction)]);
        let target = self.builder.node(&format!("{name}.shaped"), reshape(true), &[Some(target), Some(extents)]);
        [prediction, target]
    }

    /// Integers of 32 or 64 bits.
    fn classes(&mut self, name: &str, rank: Option<usize>) -> Result<ValueId> {
        let Some(known) = self.graph.find(name) else {
            return Ok(self.builder.declare(name, DType::I64, rank.map(|rank| vec![Dim::Unknown; rank])));
        };
        match self.dtypes[known.index()] {
            None | Some(DType::I32 | DType::I64) => Ok(known),
            Some(_) => Ok(self.builder.node(&format!("{name}.integers"), cast(DType::I32)?, &[Some(known)])),
        }
    }

    /// `[batch, time, classes]` as `[time, batch, classes]`.
    fn time_first(&mut self, prediction: ValueId) -> ValueId {
        let name = format!("{}.time_first", self.loss.prediction);
        self.builder.node(&name, transpose(Some(vec![1, 0, 2])), &[Some(prediction)])
    }
}
