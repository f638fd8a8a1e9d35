//! A plan made ready on a device: its pipelines and weights, and a pool of instances so that threads do not wait for
//! each other.

use super::convert::{narrow, widen};
use super::weights::{Resident, Weights};
use crate::error::{Error, Result};
use crate::gpu::{Command, Copy, Gpu, GpuBuffer, Pipeline, Recording, Role, Tally};
use crate::graph::ValueId;
use crate::plan::{Place, Plan, Segment};
use crate::tensor::{Tensor, TensorView};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A plan with everything that its instances share.
pub(super) struct Prepared {
    pub plan: Plan,
    gpu: Gpu,
    tally: Arc<Tally>,
    pipelines: Vec<Arc<Pipeline>>,
    weights: Vec<Arc<Resident>>,
    params: GpuBuffer,
    idle: Mutex<Vec<Instance>>,
}

/// What one run at a time needs: buffers, and the commands that bind them.
struct Instance {
    own: Vec<GpuBuffer>,
    slots: Vec<GpuBuffer>,
    /// Per segment.
    commands: Vec<Vec<Command>>,
    /// Per segment, where its downloads arrive.
    staging: Vec<Option<GpuBuffer>>,
    /// Reused from upload to upload.
    scratch: Vec<u8>,
}

/// Tensors that the host holds during a run.
pub(super) struct HostValues<'a> {
    /// The run's inputs.
    pub inputs: HashMap<ValueId, TensorView<'a>>,
    /// What was downloaded or computed.
    pub computed: HashMap<ValueId, Tensor>,
}

impl HostValues<'_> {
    fn get(&self, plan: &Plan, value: ValueId) -> Result<Tensor> {
        if let Some(tensor) = self.computed.get(&value).or(plan.graph.constant(value)) {
            return Ok(tensor.clone());
        }
        let missing = || Error::internal(format!("the host does not hold `{}`", plan.graph.value(value).name));
        self.inputs.get(&value).map(TensorView::to_tensor).ok_or_else(missing)
    }
}

impl Prepared {
    pub(super) async fn new(gpu: &Gpu, plan: Plan, weights: &Weights, checked: bool, tally: &Arc<Tally>) -> Result<Prepared> {
        let pipelines = gpu.pipelines(&plan.kernels, checked, tally).await?;
        let weights = weights.upload(gpu, &plan.weights, tally).await?;
        let size = (plan.params.len() as u64).max(16);
        let params = gpu.buffers(&[("params", size, Role::Uniform)], tally).await?.swap_remove(0);
        gpu.write(&params, &plan.params);
        Ok(Prepared { plan, gpu: gpu.clone(), tally: tally.clone(), pipelines, weights, params, idle: Mutex::default() })
    }

    async fn instance(&self) -> Result<Instance> {
        if let Some(instance) = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop() {
            return Ok(instance);
        }
        let plan = &self.plan;
        let staging_bytes = |s: &Segment| s.downloads.iter().map(|t| t.bytes()).sum::<u64>();
        let mut wanted: Vec<(&str, u64, Role)> = plan.own.iter().map(|bytes| ("own", *bytes, Role::Storage)).collect();
        wanted.extend(plan.slots.iter().map(|bytes| ("slot", *bytes, Role::Storage)));
        wanted.extend(plan.segments.iter().map(|s| ("download", staging_bytes(s).max(4), Role::Download)));
        let mut buffers = self.gpu.buffers(&wanted, &self.tally).await?;
        let staging = buffers.split_off(plan.own.len() + plan.slots.len());
        let slots = buffers.split_off(plan.own.len());
        let staging = staging.into_iter().zip(&plan.segments).map(|(b, s)| (!s.downloads.is_empty()).then_some(b)).collect();
        let mut instance = Instance { own: buffers, slots, commands: vec![], staging, scratch: vec![] };
        let made =
            self.gpu.guarded("binding buffers", || plan.segments.iter().map(|s| self.commands(&instance, s)).collect()).await?;
        instance.commands = made;
        Ok(instance)
    }

    fn buffer<'a>(&'a self, instance: &'a Instance, place: Place) -> &'a GpuBuffer {
        match place {
            Place::Weight(k) => &self.weights[k].buffer,
            Place::Own(k) => &instance.own[k],
            Place::Slot(k) => &instance.slots[k],
        }
    }

    fn commands(&self, instance: &Instance, segment: &Segment) -> Vec<Command> {
        let command = |step: &crate::plan::Step| {
            let bound = step.bindings.iter().map(|b| {
                let buffer = self.buffer(instance, b.place);
                (buffer, if matches!(b.place, Place::Weight(_)) { buffer.size() } else { b.bytes })
            });
            let params = (&self.params, u64::from(step.params_offset), u64::from(step.params_bytes));
            self.gpu.command(&self.pipelines[step.kernel], params, &bound.collect::<Vec<_>>(), step.grid, &self.tally)
        };
        segment.steps.iter().map(command).collect()
    }

    /// One run; results are in `values` afterwards.
    pub(super) async fn run(&self, values: &mut HostValues<'_>) -> Result<()> {
        let mut instance = self.instance().await?;
        let result = self.run_on(&mut instance, values).await;
        if result.is_ok() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(instance);
        }
        result
    }

    async fn run_on(&self, instance: &mut Instance, values: &mut HostValues<'_>) -> Result<()> {
        for (index, segment) in self.plan.segments.iter().enumerate() {
            self.upload(instance, segment, values)?;
            self.compute(instance, index, segment, values).await?;
            self.host(segment, values)?;
        }
        Ok(())
    }

    fn upload(&self, instance: &mut Instance, segment: &Segment, values: &HostValues<'_>) -> Result<()> {
        let mut scratch = std::mem::take(&mut instance.scratch);
        for transfer in &segment.uploads {
            let owned;
            let view = match values.inputs.get(&transfer.value) {
                Some(view) => *view,
                None => {
                    owned = values.get(&self.plan, transfer.value)?;
                    owned.view()
                }
            };
            let buffer = self.buffer(instance, transfer.place);
            if view.dtype().size() == 4 {
                self.gpu.write(buffer, view.bytes());
            } else {
                widen(view.dtype(), view.bytes(), &mut scratch);
                self.gpu.write(buffer, &scratch);
            }
        }
        instance.scratch = scratch;
        Ok(())
    }

    async fn compute(&self, instance: &Instance, index: usize, segment: &Segment, values: &mut HostValues<'_>) -> Result<()> {
        if segment.steps.is_empty() && segment.downloads.is_empty() {
            return Ok(());
        }
        let staging = instance.staging[index].as_ref();
        let mut after = Vec::with_capacity(segment.downloads.len());
        let mut offset = 0;
        if let Some(to) = staging {
            for t in &segment.downloads {
                after.push(Copy { from: self.buffer(instance, t.place), to, offset, bytes: t.bytes() });
                offset += t.bytes();
            }
        }
        let recording = Recording { commands: &instance.commands[index], after: &after, map: staging, ..Recording::default() };
        self.gpu.run(&recording).await?;
        let Some(staging) = staging else { return Ok(()) };
        staging.mapped(offset.max(4), |bytes| {
            let mut start = 0;
            for t in &segment.downloads {
                let end = start + t.bytes() as usize;
                values.computed.insert(t.value, narrow(&t.ty, t.scalar, &bytes[start..end])?);
                start = end;
            }
            Ok(())
        })?
    }

    fn host(&self, segment: &Segment, values: &mut HostValues<'_>) -> Result<()> {
        for host in &segment.host {
            let node = &self.plan.graph.nodes()[host.node];
            let inputs =
                node.inputs.iter().map(|i| i.map(|id| values.get(&self.plan, id)).transpose()).collect::<Result<Vec<_>>>()?;
            let inputs: Vec<Option<&Tensor>> = inputs.iter().map(Option::as_ref).collect();
            let outputs = node.op.reference(&inputs).map_err(|e| e.at(&node.path))?;
            for (id, tensor) in node.outputs.iter().zip(outputs) {
                if let Some(id) = id {
                    values.computed.insert(*id, tensor);
                }
            }
        }
        Ok(())
    }

    /// The plan's outputs after a run, in order.
    pub(super) fn outputs(&self, values: &HostValues<'_>) -> Result<Vec<Tensor>> {
        self.plan.graph.outputs().iter().map(|id| values.get(&self.plan, *id)).collect()
    }
}
