//! What all instances of a plan share.

use crate::error::Result;
use crate::gpu::{Gpu, GpuBuffer, Pipeline, Progress, Role, Tally};
use crate::plan::Plan;
use crate::session::data::weights::UploadedWeight;
use crate::session::resources::Resources;
use std::sync::Arc;

/// A plan with its compiled kernels, weights and parameters on a device.
pub(crate) struct Shared {
    pub plan: Plan,
    pub gpu: Gpu,
    pub tally: Arc<Tally>,
    /// Of each kernel of the plan.
    pub pipelines: Vec<Arc<Pipeline>>,
    /// Of each weight of the plan.
    pub weights: Vec<Arc<UploadedWeight>>,
    pub params: GpuBuffer,
    pub progress: Progress,
}

impl Shared {
    pub(crate) async fn new(resources: &Resources<'_>, plan: Plan, pipelines: Vec<Arc<Pipeline>>) -> Result<Self> {
        let Resources { gpu, tally, .. } = *resources;
        let weights = resources.weights.upload(gpu, &plan.weights, tally).await?;
        let size = (plan.params.len() as u64).max(16);
        let params = gpu.buffer("params", size, Role::Uniform, tally).await?;
        gpu.write(&params, 0, &plan.params);
        let progress = resources.options.progress.clone();
        Ok(Shared { plan, gpu: gpu.clone(), tally: tally.clone(), pipelines, weights, params, progress })
    }
}
