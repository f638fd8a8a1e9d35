//! Making a plan that can run.

use crate::error::Result;
use crate::gpu::{Opaque, Tally};
use crate::graph::{Graph, ValueId};
use crate::plan::{Plan, PlanOptions};
use crate::session::execution::load::{Loading, load};
use crate::session::execution::loaded::LoadedPlan;
use crate::session::planning::choices::Verdict;
use crate::session::planning::make::optimized;
use crate::session::resources::Resources;
use crate::session::tuner::tune;

/// How runs of a plan get their inputs and leave their outputs.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    /// Outputs that stay on the GPU.
    pub resident: Vec<ValueId>,
    /// Whether a run has its inputs on the host, or can bring them there, to check them.
    pub checks_inputs: bool,
}

/// Makes the plan of a specialised graph and all that its runs need. Measures variants beforehand if asked to, and makes
/// another plan when the device refuses a kernel of this one.
pub(super) async fn prepare(resources: &Resources<'_>, graph: &Graph, wanted: &Wanted) -> Result<Opaque<LoadedPlan>> {
    let caps = resources.gpu.caps();
    let graph = optimized(graph, caps, resources.options)?;
    // Pipelines that are compiled on the way to the plan live until the plan holds its own.
    let mut held = tune(resources, &graph).await?;
    let loaded = loop {
        let Wanted { resident, checks_inputs } = wanted.clone();
        let plan = Plan::new(&graph, caps, &PlanOptions { resident, checks_inputs, ..resources.plan_options() })?;
        log::debug!("{plan}");
        match load(resources, plan).await? {
            Loading::Loaded(loaded) => break loaded,
            Loading::Refused(refused) if refused.verdict == Verdict::New => held.extend(refused.pipelines),
            Loading::Refused(refused) => return Err(refused.fault),
        }
    };
    Tally::add(&resources.tally.plans);
    if let Some(folder) = resources.choices.folder() {
        resources.gpu.keep_pipelines(folder);
    }
    Ok(loaded)
}
