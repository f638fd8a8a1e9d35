//! What planning and running borrow from a runtime.

use super::data::weights::Weights;
use super::options::Options;
use super::planning::choices::ChoiceStore;
use super::planning::make::plan_options;
use crate::gpu::{Gpu, Tally};
use crate::plan::PlanOptions;
use std::sync::Arc;

/// A device, what lies on it for a graph, and how the caller wants the graph to run.
#[derive(Clone, Copy)]
pub(crate) struct Resources<'a> {
    pub gpu: &'a Gpu,
    pub weights: &'a Weights,
    pub choices: &'a ChoiceStore,
    pub options: &'a Options,
    pub tally: &'a Arc<Tally>,
}

impl Resources<'_> {
    /// Options of a plan, with what is known of variants by now.
    pub(crate) fn plan_options(&self) -> PlanOptions {
        plan_options(self.options, self.choices.choices(self.gpu.caps()))
    }
}
