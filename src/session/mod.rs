//! Floor 7: running models. A [`Session`] holds a model's plans by input shapes, and runs them.

mod data;
mod execution;
mod explain;
mod front;
mod on_gpu;
mod planning;
mod stages;
mod timing;
mod tuner;
mod validate;

pub use data::{InputInfo, Outputs};
pub use explain::{ExplainedHostNode, ExplainedStep, Explanation, Known};
pub use front::{Options, Session};
pub use on_gpu::GpuOutputs;
pub use planning::Tuning;
pub use timing::{Profile, Timing};
pub use validate::{Suspect, Tolerance, Validation, ValueReport};
