//! A plan made ready on a device: its pipelines and weights, and a pool of instances so that threads do not wait for
//! each other.

use super::weights::Resident;
use crate::error::{Error, Result};
use crate::gpu::{
    Bound, Clock, Command, Copy, Gpu, GpuBuffer, GpuTexture, KernelEvent, Pipeline, Progress, Range, Recording, Role, Tally,
    Timestamps,
};
use crate::graph::ValueId;
use crate::plan::{Place, Plan, Segment, Step, Transfer};
use crate::session::data::elements::{narrow, widen};
use crate::session::stages::planned::Context;
use crate::session::timing::profile::{Recorder, Timing};
use crate::tensor::{Scalar, Tensor, TensorView};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Where in an upload buffer a tensor may start, in bytes: WebGPU maps ranges at multiples of it.
const UPLOAD_ALIGNMENT: u64 = 8;

/// A plan with everything that its instances share.
pub(crate) struct Prepared {
    pub plan: Plan,
    gpu: Gpu,
    tally: Arc<Tally>,
    pipelines: Vec<Arc<Pipeline>>,
    weights: Vec<Arc<Resident>>,
    params: GpuBuffer,
    progress: Progress,
    idle: Mutex<Vec<Instance>>,
}

/// What one run at a time needs: buffers, and the commands that bind them.
struct Instance {
    own: Vec<GpuBuffer>,
    shared: Vec<GpuBuffer>,
    textures: Vec<GpuTexture>,
    /// Per segment.
    commands: Vec<Vec<Command>>,
    /// Per segment, where its uploads leave from.
    uploads: Vec<Option<GpuBuffer>>,
    /// Per segment, where its downloads arrive.
    staging: Vec<Option<GpuBuffer>>,
    /// Reused from upload to upload.
    scratch: Vec<u8>,
    /// Per segment, once the plan was profiled.
    timestamps: Vec<Timestamps>,
}

/// An instance in use; it goes back to the pool when dropped.
pub(crate) struct Lease {
    prepared: Arc<Prepared>,
    /// `Some` until dropped.
    instance: Option<Instance>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(instance) = self.instance.take() {
            self.prepared.give_back(instance);
        }
    }
}

impl Lease {
    /// The buffer of an output, which has one of its own.
    pub(crate) fn buffer(&self, tensor: usize) -> Option<&GpuBuffer> {
        self.instance.as_ref().and_then(|instance| Some(self.prepared.range(instance, tensor).ok()?.buffer))
    }
}

/// Tensors that the host holds during a run.
pub(crate) struct HostValues<'a> {
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
    pub(crate) async fn new(context: &Context<'_>, plan: Plan, pipelines: Vec<Arc<Pipeline>>) -> Result<Prepared> {
        let Context { gpu, tally, options, .. } = *context;
        let weights = context.weights.upload(gpu, &plan.weights, tally).await?;
        let size = (plan.params.len() as u64).max(16);
        let params = gpu.buffer("params", size, Role::Uniform, tally).await?;
        gpu.write(&params, 0, &plan.params);
        let progress = options.progress.clone();
        let (gpu, tally) = (gpu.clone(), tally.clone());
        Ok(Prepared { plan, gpu, tally, pipelines, weights, params, progress, idle: Mutex::default() })
    }

    pub(crate) fn pipelines(&self) -> &[Arc<Pipeline>] {
        &self.pipelines
    }

    async fn instance(&self) -> Result<Instance> {
        if let Some(instance) = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop() {
            return Ok(instance);
        }
        let plan = &self.plan;
        let staging_bytes = |s: &Segment| s.downloads.iter().map(|t| t.bytes()).sum::<u64>();
        let upload_bytes = |s: &Segment| s.uploads.iter().map(|t| t.bytes().next_multiple_of(UPLOAD_ALIGNMENT)).sum::<u64>();
        let mut wanted: Vec<(&str, u64, Role)> = plan.own.iter().map(|bytes| ("own", *bytes, Role::Storage)).collect();
        wanted.extend(plan.shared.iter().map(|bytes| ("shared", *bytes, Role::Storage)));
        wanted.extend(plan.segments.iter().map(|s| ("download", staging_bytes(s).max(4), Role::Download)));
        wanted.extend(plan.segments.iter().map(|s| ("upload", upload_bytes(s).max(UPLOAD_ALIGNMENT), Role::Upload)));
        let mut buffers = self.gpu.buffers(&wanted, &self.tally).await?;
        let uploads = buffers.split_off(buffers.len() - plan.segments.len());
        let uploads = uploads.into_iter().zip(&plan.segments).map(|(b, s)| (!s.uploads.is_empty()).then_some(b)).collect();
        let staging = buffers.split_off(plan.own.len() + plan.shared.len());
        let shared = buffers.split_off(plan.own.len());
        let staging = staging.into_iter().zip(&plan.segments).map(|(b, s)| (!s.downloads.is_empty()).then_some(b)).collect();
        let wanted: Vec<(&str, u64)> = plan.textures.iter().map(|bytes| ("scratch", *bytes)).collect();
        let textures = self.gpu.textures(&wanted, &self.tally).await?;
        let mut instance =
            Instance { own: buffers, shared, textures, commands: vec![], uploads, staging, scratch: vec![], timestamps: vec![] };
        let made: Result<Vec<_>> =
            self.gpu.guarded("binding buffers", || plan.segments.iter().map(|s| self.commands(&instance, s)).collect()).await?;
        instance.commands = made?;
        Ok(instance)
    }

    /// What a kernel binds for one of the plan's tensors.
    fn bound<'a>(&'a self, instance: &'a Instance, tensor: usize) -> Bound<'a> {
        let planned = &self.plan.tensors[tensor];
        match planned.place {
            // Repacked weights have a size of their own.
            Place::Weight(k) => self.weights[k].storage.bound(),
            Place::Own(k) => Bound::Buffer(instance.own[k].range(planned.bytes)),
            Place::Slot { buffer, offset } => {
                Bound::Buffer(Range { buffer: &instance.shared[buffer], offset, bytes: planned.bytes })
            }
            Place::Texture(k) => Bound::Texture(&instance.textures[k]),
        }
    }

    /// Where in a buffer one of the plan's tensors lies.
    fn range<'a>(&'a self, instance: &'a Instance, tensor: usize) -> Result<Range<'a>> {
        match self.bound(instance, tensor) {
            Bound::Buffer(range) => Ok(range),
            Bound::Texture(_) => Err(Error::internal("a texture where a buffer is expected")),
        }
    }

    fn commands(&self, instance: &Instance, segment: &Segment) -> Result<Vec<Command>> {
        let command = |step: &Step| {
            let mut bound: Vec<Bound> = step.bindings.iter().map(|&tensor| self.bound(instance, tensor)).collect();
            let uniform = |(offset, bytes)| Range { buffer: &self.params, offset: u64::from(offset), bytes: u64::from(bytes) };
            bound.extend(step.numbers.map(|numbers| Bound::Buffer(uniform(numbers))));
            let params = uniform((step.params_offset, step.params_bytes));
            let command = self.gpu.command(&self.pipelines[step.kernel], params, &bound, step.grid, &self.tally);
            step.copies.iter().try_fold(command, |command, copy| match self.bound(instance, copy.to) {
                Bound::Texture(to) => Ok(command.filling(to, self.range(instance, copy.from)?)),
                Bound::Buffer(_) => Err(Error::internal("a buffer where a texture is expected")),
            })
        };
        segment.steps.iter().map(command).collect()
    }

    fn give_back(&self, instance: Instance) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(instance);
    }

    /// One run; results are in `values` afterwards.
    pub(crate) async fn run(&self, values: &mut HostValues<'_>, recorder: Option<&Recorder>) -> Result<()> {
        let mut instance = self.instance().await?;
        if recorder.is_some() && instance.timestamps.is_empty() {
            for segment in &self.plan.segments {
                instance.timestamps.push(self.gpu.timestamps(segment.steps.len(), &self.tally).await?);
            }
        }
        // An instance that a failed run may have left mapped is dropped.
        self.run_on(&mut instance, values, recorder).await?;
        self.give_back(instance);
        Ok(())
    }

    /// Records the commands of a run and forgets them; the number of dispatches.
    pub(crate) async fn rehearse(&self) -> Result<usize> {
        let instance = self.instance().await?;
        for commands in &instance.commands {
            self.gpu.rehearse(&Recording { commands, ..Recording::default() });
        }
        self.give_back(instance);
        Ok(self.plan.steps().count())
    }

    /// Microseconds that the dispatches of a run take, from `count` of them in one submission. They work on what the last run
    /// left in the instance's buffers.
    pub(crate) async fn pace(&self, count: usize) -> Result<f64> {
        let instance = self.instance().await?;
        let recording = |commands| Recording { commands, repeat: count - 1, ..Recording::default() };
        // The first round is not timed: it fills caches and raises clocks.
        for commands in &instance.commands {
            self.gpu.submit_and_wait(&recording(commands)).await?;
        }
        let clock = Clock::start().ok_or_else(|| Error::unsupported("timing by the host's clock: there is none to read"))?;
        for commands in &instance.commands {
            self.gpu.submit_and_wait(&recording(commands)).await?;
        }
        let elapsed = clock.microseconds();
        self.give_back(instance);
        Ok(elapsed / count as f64)
    }

    /// Fills the inputs with something to compute with: floats between -1 and 1, and zeros for integers, which are in range
    /// as indices of anything.
    pub(crate) async fn scratch(&self) -> Result<()> {
        let instance = self.instance().await?;
        let mut number = 1u32;
        let floats = || {
            number = number.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
            (f64::from(number) / f64::from(1u32 << 31) - 1.0) as f32
        };
        let floats: Vec<f32> = std::iter::repeat_with(floats).take(1 << 16).collect();
        let floats: &[u8] = bytemuck::cast_slice(&floats);
        for transfer in self.plan.segments.iter().flat_map(|s| &s.uploads).filter(|t| t.scalar == Scalar::F32) {
            let Range { buffer, offset, .. } = self.range(&instance, transfer.tensor)?;
            let bytes = transfer.bytes() as usize;
            for start in (0..bytes).step_by(floats.len()) {
                self.gpu.write(buffer, offset + start as u64, &floats[..floats.len().min(bytes - start)]);
            }
        }
        self.give_back(instance);
        Ok(())
    }

    /// Microseconds that the dispatches take, from `count` times in one submission: by the device's clock where it has one. A
    /// clock that runs backwards gives a negative number.
    pub(crate) async fn timed(&self, count: usize) -> Result<f64> {
        if !self.gpu.caps().timestamps {
            return self.pace(count).await;
        }
        let instance = self.instance().await?;
        let mut total = 0.0;
        for commands in instance.commands.iter().filter(|c| !c.is_empty()) {
            let timestamps = self.gpu.timestamps(commands.len() * count, &self.tally).await?;
            let recording = Recording { commands, repeat: count - 1, timestamps: Some(&timestamps), ..Recording::default() };
            self.gpu.submit_and_wait(&recording).await?;
            total += self.gpu.span(&timestamps).await?;
        }
        self.give_back(instance);
        Ok(total / count as f64)
    }

    /// One run that stays on the GPU: the callers' buffers are copied in, and the results stay in the lease's.
    pub(crate) async fn run_resident(self: &Arc<Self>, inputs: &HashMap<ValueId, GpuBuffer>) -> Result<Lease> {
        let lease = Lease { instance: Some(self.instance().await?), prepared: self.clone() };
        for (instance, (index, segment)) in lease.instance.iter().zip(self.plan.segments.iter().enumerate()) {
            let missing = || Error::internal("an input has no buffer");
            let copy = |t: &Transfer| {
                let from = inputs.get(&t.value).ok_or_else(missing)?;
                let to = self.range(instance, t.tensor)?;
                Ok(Copy { from: from.range(t.bytes()), to: to.buffer, offset: to.offset })
            };
            let before = segment.uploads.iter().map(copy).collect::<Result<Vec<_>>>()?;
            self.gpu.submit(&Recording { before: &before, commands: &instance.commands[index], ..Recording::default() }).await?;
        }
        Ok(lease)
    }

    /// Whether a run can stay on the GPU: one segment, whose uploads are the run's inputs and whose outputs lie there.
    pub(crate) fn is_resident(&self) -> bool {
        self.plan.segments.len() == 1 && self.plan.host_nodes().next().is_none() && self.plan.outputs.iter().all(Option::is_some)
    }

    async fn run_on(&self, instance: &mut Instance, values: &mut HostValues<'_>, recorder: Option<&Recorder>) -> Result<()> {
        for (index, segment) in self.plan.segments.iter().enumerate() {
            self.upload(instance, index, values)?;
            let timestamps = recorder.and_then(|_| instance.timestamps.get(index)).filter(|_| !segment.steps.is_empty());
            self.compute(instance, index, values, timestamps).await?;
            if let (Some(recorder), Some(timestamps)) = (recorder, timestamps) {
                let times = self.gpu.elapsed(timestamps).await?;
                recorder.extend(segment.steps.iter().zip(times).map(|(step, microseconds)| self.timing(step, microseconds)));
            }
            self.host(segment, values)?;
        }
        Ok(())
    }

    fn timing(&self, step: &Step, microseconds: f64) -> Timing {
        Timing {
            label: self.plan.graph.nodes()[step.node].path.clone(),
            kernel: self.plan.kernels[step.kernel].shader.name,
            variant: step.variant,
            grid: step.grid,
            work: step.work,
            microseconds,
        }
    }

    /// Writes what a segment uploads into the buffer that it leaves from.
    fn upload(&self, instance: &mut Instance, index: usize, values: &HostValues<'_>) -> Result<()> {
        let Some(upload) = &instance.uploads[index] else { return Ok(()) };
        let mut offset = 0;
        for transfer in &self.plan.segments[index].uploads {
            let owned;
            let view = match values.inputs.get(&transfer.value) {
                Some(view) => *view,
                None => {
                    owned = values.get(&self.plan, transfer.value)?;
                    owned.view()
                }
            };
            if view.dtype().size() == 4 {
                upload.fill(offset, view.bytes())?;
            } else {
                widen(view.dtype(), view.bytes(), &mut instance.scratch);
                upload.fill(offset, &instance.scratch)?;
            }
            offset += transfer.bytes().next_multiple_of(UPLOAD_ALIGNMENT);
        }
        Ok(())
    }

    async fn compute(
        &self,
        instance: &Instance,
        index: usize,
        values: &mut HostValues<'_>,
        timestamps: Option<&Timestamps>,
    ) -> Result<()> {
        let segment = &self.plan.segments[index];
        if segment.steps.is_empty() && segment.downloads.is_empty() {
            return Ok(());
        }
        let (upload, staging) = (instance.uploads[index].as_ref(), instance.staging[index].as_ref());
        let mut before = Vec::with_capacity(segment.uploads.len());
        let mut offset = 0;
        if let Some(from) = upload {
            for t in &segment.uploads {
                let to = self.range(instance, t.tensor)?;
                before.push(Copy { from: Range { buffer: from, offset, bytes: t.bytes() }, to: to.buffer, offset: to.offset });
                offset += t.bytes().next_multiple_of(UPLOAD_ALIGNMENT);
            }
        }
        let mut after = Vec::with_capacity(segment.downloads.len());
        let mut offset = 0;
        if let Some(to) = staging {
            for t in &segment.downloads {
                let from = Range { bytes: t.bytes(), ..self.range(instance, t.tensor)? };
                after.push(Copy { from, to, offset });
                offset += t.bytes();
            }
        }
        let commands = &instance.commands[index];
        let recording =
            Recording { upload, before: &before, commands, after: &after, timestamps, map: staging, ..Recording::default() };
        if self.progress.is_watched() && timestamps.is_none() {
            self.first_dispatches(segment, recording).await?;
        } else {
            self.gpu.submit_and_wait(&recording).await?;
        }
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

    /// The same as one recording, but kernels that never ran before do so in submissions of their own, and are timed.
    async fn first_dispatches(&self, segment: &Segment, mut rest: Recording<'_>) -> Result<()> {
        let commands = rest.commands;
        let mut new: Vec<usize> = Vec::new();
        for (at, step) in segment.steps.iter().enumerate() {
            if self.pipelines[step.kernel].is_new() && new.iter().all(|&known| segment.steps[known].kernel != step.kernel) {
                new.push(at);
            }
        }
        if !new.is_empty() {
            self.progress.tell(KernelEvent::Dispatching { kernels: new.len() });
        }
        let mut done = 0;
        for at in new {
            let early = Recording {
                upload: rest.upload.take(),
                before: rest.before,
                commands: &commands[done..at],
                ..Recording::default()
            };
            self.gpu.submit_and_wait(&early).await?;
            rest.before = &[];
            let clock = Clock::start();
            self.gpu.submit_and_wait(&Recording { commands: &commands[at..=at], ..Recording::default() }).await?;
            let microseconds = clock.map_or(f64::NAN, |clock| clock.microseconds());
            let kernel = segment.steps[at].kernel;
            self.pipelines[kernel].has_run();
            self.progress.tell(KernelEvent::Dispatched { kernel: &self.plan.kernels[kernel], microseconds });
            done = at + 1;
        }
        rest.commands = &commands[done..];
        self.gpu.submit_and_wait(&rest).await
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
    pub(crate) fn outputs(&self, values: &HostValues<'_>) -> Result<Vec<Tensor>> {
        self.plan.graph.outputs().iter().map(|id| values.get(&self.plan, *id)).collect()
    }
}
