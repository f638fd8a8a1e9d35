//! From a plan to what its runs need on a device.

use super::loaded::LoadedPlan;
use crate::error::{Error, Result};
use crate::gpu::{Compile, Opaque, Pipeline};
use crate::plan::Plan;
use crate::session::planning::choices::Verdict;
use crate::session::resources::Resources;
use std::sync::Arc;

/// What became of a plan.
pub(crate) enum Loading {
    /// It can run.
    Loaded(Opaque<LoadedPlan>),
    /// Some of its kernels cannot be compiled.
    Refused(Refused),
}

/// A plan that cannot run as it is.
pub(crate) struct Refused {
    /// Whether another plan may do. The choices know by now what the driver refused.
    pub verdict: Verdict,
    /// What the device says to the first kernel at fault.
    pub fault: Error,
    /// Those of the plan's other kernels, which the next plan may want.
    pub pipelines: Vec<Arc<Pipeline>>,
}

/// Compiles the kernels of a plan and uploads what it needs.
pub(crate) async fn load(resources: &Resources<'_>, plan: Plan) -> Result<Loading> {
    let Resources { gpu, choices, options, tally, .. } = *resources;
    let how = Compile { checked: options.checked, folder: choices.folder(), progress: &options.progress, tally };
    let compiled = gpu.pipelines(&plan.kernels, &how).await;
    let (mut pipelines, mut faults) = (Vec::new(), Vec::new());
    for (kernel, result) in compiled.into_iter().enumerate() {
        match result {
            Ok(pipeline) => pipelines.push(pipeline),
            Err(error) => faults.push((kernel, error)),
        }
    }
    if !faults.is_empty() {
        let verdict = choices.refuse(gpu, &plan, &faults);
        let fault = faults.swap_remove(0).1;
        return Ok(Loading::Refused(Refused { verdict, fault, pipelines }));
    }
    Ok(Loading::Loaded(Opaque::new(LoadedPlan::new(resources, plan, pipelines).await?)))
}
