//! Data to learn from: examples, what changes and picks them, the order in which they come, batches of them.

mod batch;
mod convert;
mod dataset;
mod examples;
mod fingerprint;
mod lengths;
mod loader;
mod order;
mod subset;
mod teacher;
mod windows;

pub use batch::{Batch, Padding};
pub use convert::{Conversion, Converted};
pub use dataset::{Dataset, Shuffle};
pub use examples::Examples;
pub use loader::{Loader, LoaderOptions};
pub use order::Place;
pub use subset::Subset;
pub use teacher::TeacherForcing;
pub use windows::TokenWindows;
