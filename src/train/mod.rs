//! Floor 8: learning. Graphs with gradients, losses, optimizers, the step that makes one graph of all, and what sequences of log-probabilities say.

mod checkpoint;
mod ctc;
mod data;
mod decode;
mod gradients;
mod losses;
mod metrics;
mod modes;
mod named_loss;
mod optimizer;
mod safetensors;
mod schedule;
mod step;
mod trainer;

pub use checkpoint::{CheckpointFolder, Saved, load, save};
pub use ctc::{CtcInputs, CtcOptions, ctc_loss};
pub use data::{
    Batch, Conversion, Converted, Dataset, Examples, Loader, LoaderOptions, Padding, Place, Shuffle, Subset, TeacherForcing,
    TokenWindows,
};
pub use decode::beam_search;
pub use gradients::with_gradients;
pub use losses::{
    ClassLoss, LossReduction, Target, binary_cross_entropy_with_logits, cross_entropy, huber_loss, kl_divergence, l1_loss,
    mean_squared_error, negative_log_likelihood,
};
pub use metrics::{Accuracy, Exact, MeanOf, Metric, TokenErrorRate, edit_distance};
pub use modes::{BatchNormalizationStart, batch_normalization, evaluation, training};
pub use named_loss::{LossKind, NamedLoss, with_loss};
pub use optimizer::{Adam, Optimizer, RmsProp, Sgd};
pub use safetensors::Safetensors;
pub use schedule::Schedule;
pub use step::{Checkpoint, ParameterGroup, Step, StepOptions, parameters};
pub use trainer::{Callback, EarlyStop, Ended, Evaluation, Fit, FitOptions, JsonLines, StepLog, Trainer};
