//! Planning without running.

mod explanation;
mod preview;

pub use explanation::{ExplainedHostNode, ExplainedState, ExplainedStep, Explanation};
pub use preview::Known;
