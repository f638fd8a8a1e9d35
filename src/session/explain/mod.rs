//! Planning without running.

mod explanation;
mod preview;

pub use explanation::{ExplainedHostNode, ExplainedStep, Explanation};
pub use preview::Known;
