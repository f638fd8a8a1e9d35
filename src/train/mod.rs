//! Floor 8: learning. So far: graphs with gradients.

mod gradients;

pub use gradients::with_gradients;
