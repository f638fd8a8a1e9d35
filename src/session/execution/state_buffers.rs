//! The contents of a set of states: on the host, or in buffers on the device that belong to no instance.

use super::bound_states::Bindings;
use super::shared::Shared;
use crate::error::{Error, ErrorKind, Result};
use crate::gpu::{Copy, Gpu, GpuBuffer, Recording, Role, Tally};
use crate::graph::{Graph, ValueId};
use crate::plan::{Plan, PlannedState, Written};
use crate::session::data::elements::widen;
use crate::session::data::held::{GpuTensor, Held};
use crate::tensor::{Scalar, Tensor, TensorType};

/// What a set of states holds. Runs of one set follow each other; plans of any shapes may do them.
pub(crate) struct StateBuffers {
    states: Vec<StateBuffer>,
    /// The device that buffers lie on.
    gpu: Option<Gpu>,
    /// By what instances know the buffers.
    bindings: Bindings,
    /// The number of the run that is going on or was the last.
    pub run: u64,
    /// That run may have written, and has not ended.
    is_writing: bool,
}

/// What one state holds.
struct StateBuffer {
    name: String,
    input: ValueId,
    /// What it holds, unless only the device knows.
    host: Option<Tensor>,
    /// What the front buffer holds, unless only the host knows.
    device: Option<(TensorType, Scalar)>,
    /// One that is read, and one that is written where a plan writes elsewhere than it reads.
    buffers: [Option<GpuBuffer>; 2],
    /// Which of them is read.
    front: usize,
    /// The run in which the contents were lost.
    lost: Option<u64>,
    /// The run that is going on writes the front buffer.
    is_overwritten: bool,
}

impl StateBuffer {
    fn has_contents(&self) -> bool {
        self.host.is_some() || self.device.is_some()
    }

    fn lose(&mut self, run: u64) {
        self.device = None;
        if self.host.is_none() {
            self.lost = self.lost.or(Some(run));
        }
    }

    /// The buffer at `side`, with room for so many bytes, which perhaps must be made.
    async fn room(&self, side: usize, bytes: u64, gpu: &Gpu, tally: &Tally) -> Result<Option<GpuBuffer>> {
        let size = match self.buffers[side].as_ref().map(GpuBuffer::size) {
            Some(size) if size >= bytes => return Ok(None),
            // What grew once grows on.
            Some(_) => (bytes + bytes / 2).next_multiple_of(16).min(gpu.caps().max_buffer).max(bytes),
            None => bytes,
        };
        gpu.buffer(&self.name, size, Role::Storage, tally).await.map(Some)
    }
}

fn lost(name: &str, run: u64) -> Error {
    Error::new(ErrorKind::StateLost, format!("state `{name}` was lost in run {run}; set or reset it"))
}

impl StateBuffers {
    /// States of these inputs, each with what it holds at first, if that is known.
    pub(crate) fn new(states: impl Iterator<Item = (String, ValueId, Option<Tensor>)>) -> Self {
        let state = |(name, input, host)| StateBuffer {
            name,
            input,
            host,
            device: None,
            buffers: [None, None],
            front: 0,
            lost: None,
            is_overwritten: false,
        };
        StateBuffers { states: states.map(state).collect(), gpu: None, bindings: Bindings::default(), run: 0, is_writing: false }
    }

    /// The states of a graph as they are before the first run.
    pub(crate) fn of(graph: &Graph) -> Result<Self> {
        let start = |state: &crate::graph::State| {
            let input = graph.state_input(state)?;
            Ok((state.name.clone(), state.input, state.start(input)))
        };
        Ok(StateBuffers::new(graph.states().iter().map(start).collect::<Result<Vec<_>>>()?.into_iter()))
    }

    /// What instances know the buffers by.
    pub(super) fn bindings(&self) -> &Bindings {
        &self.bindings
    }

    fn place(&self, input: ValueId) -> Result<usize> {
        let found = self.states.iter().position(|state| state.input == input);
        found.ok_or_else(|| Error::internal("a plan has a state that the run has not"))
    }

    /// Which of the two buffers of each state of a plan is read.
    pub(super) fn fronts(&self, plan: &Plan) -> Result<Vec<usize>> {
        plan.states.iter().map(|state| Ok(self.states[self.place(state.input)?].front)).collect()
    }

    /// The buffer that a plan reads a state from, or writes it to.
    pub(crate) fn buffer(&self, planned: &PlannedState, next: bool) -> Result<&GpuBuffer> {
        let state = &self.states[self.place(planned.input)?];
        let buffer = state.buffers[state.front ^ usize::from(next)].as_ref();
        buffer.ok_or_else(|| Error::internal(format!("state `{}` has no buffer", state.name)))
    }

    /// What the state of an input holds, where it lies.
    ///
    /// # Errors
    /// [`StateLost`](ErrorKind::StateLost) with the number of the run in which it was; [`InvalidInput`](ErrorKind::InvalidInput)
    /// for a state that was never set.
    pub(crate) fn held(&self, input: ValueId) -> Result<Held<'static>> {
        let state = &self.states[self.place(input)?];
        let name = &state.name;
        if let Some(run) = state.lost {
            return Err(lost(name, run));
        }
        if let Some(tensor) = &state.host {
            return Ok(Held::host(tensor.clone()));
        }
        match (&state.device, &state.buffers[state.front]) {
            (Some((ty, scalar)), Some(buffer)) => Ok(Held::gpu(GpuTensor {
                ty: ty.clone(),
                scalar: *scalar,
                bounds: None,
                buffer: buffer.clone(),
                offset: 0,
                _keeper: None,
            })),
            _ => Err(Error::invalid_input(format!("state `{name}` has open extents; set it before the first run"))),
        }
    }

    /// As [`held`](StateBuffers::held), after a look at whether it is lost by now.
    pub(crate) fn held_now(&self, input: ValueId) -> Result<Held<'static>> {
        let gone = self.is_writing || self.gpu.as_ref().is_some_and(Gpu::is_lost);
        let state = &self.states[self.place(input)?];
        match gone && state.host.is_none() && state.device.is_some() {
            true => Err(lost(&state.name, self.run)),
            false => self.held(input),
        }
    }

    /// The device that something lies on.
    pub(crate) fn device(&self) -> Option<&Gpu> {
        self.gpu.as_ref()
    }

    /// Replaces what a state holds.
    pub(crate) fn set(&mut self, input: ValueId, tensor: Option<Tensor>) -> Result<()> {
        self.settle();
        let place = self.place(input)?;
        let state = &mut self.states[place];
        (state.host, state.device, state.lost) = (tensor, None, None);
        Ok(())
    }

    /// Makes sure that a plan finds on its device what it reads, and room for what it writes.
    pub(crate) async fn prepare(&mut self, shared: &Shared) -> Result<()> {
        let Shared { plan, gpu, tally, .. } = shared;
        self.move_to(gpu)?;
        let mut made = Vec::new();
        for planned in plan.states.iter().filter(|planned| planned.scalar.is_some()) {
            let place = self.place(planned.input)?;
            let state = &self.states[place];
            let front = if state.device.is_some() { 0 } else { planned.read_bytes() };
            for (side, bytes) in [(state.front, front), (1 - state.front, planned.result_bytes())] {
                if bytes > 0 {
                    made.extend(state.room(side, bytes, gpu, tally).await?.map(|buffer| (place, side, buffer)));
                }
            }
        }
        self.take(made);
        for planned in &plan.states {
            let (place, Some(scalar)) = (self.place(planned.input)?, planned.scalar) else { continue };
            let state = &mut self.states[place];
            if let (None, Some(tensor), Some(buffer)) = (&state.device, &state.host, &state.buffers[state.front]) {
                let mut bytes = Vec::new();
                widen(tensor.dtype(), tensor.bytes(), &mut bytes);
                gpu.write(buffer, 0, &bytes);
                state.device = Some((tensor.ty().clone(), scalar));
            }
        }
        Ok(())
    }

    /// Puts buffers in their places; what was bound to others is of no use then.
    fn take(&mut self, made: Vec<(usize, usize, GpuBuffer)>) {
        if !made.is_empty() {
            self.bindings.renew();
        }
        made.into_iter().for_each(|(place, side, buffer)| self.states[place].buffers[side] = Some(buffer));
    }

    /// Leaves another device, from which nothing can be brought along.
    fn move_to(&mut self, gpu: &Gpu) -> Result<()> {
        match &self.gpu {
            Some(known) if known.is(gpu) => return Ok(()),
            Some(known) if !known.is_lost() && self.states.iter().any(|state| state.host.is_none() && state.device.is_some()) => {
                return Err(Error::new(ErrorKind::DeviceLost, "the states of a run lie on another device"));
            }
            _ => {}
        }
        for state in &mut self.states {
            (state.buffers, state.front, state.device) = ([None, None], 0, None);
        }
        self.bindings.renew();
        self.gpu = Some(gpu.clone());
        Ok(())
    }

    /// From here on a run may write, and in the last segment of a plan over what it reads.
    pub(super) fn begin_writing(&mut self, plan: &Plan, last: bool) -> Result<()> {
        self.is_writing |= last;
        for planned in plan.states.iter().filter(|planned| last && planned.written == Written::InPlace) {
            let place = self.place(planned.input)?;
            self.states[place].is_overwritten = planned.input != planned.output;
        }
        Ok(())
    }

    /// The states hold what a plan wrote, beside those that it left to the host.
    pub(crate) fn flip(&mut self, plan: &Plan) -> Result<()> {
        for planned in &plan.states {
            let place = self.place(planned.input)?;
            let (state, Some(scalar)) = (&mut self.states[place], planned.scalar) else { continue };
            match planned.written {
                Written::Host => continue,
                Written::InPlace if planned.input == planned.output => continue,
                Written::InPlace => {}
                Written::Swapped | Written::Copied(_) => state.front = 1 - state.front,
            }
            (state.host, state.device) = (None, Some((planned.result.clone(), scalar)));
        }
        Ok(())
    }

    /// The states of these inputs hold these tensors from now on. Those on the device are copied, all of them or none.
    pub(crate) async fn store(&mut self, tensors: &[(ValueId, Held<'_>)], gpu: &Gpu, tally: &Tally) -> Result<()> {
        let (mut made, mut host) = (Vec::new(), Vec::new());
        for (input, held) in tensors {
            let place = self.place(*input)?;
            let on_device = held.on_gpu().filter(|tensor| held.on_host().is_none() && tensor.ty.dtype.size() <= 4);
            match on_device {
                None => host.push((place, held.tensor(gpu, tally).await?)),
                Some(tensor) => {
                    let (state, bytes) = (&self.states[place], tensor.bytes().max(1).next_multiple_of(16));
                    let side = 1 - state.front;
                    made.extend(state.room(side, bytes, gpu, tally).await?.map(|buffer| (place, side, buffer)));
                }
            }
        }
        self.take(made);
        let mut copies = Vec::new();
        let mut copied = Vec::new();
        for (input, held) in tensors {
            let place = self.place(*input)?;
            let Some(tensor) = held.on_gpu().filter(|_| host.iter().all(|(on_host, _)| *on_host != place)) else { continue };
            let back = self.states[place].buffers[1 - self.states[place].front].as_ref();
            let to = back.ok_or_else(|| Error::internal("a state without a second buffer"))?;
            copies.push(Copy { from: tensor.range(), to, offset: 0 });
            copied.push((place, tensor.ty.clone(), tensor.scalar));
        }
        if !copies.is_empty() {
            gpu.submit_and_wait(&Recording { after: &copies, ..Recording::default() }).await?;
        }
        for (place, ty, scalar) in copied {
            let state = &mut self.states[place];
            (state.front, state.host, state.device) = (1 - state.front, None, Some((ty, scalar)));
        }
        for (place, tensor) in host {
            (self.states[place].host, self.states[place].device) = (Some(tensor), None);
        }
        Ok(())
    }

    /// The run that is going on writes over nothing after all.
    pub(super) fn spare(&mut self) {
        self.states.iter_mut().for_each(|state| state.is_overwritten = false);
    }

    /// A run ended: well, or so that what it wrote over is lost.
    pub(crate) fn end(&mut self, well: bool) {
        self.is_writing = false;
        let run = self.run;
        for state in &mut self.states {
            if std::mem::take(&mut state.is_overwritten) && !well {
                state.lose(run);
            }
        }
    }

    /// Finds out what is lost: with a device, or since a run never ended.
    pub(crate) fn settle(&mut self) {
        let lost = self.gpu.as_ref().is_some_and(Gpu::is_lost);
        let run = self.run;
        if std::mem::take(&mut self.is_writing) || lost {
            self.states.iter_mut().filter(|state| state.has_contents()).for_each(|state| state.lose(run));
        }
        if lost {
            self.gpu = None;
            self.bindings.renew();
            self.states.iter_mut().for_each(|state| (state.buffers, state.front) = ([None, None], 0));
        }
    }

    /// Whether everything that was there is there still.
    pub(crate) fn is_sound(&self) -> bool {
        self.states.iter().all(|state| state.lost.is_none())
    }
}
