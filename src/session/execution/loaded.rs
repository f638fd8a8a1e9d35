//! A plan made ready on a device, with a pool of instances so that threads do not wait for each other.

use super::instance::Instance;
use super::shared::Shared;
use super::state_buffers::StateBuffers;
use super::values::Values;
use crate::error::{Error, Result};
use crate::gpu::{Copy, GpuBuffer, Opaque, Pipeline, Recording};
use crate::graph::ValueId;
use crate::plan::{Plan, Transfer};
use crate::session::data::held::Held;
use crate::session::resources::Resources;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A plan with everything that its runs need.
pub(crate) struct LoadedPlan {
    pub(super) shared: Shared,
    idle: Mutex<Vec<Instance>>,
}

/// The instance of a run whose results stay on the GPU; it goes back to the pool when it is dropped.
pub(crate) struct Lease {
    loaded: Opaque<LoadedPlan>,
    /// `Some` until dropped.
    instance: Option<Instance>,
}

impl LoadedPlan {
    pub(crate) async fn new(resources: &Resources<'_>, plan: Plan, pipelines: Vec<Arc<Pipeline>>) -> Result<LoadedPlan> {
        Ok(LoadedPlan { shared: Shared::new(resources, plan, pipelines).await?, idle: Mutex::default() })
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.shared.plan
    }

    /// An instance of the pool, one that knows the states if there is any, or a new one.
    pub(crate) async fn take_for(&self, states: Option<&StateBuffers>) -> Result<Instance> {
        let known = states.and_then(|states| {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            let place = idle.iter().position(|instance| instance.knows(states))?;
            Some(idle.remove(place))
        });
        match known {
            Some(instance) => Ok(instance),
            None => self.take().await,
        }
    }

    /// An instance of the pool, or a new one.
    pub(crate) async fn take(&self) -> Result<Instance> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle {
            Some(instance) => Ok(instance),
            None => Instance::new(&self.shared).await,
        }
    }

    /// Puts an instance back into the pool. One whose run failed is dropped instead: its buffers may still be mapped.
    pub(crate) fn give_back(&self, instance: Instance) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(instance);
    }

    /// An output after a run, which may be an input under another shape.
    pub(crate) fn output<'a>(&self, values: &Values<'_, 'a>, output: ValueId) -> Result<Held<'a>> {
        if let Some(held) = values.get(output) {
            return Ok(held.clone());
        }
        let graph = &self.plan().graph;
        let place = graph.outputs().iter().position(|id| *id == output);
        let root = place.and_then(|place| self.plan().roots.get(place)).copied().unwrap_or(output);
        values.held(root)?.under(&graph.fact(output)?.ty)
    }

    /// Whether a run can stay on the GPU: one segment, whose uploads are the run's inputs and whose outputs lie there.
    pub(crate) fn stays_on_gpu(&self) -> bool {
        let plan = self.plan();
        plan.segments.len() == 1
            && plan.checks.is_empty()
            && plan.given_checks.is_empty()
            && plan.host_nodes().next().is_none()
            && plan.outputs.iter().all(Option::is_some)
    }
}

impl Lease {
    pub(crate) fn new(loaded: Opaque<LoadedPlan>, instance: Instance) -> Self {
        Lease { loaded, instance: Some(instance) }
    }

    /// Submits one run of a plan that stays on the GPU, without waiting for it: the callers' buffers are copied in, and the results
    /// stay in the lease's.
    pub(crate) async fn enqueue(loaded: &Opaque<LoadedPlan>, inputs: &HashMap<ValueId, GpuBuffer>) -> Result<Lease> {
        let shared = &loaded.shared;
        let lease = Lease { instance: Some(loaded.take().await?), loaded: loaded.clone() };
        let commands = match &lease.instance {
            Some(instance) => instance.commands(shared, None).await?,
            None => return Ok(lease),
        };
        for (instance, (index, segment)) in lease.instance.iter().zip(shared.plan.segments.iter().enumerate()) {
            let copy = |t: &Transfer| {
                let from = inputs.get(&t.value).ok_or_else(|| Error::internal("an input has no buffer"))?;
                let to = instance.range(shared, None, t.tensor)?;
                Ok(Copy { from: from.range(t.bytes()), to: to.buffer, offset: to.offset })
            };
            let before = segment.uploads.iter().map(copy).collect::<Result<Vec<_>>>()?;
            let recording = Recording { before: &before, commands: &commands[index], ..Recording::default() };
            shared.gpu.submit(&[recording]).await?;
        }
        Ok(lease)
    }

    /// The buffer of an output, which has one of its own.
    pub(crate) fn buffer(&self, tensor: usize) -> Option<&GpuBuffer> {
        let range = self.instance.as_ref()?.range(&self.loaded.shared, None, tensor);
        range.ok().map(|range| range.buffer)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(instance) = self.instance.take() {
            self.loaded.give_back(instance);
        }
    }
}
