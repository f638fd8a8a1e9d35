//! Floor 8: learning. So far: graphs with gradients, and losses.

mod gradients;
pub mod losses;

pub use gradients::with_gradients;
