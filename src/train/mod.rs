//! Floor 8: learning. Graphs with gradients, losses, optimizers, and the step that makes one graph of all.

mod gradients;
mod losses;
mod optimizer;
mod step;

pub use gradients::with_gradients;
pub use losses::{
    ClassLoss, LossReduction, Target, binary_cross_entropy_with_logits, cross_entropy, huber_loss, kl_divergence, l1_loss,
    mean_squared_error, negative_log_likelihood,
};
pub use optimizer::{Adam, Optimizer, RmsProp, Sgd};
pub use step::{Checkpoint, ParameterGroup, Step, StepOptions, parameters};
