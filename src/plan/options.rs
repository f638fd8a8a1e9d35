//! The options of a plan.

use super::choices::Choices;
use crate::graph::ValueId;
use std::sync::Arc;

/// What a plan is made from, beside the graph and the adapter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanOptions {
    /// A node that would run on the host is an error.
    pub strict_gpu: bool,
    /// Name of the kernel variant to take wherever it is offered; elsewhere, and without a name, `choices` decide.
    pub variant: Option<String>,
    /// Outputs that stay on the GPU, unless they are small.
    pub resident: Vec<ValueId>,
    /// Inputs are there on the host when a run starts, which then checks them itself.
    pub checks_inputs: bool,
    /// What was measured and refused before; without it the first variant is taken.
    pub choices: Arc<Choices>,
}
