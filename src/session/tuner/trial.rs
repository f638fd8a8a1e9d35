//! One node by one variant, on scratch buffers and with the node's own bindings.

use crate::error::Result;
use crate::gpu::{Opaque, Pipeline};
use crate::graph::{Form, Graph, Input};
use crate::plan::{Plan, PlanOptions};
use crate::session::execution::load::{Loading, load};
use crate::session::execution::loaded::LoadedPlan;
use crate::session::planning::choices::Verdict;
use crate::session::resources::Resources;
use std::sync::Arc;

/// A node made ready by one variant.
pub(super) struct Trial {
    loaded: Opaque<LoadedPlan>,
}

impl Trial {
    /// `None` when the driver refuses the variant; the choices know it then.
    pub(super) async fn new(resources: &Resources<'_>, graph: &Graph, node: usize, variant: &str) -> Result<Option<Trial>> {
        let alone = alone(graph, node)?;
        let options = PlanOptions { variant: Some(variant.to_string()), ..resources.plan_options() };
        let plan = Plan::new(&alone, resources.gpu.caps(), &options)?;
        let loaded = match load(resources, plan).await? {
            Loading::Loaded(loaded) => loaded,
            Loading::Refused(refused) if refused.verdict == Verdict::Unrelated => return Err(refused.fault),
            Loading::Refused(_) => return Ok(None),
        };
        loaded.fill_inputs().await?;
        Ok(Some(Trial { loaded }))
    }

    /// The pipelines it runs.
    pub(super) fn pipelines(&self) -> &[Arc<Pipeline>] {
        &self.loaded.shared().pipelines
    }

    /// Microseconds that the node takes, from `count` times in one submission.
    pub(super) async fn duration(&self, count: usize) -> Result<f64> {
        self.loaded.duration(count).await
    }
}

/// A graph of one node.
fn alone(graph: &Graph, node: usize) -> Result<Graph> {
    let node = &graph.nodes()[node];
    let mut inputs: Vec<Input> = Vec::new();
    for &value in node.inputs.iter().flatten() {
        if graph.constant(value).is_none() && inputs.iter().all(|i| i.value != value) {
            inputs.push(Input { value, form: Form::Tensor, dtype: graph.fact(value)?.dtype(), dims: None });
        }
    }
    let outputs = node.outputs.iter().flatten().copied().collect();
    Ok(Graph { nodes: vec![node.clone()], inputs, outputs, states: vec![], ..graph.clone() })
}
