//! What one run at a time needs of the device, made once and used by many runs in turn.

use super::bound_states::{BoundStates, Commands};
use super::shared::Shared;
use super::state_buffers::StateBuffers;
use crate::error::{Error, Result};
use crate::gpu::{BindGroup, Bound, Command, GpuBuffer, GpuTexture, Pipeline, Range, Role};
use crate::kernel::Access;
use crate::plan::{Place, Plan, Segment, Step, Transfer};
use crate::session::timing::recorder::Timers;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

/// Where in an upload buffer a tensor may start, in bytes: WebGPU maps ranges at multiples of it.
const UPLOAD_ALIGNMENT: u64 = 8;

/// The bytes that a tensor takes in an upload buffer.
pub(crate) fn upload_bytes(transfer: &Transfer) -> u64 {
    transfer.bytes().next_multiple_of(UPLOAD_ALIGNMENT)
}

/// Buffers, and the commands that bind them.
pub(crate) struct Instance {
    memory: Memory,
    /// Per segment, the commands of all steps but those that touch states.
    fixed: Vec<Vec<Option<Command>>>,
    /// All commands, where no step touches a state.
    plain: Option<Commands>,
    /// The commands for states that runs had.
    bound: Arc<BoundStates>,
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
        let fixed = || {
            let mut command =
                |step: &Step| (!touches(plan, step)).then(|| memory.command(shared, None, step, &mut groups)).transpose();
            plan.segments.iter().map(|s| s.steps.iter().map(&mut command).collect()).collect::<Result<Vec<Vec<_>>>>()
        };
        let fixed = gpu.guarded("binding buffers", fixed).await??;
        let plain =
            (!plan.steps().any(|step| touches(plan, step))).then(|| fixed.iter().map(|s| s.iter().flatten().cloned().collect()));
        Ok(Instance {
            plain: plain.map(|commands| Arc::new(commands.collect())),
            fixed,
            bound: Arc::default(),
            uploads: used(plan, uploads, |s| !s.uploads.is_empty()),
            downloads: used(plan, downloads, |s| !s.downloads.is_empty()),
            memory,
            scratch: vec![],
            timers: None,
        })
    }

    /// Where in a buffer one of the plan's tensors lies, which may be one of a state.
    pub(crate) fn range<'a>(&'a self, shared: &'a Shared, states: Option<&'a StateBuffers>, tensor: usize) -> Result<Range<'a>> {
        self.memory.range(shared, states, tensor)
    }

    /// Whether it ran with these states before.
    pub(super) fn knows(&self, states: &StateBuffers) -> bool {
        self.bound.knows(states.bindings())
    }

    /// The commands of a run, per segment: with the states' buffers as they are now, read and written in turn. Those of later runs with
    /// the same states are found again.
    pub(crate) async fn commands(&self, shared: &Shared, states: Option<&StateBuffers>) -> Result<Commands> {
        if let Some(plain) = &self.plain {
            return Ok(plain.clone());
        }
        let states = states.ok_or_else(|| Error::internal("a plan with states is run without"))?;
        let fronts = states.fronts(&shared.plan)?;
        if let Some(found) = self.bound.find(states.bindings(), &fronts) {
            return Ok(found);
        }
        let mut groups = Groups::new();
        let make = || {
            let segments = shared.plan.segments.iter().zip(&self.fixed);
            let mut command = |(step, fixed): (&Step, &Option<Command>)| match fixed {
                Some(command) => Ok(command.clone()),
                None => self.memory.command(shared, Some(states), step, &mut groups),
            };
            segments.map(|(segment, fixed)| segment.steps.iter().zip(fixed).map(&mut command).collect()).collect::<Result<Vec<_>>>()
        };
        let commands: Commands = Arc::new(shared.gpu.guarded("binding states", make).await??);
        self.bound.keep(states.bindings(), fronts, commands.clone());
        Ok(commands)
    }
}

/// Whether a step reads or writes a state.
fn touches(plan: &Plan, step: &Step) -> bool {
    let in_state = |tensor: &usize| matches!(plan.tensors[plan.base(*tensor)].place, Place::State { .. });
    step.bindings.iter().any(in_state) || step.copies.iter().any(|copy| in_state(&copy.from))
}

/// The buffers of those segments that use theirs.
fn used(plan: &Plan, buffers: Vec<GpuBuffer>, uses: impl Fn(&Segment) -> bool) -> Vec<Option<GpuBuffer>> {
    buffers.into_iter().zip(&plan.segments).map(|(buffer, segment)| uses(segment).then_some(buffer)).collect()
}

impl Memory {
    /// What a kernel binds for one of the plan's tensors.
    fn bound<'a>(&'a self, shared: &'a Shared, states: Option<&'a StateBuffers>, tensor: usize) -> Result<Bound<'a>> {
        let planned = &shared.plan.tensors[tensor];
        Ok(match planned.place {
            // Repacked weights have a size of their own.
            Place::Weight(k) => shared.weights[k].bound(),
            Place::Own(k) => Bound::Buffer(self.own[k].range(planned.bytes)),
            Place::Slot { buffer, offset } => Bound::Buffer(Range { buffer: &self.shared[buffer], offset, bytes: planned.bytes }),
            Place::Texture(k) => Bound::Texture(&self.textures[k]),
            Place::Within { tensor, offset } => {
                let whole = self.range(shared, states, tensor)?;
                Bound::Buffer(Range { offset: whole.offset + offset, bytes: planned.bytes, ..whole })
            }
            Place::State { state, next } => {
                let states = states.ok_or_else(|| Error::internal("a plan with states is run without"))?;
                Bound::Buffer(states.buffer(&shared.plan.states[state], next)?.range(planned.bytes))
            }
        })
    }

    fn range<'a>(&'a self, shared: &'a Shared, states: Option<&'a StateBuffers>, tensor: usize) -> Result<Range<'a>> {
        match self.bound(shared, states, tensor)? {
            Bound::Buffer(range) => Ok(range),
            Bound::Texture(_) => Err(Error::internal("a texture where a buffer is expected")),
        }
    }

    fn command(&self, shared: &Shared, states: Option<&StateBuffers>, step: &Step, groups: &mut Groups) -> Result<Command> {
        let pipeline = &shared.pipelines[step.kernel];
        let group = match groups.entry(Bindings::new(shared, step)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(self.group(shared, states, step, pipeline)?),
        };
        let command = Command::new(pipeline, group, step.params_offset, step.grid);
        step.copies.iter().try_fold(command, |command, copy| match self.bound(shared, states, copy.to)? {
            Bound::Texture(to) => Ok(command.filling(to, self.range(shared, states, copy.from)?)),
            Bound::Buffer(_) => Err(Error::internal("a buffer where a texture is expected")),
        })
    }

    fn group(&self, shared: &Shared, states: Option<&StateBuffers>, step: &Step, pipeline: &Pipeline) -> Result<BindGroup> {
        let bound = step.bindings.iter().map(|&tensor| self.bound(shared, states, tensor));
        let mut bound = bound.collect::<Result<Vec<Bound>>>()?;
        let numbers = step.numbers.map(|(offset, bytes)| (u64::from(offset), u64::from(bytes)));
        bound.extend(numbers.map(|(offset, bytes)| Bound::Buffer(Range { buffer: &shared.params, offset, bytes })));
        Ok(shared.gpu.bind_group(pipeline, shared.params.range(u64::from(step.params_bytes)), &bound, &shared.tally))
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
