//! Floor 7: running models. A [`Session`] holds a model's plans by input shapes, and runs them. ARCHITECTURE.md describes the
//! rooms; each imports from those before it.

mod data;
mod device;
mod execution;
mod explain;
mod front;
mod on_gpu;
mod options;
mod planning;
mod resources;
mod runtime;
mod stages;
mod state;
mod timing;
mod tuner;
mod validate;

pub(crate) use data::inputs::fits_alone;
pub use data::{InputInfo, Outputs};
pub use explain::{ExplainedHostNode, ExplainedStage, ExplainedState, ExplainedStep, Explanation, Known};
pub use front::Session;
pub use on_gpu::GpuOutputs;
pub use options::{Options, Tuning};
pub use state::{SessionState, Snapshot};
pub use timing::{Profile, Timing};
pub(crate) use validate::gradients;
pub use validate::{GradientReport, GradientValidation, NoGradient, SlopeReport, Suspect, Tolerance, Validation, ValueReport};
