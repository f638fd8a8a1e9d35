//! The tables of a configuration, as they are written.

use super::held_out::HeldOut;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What is learned from what, and how.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Configuration {
    pub(crate) model: ModelTable,
    pub(crate) loss: LossTable,
    pub(crate) data: DataTable,
    #[serde(default)]
    pub(crate) optimizer: OptimizerTable,
    #[serde(default)]
    pub(crate) schedule: ScheduleTable,
    pub(crate) training: TrainingTable,
    pub(crate) checkpoints: Option<CheckpointsTable>,
    #[serde(default)]
    pub(crate) output: OutputTable,
}

/// Which network learns: one that the library can write, or one of an ONNX file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ModelTable {
    pub(crate) network: Option<Network>,
    /// An ONNX file.
    pub(crate) file: Option<PathBuf>,
    /// Parameters to start from, by their names.
    pub(crate) initial: Option<PathBuf>,
    /// Whether the parameters of a file are drawn anew.
    #[serde(default)]
    pub(crate) redraw: bool,
    /// What parameters are drawn from.
    #[serde(default)]
    pub(crate) seed: u32,
    /// Patterns of names of parameters that stay as they are.
    #[serde(default)]
    pub(crate) frozen: Vec<String>,
    // The sizes of networks.
    pub(crate) classes: Option<usize>,
    pub(crate) embedding: Option<usize>,
    pub(crate) hidden: Option<usize>,
    pub(crate) layers: Option<usize>,
    pub(crate) heads: Option<usize>,
    pub(crate) width: Option<usize>,
    pub(crate) context: Option<usize>,
    pub(crate) vocabulary: Option<usize>,
    pub(crate) source_vocabulary: Option<usize>,
    pub(crate) target_vocabulary: Option<usize>,
    /// The token that a decoder reads first, and the one that ends a target.
    pub(crate) start: Option<i32>,
    pub(crate) end: Option<i32>,
    /// How many tokens a decoder says at most.
    pub(crate) longest: Option<usize>,
    /// Numbers in a frame of speech.
    pub(crate) bands: Option<usize>,
    /// How many frames become one, side by side.
    pub(crate) stacked: Option<usize>,
    pub(crate) dropout: Option<f64>,
    pub(crate) bias: Option<bool>,
    pub(crate) tied: Option<bool>,
}

/// A network that the library can write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Network {
    Cnn,
    Lenet,
    Seq2seq,
    Gpt,
    Speech,
}

/// What is to become small.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LossTable {
    pub(crate) kind: LossName,
    /// The value of the network that is held against the target.
    pub(crate) prediction: String,
    /// The input that holds what is true.
    #[serde(default = "target")]
    pub(crate) target: String,
    /// The axis of the classes; negative counts from the end.
    pub(crate) axis: Option<i64>,
    /// The class that counts for nothing.
    pub(crate) ignore: Option<i64>,
    pub(crate) label_smoothing: Option<f64>,
    /// Where Huber's loss becomes a line.
    pub(crate) delta: Option<f64>,
    /// The class that stands for no label.
    pub(crate) blank: Option<usize>,
    /// Whether a target that no alignment fits counts 0.
    pub(crate) zero_infinity: Option<bool>,
    /// Whether the prediction has the batch before the time.
    pub(crate) batch_first: Option<bool>,
    /// The input that says how long each prediction is.
    pub(crate) input_lengths: Option<String>,
    /// The input that says how long each target is.
    pub(crate) target_lengths: Option<String>,
}

fn target() -> String {
    "target".into()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LossName {
    CrossEntropy,
    BinaryCrossEntropy,
    MeanSquaredError,
    L1,
    Huber,
    Ctc,
}

/// What is learned from.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DataTable {
    #[serde(default)]
    pub(crate) kind: DataKind,
    /// What the files are relative to.
    pub(crate) folder: Option<PathBuf>,
    pub(crate) training: PathBuf,
    pub(crate) held_out: Option<HeldOut>,
    pub(crate) batch_size: usize,
    /// Of evaluations.
    pub(crate) evaluation_batch_size: Option<usize>,
    #[serde(default = "yes")]
    pub(crate) shuffle: bool,
    #[serde(default)]
    pub(crate) seed: u32,
    #[serde(default)]
    pub(crate) drop_last: bool,
    /// Lengths at which buckets end.
    #[serde(default)]
    pub(crate) buckets: Vec<usize>,
    /// The input whose lengths are those of the examples.
    pub(crate) measured_by: Option<String>,
    #[serde(default)]
    pub(crate) padding: BTreeMap<String, PaddingTable>,
    /// Inputs that are called otherwise in the files.
    #[serde(default)]
    pub(crate) names: BTreeMap<String, String>,
    /// What becomes of the numbers of a tensor before they are inputs.
    #[serde(default)]
    pub(crate) conversions: BTreeMap<String, ConversionTable>,
    /// What a decoder is given, from what it is to say.
    pub(crate) teacher: Option<TeacherTable>,
    /// The tensor that is a text.
    pub(crate) tensor: Option<String>,
    /// How many tokens of a text an example has.
    pub(crate) context: Option<usize>,
}

fn yes() -> bool {
    true
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DataKind {
    /// Tensors with the examples along their first axis; sequences as long as they say.
    #[default]
    Examples,
    /// One long text.
    Text,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PaddingTable {
    #[serde(default)]
    pub(crate) value: f64,
    #[serde(default = "one")]
    pub(crate) multiple: usize,
}

fn one() -> usize {
    1
}

/// `x * scale + offset`, or `(x / divisor - mean) / deviation`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConversionTable {
    pub(crate) scale: Option<f64>,
    pub(crate) offset: Option<f64>,
    pub(crate) divisor: Option<f64>,
    pub(crate) mean: Option<f64>,
    pub(crate) deviation: Option<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TeacherTable {
    /// The tensor that the decoder is to say.
    pub(crate) target: String,
    /// The input that it is given.
    pub(crate) decoder_input: String,
    /// The token before the first.
    pub(crate) begin: i64,
    /// The token behind the last.
    pub(crate) end: i64,
}

/// How gradients change parameters.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct OptimizerTable {
    pub(crate) kind: OptimizerKind,
    pub(crate) learning_rate: Option<f64>,
    pub(crate) weight_decay: Option<f64>,
    /// Patterns of names of parameters that do not decay.
    pub(crate) without_decay: Vec<String>,
    pub(crate) momentum: Option<f64>,
    pub(crate) dampening: Option<f64>,
    pub(crate) nesterov: Option<bool>,
    pub(crate) betas: Option<(f64, f64)>,
    pub(crate) epsilon: Option<f64>,
    pub(crate) alpha: Option<f64>,
    pub(crate) centered: Option<bool>,
    pub(crate) clip_norm: Option<f64>,
    /// How many batches one update takes the mean gradient of.
    pub(crate) accumulate: Option<u32>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OptimizerKind {
    Sgd,
    Adam,
    #[default]
    AdamW,
    RmsProp,
}

/// How learning rates change.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ScheduleTable {
    pub(crate) kind: ScheduleKind,
    /// How many steps lie between two changes.
    pub(crate) every: Option<u64>,
    pub(crate) factor: Option<f64>,
    /// How many steps it takes; those of the run, less the warm-up, unless it is said.
    pub(crate) steps: Option<u64>,
    /// The rate at the end of a cosine.
    pub(crate) least: Option<f64>,
    /// The part of a cycle that goes up.
    pub(crate) rise: Option<f64>,
    /// In how many steps the rate rises at first.
    pub(crate) warm_up: Option<u64>,
    /// The part of the rate that the warm-up starts with.
    pub(crate) warm_up_start: Option<f64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ScheduleKind {
    #[default]
    Constant,
    Step,
    Cosine,
    OneCycle,
}

/// How long the run goes on, and what is told of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TrainingTable {
    pub(crate) steps: Option<u64>,
    pub(crate) epochs: Option<u64>,
    pub(crate) log_every: Option<u64>,
    /// How many steps lie between two evaluations; an epoch, unless it is said.
    pub(crate) evaluate_every: Option<u64>,
    #[serde(default)]
    pub(crate) metrics: Vec<MetricKind>,
    /// What token errors are counted of, where that is not what the loss looks at.
    pub(crate) decoded: Option<DecodedTable>,
    pub(crate) early_stop: Option<EarlyStopTable>,
    /// What dropout draws from.
    #[serde(default)]
    pub(crate) seed: u32,
    /// Patterns of names of values that are kept for the backward pass; it computes anew what lies between.
    #[serde(default)]
    pub(crate) recompute: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MetricKind {
    Loss,
    Perplexity,
    Accuracy,
    TokenErrorRate,
    Exact,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DecodedTable {
    /// The value of the network that holds tokens, `[batch, time]`.
    pub(crate) value: String,
    /// The token before which sequences end, those of the target, too.
    pub(crate) end: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EarlyStopTable {
    pub(crate) metric: MetricKind,
    pub(crate) patience: u64,
    #[serde(default)]
    pub(crate) least_difference: f64,
}

/// Where checkpoints are saved.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CheckpointsTable {
    #[serde(default = "checkpoints")]
    pub(crate) folder: PathBuf,
    /// How many steps lie between two of them.
    #[serde(default)]
    pub(crate) every: u64,
    #[serde(default = "three")]
    pub(crate) keep: usize,
    /// Whether a run goes on from the last one without being told to.
    #[serde(default)]
    pub(crate) resume: bool,
}

fn checkpoints() -> PathBuf {
    "checkpoints".into()
}

fn three() -> usize {
    3
}

/// What is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct OutputTable {
    /// What all files that are written are relative to.
    pub(crate) folder: Option<PathBuf>,
    /// Lines of JSON.
    pub(crate) log: Option<PathBuf>,
    /// The loss as a picture.
    pub(crate) curve: Option<PathBuf>,
    /// The trained network as an ONNX file.
    pub(crate) onnx: Option<PathBuf>,
    /// The trained parameters.
    pub(crate) weights: Option<PathBuf>,
}
