//! Data to learn from: examples, the order in which they come, batches of them.

mod batch;
mod examples;
mod loader;
mod order;

pub use batch::{Batch, Padding};
pub use examples::{Dataset, Examples};
pub use loader::{Loader, LoaderOptions};
pub use order::Place;
