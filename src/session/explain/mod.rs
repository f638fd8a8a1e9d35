//! Planning without running.

mod explanation;
mod preview;
mod stages;

pub use explanation::{ExplainedHostNode, ExplainedStage, ExplainedState, ExplainedStep, Explanation};
pub use preview::Known;
