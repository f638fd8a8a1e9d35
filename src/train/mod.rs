//! Floor 8: learning. So far: graphs with gradients, losses, and networks in their two modes.

mod gradients;
mod losses;
mod modes;

pub use gradients::with_gradients;
pub use losses::{
    ClassLoss, LossReduction, Target, binary_cross_entropy_with_logits, cross_entropy, huber_loss, kl_divergence, l1_loss,
    mean_squared_error, negative_log_likelihood,
};
pub use modes::{BatchNormalizationStart, batch_normalization, evaluation, training};
