//! Floor 8: learning. So far: graphs with gradients, and losses.

mod gradients;
mod losses;

pub use gradients::with_gradients;
pub use losses::{
    ClassLoss, LossReduction, Target, binary_cross_entropy_with_logits, cross_entropy, huber_loss, kl_divergence, l1_loss,
    mean_squared_error, negative_log_likelihood,
};
