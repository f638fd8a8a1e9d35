//! From a graph with its nodes placed to the plan's buffers, transfers and steps.

use super::checks::of_inputs;
use super::constants::Constants;
use super::in_place::place;
use super::joins::Parts;
use super::options::PlanOptions;
use super::placement::{GpuNode, Placement};
use super::schedule::groups;
use super::scratch::{Scratch, ScratchTextures};
use super::slots::assign_slots;
use super::states::planned;
use super::tensors::Tensors;
use super::types::{HostNode, Memory, Plan, PlannedState, Segment, Step, TextureCopy, Written};
use super::uniforms::Uniforms;
use super::values::{Found, Values};
use crate::error::{Error, Result};
use crate::graph::{Graph, Node, ValueId};
use crate::kernel::{Access, Caps, Dispatch, Kernel, Operand, Table};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

impl Plan {
    /// The plan of a specialised graph.
    ///
    /// # Errors
    /// [`Limit`](crate::ErrorKind::Limit) when a tensor exceeds what the adapter can bind, naming it;
    /// [`Unsupported`](crate::ErrorKind::Unsupported) when a node must run on the host and the options forbid it.
    pub fn new(graph: &Graph, caps: &Caps, options: &PlanOptions) -> Result<Plan> {
        let (graph, given_checks) = match options.checks_inputs {
            true => of_inputs(graph)?,
            false => (Cow::Borrowed(graph), vec![]),
        };
        let graph = &*graph;
        let (placements, parts) = place(graph, caps, options)?;
        let mut assembly = Assembly::new(graph, caps, &placements, parts)?;
        assembly.values.reserve_states(&placements, &mut assembly.states, &mut assembly.tensors)?;
        assembly.values.reserve_outputs(&placements, &mut assembly.tensors)?;
        for group in groups(graph, &placements) {
            assembly.open();
            for &node in &group.gpu {
                if let Placement::Gpu(work) = &placements[node] {
                    assembly.dispatches(node, work).map_err(|e| e.at(&graph.nodes()[node].path))?;
                }
            }
            assembly.close(&group.host)?;
        }
        let plan = assembly.finish(caps.max_buffer, &options.resident)?;
        Ok(Plan { given_checks, ..plan })
    }
}

/// A plan as it is written, step by step.
struct Assembly<'a> {
    graph: &'a Graph,
    placements: &'a [Placement],
    tensors: Tensors<'a>,
    values: Values<'a>,
    constants: Constants<'a>,
    textures: ScratchTextures,
    uniforms: Uniforms,
    /// Each kernel once, and its place.
    kernels: Vec<Kernel>,
    places: HashMap<Kernel, usize>,
    segments: Vec<Segment>,
    states: Vec<PlannedState>,
}

/// A node whose dispatches are written.
struct Writing<'a> {
    node: &'a Node,
    work: &'a GpuNode,
    scratch: Scratch,
}

impl<'a> Assembly<'a> {
    fn new(graph: &'a Graph, caps: &'a Caps, placements: &'a [Placement], parts: Parts) -> Result<Self> {
        let states = graph.states().iter().map(|state| planned(graph, state)).collect::<Result<Vec<_>>>()?;
        Ok(Assembly {
            graph,
            placements,
            tensors: Tensors::new(caps),
            values: Values::new(graph, placements, &states, parts),
            states,
            constants: Constants::new(graph),
            textures: ScratchTextures::default(),
            uniforms: Uniforms::new(caps.uniform_alignment),
            kernels: Vec::new(),
            places: HashMap::new(),
            segments: Vec::new(),
        })
    }

    /// Begins a segment.
    fn open(&mut self) {
        self.segments.push(Segment::default());
        self.tensors.clock += 1;
    }

    fn segment(&mut self) -> &mut Segment {
        let last = self.segments.len() - 1;
        &mut self.segments[last]
    }

    /// Ends a segment: downloads what these host nodes read.
    fn close(&mut self, host: &[usize]) -> Result<()> {
        let graph = self.graph;
        for &node in host {
            for &value in graph.nodes()[node].inputs.iter().flatten() {
                self.download(value)?;
            }
            for &output in graph.nodes()[node].outputs.iter().flatten() {
                self.values.put_on_host(output);
            }
            if let Placement::Host(reason) = &self.placements[node] {
                let reason = reason.clone();
                self.segment().host.push(HostNode { node, reason });
            }
        }
        self.tensors.clock += 1;
        Ok(())
    }

    fn download(&mut self, value: ValueId) -> Result<()> {
        if self.values.is_on_host(value) {
            return Ok(());
        }
        let tensor = self.read(value)?;
        let transfer = self.values.transfer(value, tensor)?;
        self.segment().downloads.push(transfer);
        self.values.put_on_host(value);
        Ok(())
    }

    /// The tensor of a value that is read now; uploads it when only the host has it.
    fn read(&mut self, value: ValueId) -> Result<usize> {
        let root = self.values.root(value);
        if self.graph.constant(root).is_some() {
            return self.constants.value(root, None, false, &mut self.tensors);
        }
        let Found { tensor, upload } = self.values.read(value, &mut self.tensors)?;
        if let Some(upload) = upload {
            // It arrives before the first step of this segment, with all that lies beside what is read of it.
            let before_segment = self.tensors.clock - self.segment().steps.len() - 1;
            self.tensors.begin(upload.tensor, before_segment);
            self.segment().uploads.push(upload);
        }
        Ok(tensor)
    }

    /// Adds the dispatches of one node.
    fn dispatches(&mut self, index: usize, work: &GpuNode) -> Result<()> {
        let graph = self.graph;
        let mut writing = Writing { node: &graph.nodes()[index], work, scratch: Scratch::default() };
        for dispatch in &work.dispatches {
            let mut bindings = Vec::with_capacity(dispatch.bindings.len());
            let mut copies = Vec::new();
            for (&operand, &access) in dispatch.bindings.iter().zip(&dispatch.kernel.storage) {
                if operand != Operand::Numbers {
                    bindings.push(self.binding(&mut writing, operand, access, &mut copies)?);
                }
            }
            self.check_apart(&dispatch.kernel, &bindings)?;
            let step = Step { copies, bindings, ..self.step(index, work.variant, dispatch) };
            self.segment().steps.push(step);
            self.tensors.clock += 1;
        }
        if let (Some(_), Some(Some(whole))) = (writing.node.op.joins(), writing.node.outputs.first()) {
            // Its parts are there, even if there was nothing to dispatch.
            self.values.write(*whole, &mut self.tensors)?;
        }
        Ok(())
    }

    /// The tensor that a dispatch of a node binds.
    fn binding(
        &mut self,
        writing: &mut Writing<'_>,
        operand: Operand,
        access: Access,
        copies: &mut Vec<TextureCopy>,
    ) -> Result<usize> {
        let Writing { node, work, scratch } = writing;
        let input = |k: usize| {
            let id = node.inputs.get(k).copied().flatten();
            id.ok_or_else(|| Error::internal(format!("binding {operand:?} is left out")))
        };
        let (tensors, texture) = (&mut self.tensors, access.is_texture());
        let name = || format!("{operand:?} of {}", node.path);
        match operand {
            Operand::Input(_) | Operand::Epilogue(_) if access.writes() => {
                Err(Error::internal(format!("{operand:?} is bound for writing")))
            }
            Operand::Input(k) => self.input(input(k)?, texture, scratch, copies),
            Operand::Epilogue(k) => self.input(input(node.op.own_inputs(node.inputs.len()) + k)?, texture, scratch, copies),
            Operand::Packed(k) => {
                let packing = &work.packed[k];
                self.constants.value(input(packing.input)?, Some(packing), texture, tensors)
            }
            Operand::Table(k) => self.constants.table(&work.tables[k], texture, tensors),
            Operand::Nothing => self.constants.table(&Table { name: "nothing", numbers: vec![0; 4] }, access.is_texture(), tensors),
            Operand::Output(_) if texture => Err(Error::internal(format!("{operand:?} is bound as a texture"))),
            Operand::Output(k) => match node.outputs.get(k).copied().flatten() {
                Some(value) => self.values.write(value, tensors),
                None => {
                    let what = || (name(), work.outputs[k].gpu_bytes());
                    scratch.temporary(operand, access, tensors, &mut self.textures, what)
                }
            },
            Operand::Updated => match work.updates {
                Some((_, k)) => self.read(input(k)?),
                None => Err(Error::internal("nothing is updated in place")),
            },
            Operand::Temporary(k) => {
                scratch.temporary(operand, access, tensors, &mut self.textures, || (name(), work.temporaries[k]))
            }
            Operand::Numbers => Err(Error::internal("numbers are no tensor")),
        }
    }

    /// An input of a node: the buffer it lies in, or the texture that it is copied to once for the node.
    fn input(&mut self, value: ValueId, texture: bool, scratch: &mut Scratch, copies: &mut Vec<TextureCopy>) -> Result<usize> {
        let root = self.values.root(value);
        if !texture {
            return self.read(value);
        }
        if self.graph.constant(root).is_some() {
            return self.constants.value(root, None, true, &mut self.tensors);
        }
        if let Some(tensor) = scratch.copy(root, &mut self.tensors) {
            return Ok(tensor);
        }
        let from = self.read(value)?;
        let to = scratch.new_copy(root, from, &mut self.tensors, &mut self.textures)?;
        copies.push(TextureCopy { from, to });
        Ok(to)
    }

    /// WebGPU forbids a buffer that is both read and written, or written twice, in one dispatch.
    fn check_apart(&self, kernel: &Kernel, bindings: &[usize]) -> Result<()> {
        for (i, a) in bindings.iter().enumerate() {
            for (j, b) in bindings.iter().enumerate().skip(i + 1) {
                let (writes_a, writes_b) = (kernel.storage[i].writes(), kernel.storage[j].writes());
                let is_shared = self.tensors.base(*a) == self.tensors.base(*b);
                if (a == b && (writes_a || writes_b)) || (is_shared && writes_a != writes_b) {
                    let (shader, tensor) = (kernel.shader.name, &self.tensors.planned[*a].name);
                    return Err(Error::internal(format!("shader {shader} binds `{tensor}` twice, once for writing")));
                }
            }
        }
        Ok(())
    }

    /// A step that binds nothing yet.
    fn step(&mut self, node: usize, variant: &'static str, dispatch: &Dispatch) -> Step {
        let next = self.kernels.len();
        let kernel = *self.places.entry(dispatch.kernel.clone()).or_insert(next);
        if kernel == next {
            self.kernels.push(dispatch.kernel.clone());
        }
        let (params_offset, params_bytes) = self.uniforms.add(&dispatch.params);
        let numbers = dispatch.bindings.contains(&Operand::Numbers);
        let numbers = numbers.then(|| self.uniforms.add(bytemuck::cast_slice(&dispatch.numbers)));
        let (grid, work) = (dispatch.grid, dispatch.work);
        let (copies, bindings) = (vec![], vec![]);
        Step { node, variant, kernel, params_offset, params_bytes, numbers, copies, bindings, grid, work }
    }

    fn finish(mut self, max_buffer: u64, resident: &[ValueId]) -> Result<Plan> {
        self.values.finish_states(&mut self.states, &mut self.tensors)?;
        for (&output, state) in self.graph.outputs().iter().zip(self.graph.written_states()) {
            let in_state = state.is_some_and(|state| self.states[state].written != Written::Host);
            let stays = in_state || (resident.contains(&output) && self.values.stays(output, &self.tensors)?);
            if !stays {
                self.download(output)?;
            }
        }
        let mut checks = Vec::new();
        for (index, node) in self.graph.nodes().iter().enumerate() {
            if let (Some(_), Some(Some(word)), Placement::Gpu(_)) = (node.op.check(), node.outputs.first(), &self.placements[index])
            {
                self.download(*word)?;
                checks.push((index, *word));
            }
        }
        let roots = self.graph.outputs().iter().map(|id| self.values.root(*id)).collect();
        let outputs = self.graph.outputs().iter().map(|id| self.values.output(*id, &self.tensors)).collect::<Result<_>>()?;
        let Tensors { planned: tensors, lifetimes, largest_binding, .. } = self.tensors;
        let (own, textures) = (self.values.own, self.textures.0);
        let states = self.states.iter().map(|state| state.read_bytes() + state.result_bytes()).sum();
        let memory =
            Memory { own: own.iter().sum(), states, textures: textures.iter().sum(), largest_binding, ..Memory::default() };
        let mut plan = Plan {
            graph: Arc::new(self.graph.clone()),
            kernels: self.kernels,
            params: self.uniforms.bytes,
            tensors,
            weights: self.constants.weights,
            own,
            shared: vec![],
            textures,
            segments: self.segments,
            outputs,
            roots,
            checks,
            given_checks: vec![],
            states: self.states,
            variants: of_nodes(self.placements, |work| work.variants.clone()),
            declined: of_nodes(self.placements, |work| work.declined.clone()),
            chosen: of_nodes(self.placements, |work| work.chosen),
            memory,
        };
        assign_slots(&mut plan, &lifetimes, max_buffer);
        Ok(plan)
    }
}

/// For each node, what `tell` says of its dispatches.
fn of_nodes<T: Default>(placements: &[Placement], tell: impl Fn(&GpuNode) -> T) -> Vec<T> {
    placements.iter().map(|placement| if let Placement::Gpu(work) = placement { tell(work) } else { T::default() }).collect()
}
