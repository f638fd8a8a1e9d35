//! From a specialised graph to its plan, as a session's options want both.

use crate::error::Result;
use crate::graph::Graph;
use crate::kernel::Caps;
use crate::passes;
use crate::plan::{Choices, Plan, PlanOptions};
use crate::session::options::Options;
use std::sync::Arc;

/// The options of a plan.
pub(crate) fn plan_options(options: &Options, choices: Arc<Choices>) -> PlanOptions {
    PlanOptions {
        strict_gpu: options.strict_gpu,
        variant: options.variant.clone(),
        resident: vec![],
        checks_inputs: false,
        choices,
    }
}

/// The graph after all passes.
pub(crate) fn optimized(graph: &Graph, caps: &Caps, options: &Options) -> Result<Graph> {
    let passes = passes::Options {
        fuse: !options.keep_all,
        max_storage_buffers: caps.max_storage_buffers as usize,
        selection: options.passes.clone(),
        ..passes::Options::default()
    };
    passes::optimize(graph, &passes)
}

/// The plan of a specialised graph.
pub(crate) fn plan(graph: &Graph, caps: &Caps, options: &Options, choices: Arc<Choices>) -> Result<Plan> {
    let options_of_plan = PlanOptions { checks_inputs: true, ..plan_options(options, choices) };
    Plan::new(&optimized(graph, caps, options)?, caps, &options_of_plan)
}
