//! What one run at a time needs of the device, made once and used by many runs in turn.

use super::shared::Shared;
use crate::error::{Error, Result};
use crate::gpu::{BindGroup, Bound, Command, GpuBuffer, GpuTexture, Pipeline, Range, Role};
use crate::kernel::Access;
use crate::plan::{Place, Plan, Segment, Step, Transfer};
use crate::session::timing::recorder::Timers;
use std::collections::HashMap;

/// Where in an upload buffer a tensor may start, in bytes: WebGPU maps ranges at multiples of it.
const UPLOAD_ALIGNMENT: u64 = 8;

/// The bytes that a tensor takes in an upload buffer.
pub(crate) fn upload_bytes(transfer: &Transfer) -> u64 {
    transfer.bytes().next_multiple_of(UPLOAD_ALIGNMENT)
}

/// Buffers, and the commands that bind them.
pub(crate) struct Instance {
    memory: Memory,
    /// Per segment.
    pub(crate) commands: Vec<Vec<Command>>,
    /// Per segment, the buffer that its uploads leave from.
    pub(crate) uploads: Vec<Option<GpuBuffer>>,
    /// Per segment, the buffer that its downloads arrive in.
    pub(crate) downloads: Vec<Option<GpuBuffer>>,
    /// Elements on their way into an upload buffer.
    pub(crate) scratch: Vec<u8>,
    /// Once the plan was profiled.
    pub(crate) timers: Option<Timers>,
}

/// The tensors of one run.
struct Memory {
    own: Vec<GpuBuffer>,
    shared: Vec<GpuBuffer>,
    textures: Vec<GpuTexture>,
}

/// What a step binds; steps that bind the same share a bind group, whatever their parameters are.
#[derive(PartialEq, Eq, Hash)]
struct Bindings {
    access: Vec<Access>,
    params_bytes: u32,
    places: Vec<(Place, u64)>,
    numbers: Option<(u32, u32)>,
}

/// The bind groups of an instance.
type Groups = HashMap<Bindings, BindGroup>;

impl Instance {
    pub(crate) async fn new(shared: &Shared) -> Result<Instance> {
        let Shared { plan, gpu, tally, .. } = shared;
        let download_bytes = |s: &Segment| s.downloads.iter().map(Transfer::bytes).sum::<u64>();
        let all_upload_bytes = |s: &Segment| s.uploads.iter().map(upload_bytes).sum::<u64>();
        let mut wanted: Vec<(&str, u64, Role)> = plan.own.iter().map(|bytes| ("own", *bytes, Role::Storage)).collect();
        wanted.extend(plan.shared.iter().map(|bytes| ("shared", *bytes, Role::Storage)));
        wanted.extend(plan.segments.iter().map(|s| ("download", download_bytes(s).max(4), Role::Download)));
        wanted.extend(plan.segments.iter().map(|s| ("upload", all_upload_bytes(s).max(UPLOAD_ALIGNMENT), Role::Upload)));
        let mut own = gpu.buffers(&wanted, tally).await?;
        let uploads = own.split_off(own.len() - plan.segments.len());
        let downloads = own.split_off(plan.own.len() + plan.shared.len());
        let shared_buffers = own.split_off(plan.own.len());
        let wanted: Vec<(&str, u64)> = plan.textures.iter().map(|bytes| ("scratch", *bytes)).collect();
        let textures = gpu.textures(&wanted, tally).await?;
        let memory = Memory { own, shared: shared_buffers, textures };
        let mut groups = Groups::new();
        let commands = || plan.segments.iter().map(|s| memory.commands(shared, s, &mut groups)).collect::<Result<Vec<_>>>();
        let commands = gpu.guarded("binding buffers", commands).await??;
        Ok(Instance {
            commands,
            uploads: used(plan, uploads, |s| !s.uploads.is_empty()),
            downloads: used(plan, downloads, |s| !s.downloads.is_empty()),
            memory,
            scratch: vec![],
            timers: None,
        })
    }

    /// Where in a buffer one of the plan's tensors lies.
    pub(crate) fn range<'a>(&'a self, shared: &'a Shared, tensor: usize) -> Result<Range<'a>> {
        self.memory.range(shared, tensor)
    }
}

/// The buffers of those segments that use theirs.
fn used(plan: &Plan, buffers: Vec<GpuBuffer>, uses: impl Fn(&Segment) -> bool) -> Vec<Option<GpuBuffer>> {
    buffers.into_iter().zip(&plan.segments).map(|(buffer, segment)| uses(segment).then_some(buffer)).collect()
}

impl Memory {
    /// What a kernel binds for one of the plan's tensors.
    fn bound<'a>(&'a self, shared: &'a Shared, tensor: usize) -> Bound<'a> {
        let planned = &shared.plan.tensors[tensor];
        match planned.place {
            // Repacked weights have a size of their own.
            Place::Weight(k) => shared.weights[k].bound(),
            Place::Own(k) => Bound::Buffer(self.own[k].range(planned.bytes)),
            Place::Slot { buffer, offset } => Bound::Buffer(Range { buffer: &self.shared[buffer], offset, bytes: planned.bytes }),
            Place::Texture(k) => Bound::Texture(&self.textures[k]),
            Place::State { .. } => todo!(),
        }
    }

    fn range<'a>(&'a self, shared: &'a Shared, tensor: usize) -> Result<Range<'a>> {
        match self.bound(shared, tensor) {
            Bound::Buffer(range) => Ok(range),
            Bound::Texture(_) => Err(Error::internal("a texture where a buffer is expected")),
        }
    }

    fn commands(&self, shared: &Shared, segment: &Segment, groups: &mut Groups) -> Result<Vec<Command>> {
        segment.steps.iter().map(|step| self.command(shared, step, groups)).collect()
    }

    fn command(&self, shared: &Shared, step: &Step, groups: &mut Groups) -> Result<Command> {
        let pipeline = &shared.pipelines[step.kernel];
        let group = groups.entry(Bindings::new(shared, step)).or_insert_with(|| self.group(shared, step, pipeline));
        let command = Command::new(pipeline, group, step.params_offset, step.grid);
        step.copies.iter().try_fold(command, |command, copy| match self.bound(shared, copy.to) {
            Bound::Texture(to) => Ok(command.filling(to, self.range(shared, copy.from)?)),
            Bound::Buffer(_) => Err(Error::internal("a buffer where a texture is expected")),
        })
    }

    fn group(&self, shared: &Shared, step: &Step, pipeline: &Pipeline) -> BindGroup {
        let mut bound: Vec<Bound> = step.bindings.iter().map(|&tensor| self.bound(shared, tensor)).collect();
        let numbers = step.numbers.map(|(offset, bytes)| (u64::from(offset), u64::from(bytes)));
        bound.extend(numbers.map(|(offset, bytes)| Bound::Buffer(Range { buffer: &shared.params, offset, bytes })));
        shared.gpu.bind_group(pipeline, shared.params.range(u64::from(step.params_bytes)), &bound, &shared.tally)
    }
}

impl Bindings {
    fn new(shared: &Shared, step: &Step) -> Self {
        let Plan { kernels, tensors, .. } = &shared.plan;
        let place = |&tensor: &usize| (tensors[tensor].place, tensors[tensor].bytes);
        Bindings {
            access: kernels[step.kernel].storage.clone(),
            params_bytes: step.params_bytes,
            places: step.bindings.iter().map(place).collect(),
            numbers: step.numbers,
        }
    }
}
