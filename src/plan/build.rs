//! From a graph with its nodes placed to the plan's buffers, transfers and steps.

use super::memory::{Demand, assign, lower_bound};
use super::placement::{GpuNode, Placement, place};
use super::schedule::groups;
use super::{Chosen, HostNode, Memory, Options, Place, Plan, PlannedTensor, Segment, Step, TextureCopy, Transfer, Weight};
use crate::error::{Error, Result};
use crate::graph::{Graph, ValueId};
use crate::kernel::{Access, Caps, Kernel, Operand, Packing, TEXTURE_WIDTH, Table};
use crate::tensor::{Scalar, Tensor};
use std::collections::HashMap;
use std::sync::Arc;

/// Buffers are whole vectors of four elements, so that kernels may bind them as such.
const GRANULE: u64 = 16;

pub(super) fn plan(graph: &Graph, caps: &Caps, options: &Options) -> Result<Plan> {
    let placements = place(graph, caps, options)?;
    let mut builder = Builder::new(graph, caps, &placements);
    builder.outputs()?;
    for group in groups(graph, &placements) {
        builder.open();
        for &node in &group.gpu {
            if let Placement::Gpu(work) = &placements[node] {
                builder.dispatches(node, work).map_err(|e| e.at(&graph.nodes()[node].path))?;
            }
        }
        builder.close(&group.host)?;
    }
    builder.finish()
}

/// Name and arguments of a [`Packing`], if any, and whether it is a texture.
type Layout = (Option<(&'static str, Vec<u32>)>, bool);

struct Builder<'a> {
    graph: &'a Graph,
    caps: &'a Caps,
    placements: &'a [Placement],
    /// For each value, the one whose buffer it shares.
    root: Vec<ValueId>,
    /// For each root, its tensor on the GPU.
    tensor: Vec<Option<usize>>,
    is_input: Vec<bool>,
    /// For each value, whether the host holds it by now.
    on_host: Vec<bool>,
    /// For each root, whether the GPU holds it by now.
    on_gpu: Vec<bool>,
    /// For each tensor, the steps from which and until which it lives.
    lifetimes: Vec<(usize, usize)>,
    weights: HashMap<(ValueId, Layout), usize>,
    /// Tables of kernels, whether each is a texture, and its tensor.
    tables: Vec<(Table, bool, usize)>,
    kernels: HashMap<Kernel, usize>,
    /// The next step; transfers count as one.
    clock: usize,
    plan: Plan,
}

/// What one node has in memory for itself.
#[derive(Default)]
struct Scratch {
    tensors: HashMap<Operand, usize>,
    /// The textures that inputs are copied to.
    copied: HashMap<ValueId, usize>,
    textures: usize,
}

impl Scratch {
    /// The place of one more texture.
    fn texture(&mut self) -> Place {
        self.textures += 1;
        Place::Texture(self.textures - 1)
    }
}

/// A slot that is not assigned yet.
const LATER: Place = Place::Slot { buffer: usize::MAX, offset: 0 };

impl<'a> Builder<'a> {
    fn new(graph: &'a Graph, caps: &'a Caps, placements: &'a [Placement]) -> Self {
        let count = graph.values().len();
        let mut root: Vec<ValueId> = (0..count).map(ValueId).collect();
        for (node, placement) in graph.nodes().iter().zip(placements) {
            if let (Placement::Alias(input), Some(Some(output))) = (placement, node.outputs.first()) {
                root[output.index()] = root[input.index()];
            }
        }
        let mut is_input = vec![false; count];
        graph.inputs().iter().for_each(|i| is_input[i.value.index()] = true);
        let constant = graph.values().iter().map(|v| v.constant.is_some());
        let on_host = constant.zip(&is_input).map(|(constant, input)| constant || *input).collect();
        let variants =
            placements.iter().map(|p| if let Placement::Gpu(work) = p { work.variants.clone() } else { vec![] }).collect();
        let declined =
            placements.iter().map(|p| if let Placement::Gpu(work) = p { work.declined.clone() } else { vec![] }).collect();
        let chosen = placements.iter().map(|p| if let Placement::Gpu(work) = p { work.chosen } else { Chosen::Table }).collect();
        Builder {
            graph,
            caps,
            placements,
            root,
            tensor: vec![None; count],
            is_input,
            on_host,
            on_gpu: vec![false; count],
            lifetimes: Vec::new(),
            weights: HashMap::new(),
            tables: Vec::new(),
            kernels: HashMap::new(),
            clock: 0,
            plan: Plan {
                graph: Arc::new(graph.clone()),
                kernels: vec![],
                params: vec![],
                tensors: vec![],
                weights: vec![],
                own: vec![],
                shared: vec![],
                textures: vec![],
                segments: vec![],
                outputs: vec![],
                variants,
                declined,
                chosen,
                memory: Memory::default(),
            },
        }
    }

    /// Gives every output that a kernel makes a buffer of its own.
    fn outputs(&mut self) -> Result<()> {
        let mut made_by_gpu = vec![false; self.graph.values().len()];
        for (node, placement) in self.graph.nodes().iter().zip(self.placements) {
            for output in node.outputs.iter().flatten() {
                made_by_gpu[output.index()] = matches!(placement, Placement::Gpu(_));
            }
        }
        for &output in self.graph.outputs() {
            let root = self.root[output.index()];
            if made_by_gpu[root.index()] && self.tensor[root.index()].is_none() {
                self.own(root)?;
            }
        }
        Ok(())
    }

    fn own(&mut self, root: ValueId) -> Result<usize> {
        let place = Place::Own(self.plan.own.len());
        let tensor = self.value_tensor(root, place)?;
        self.plan.own.push(self.plan.tensors[tensor].bytes);
        Ok(tensor)
    }

    fn value_tensor(&mut self, root: ValueId, place: Place) -> Result<usize> {
        let bytes = self.graph.fact(root)?.gpu_bytes();
        let tensor = self.tensor(self.graph.value(root).name.clone(), bytes, place)?;
        self.tensor[root.index()] = Some(tensor);
        Ok(tensor)
    }

    /// A new tensor, after a check against what the adapter can bind.
    fn tensor(&mut self, name: String, bytes: u64, place: Place) -> Result<usize> {
        let bytes = bytes.max(1).next_multiple_of(GRANULE);
        let limit = self.caps.max_storage_binding.min(self.caps.max_buffer);
        if bytes > limit {
            let message = format!(
                "`{name}` takes {bytes} bytes on the GPU, but {} can bind at most {limit}; use smaller inputs, or the CPU",
                self.caps
            );
            return Err(Error::limit(message));
        }
        self.plan.memory.largest_binding = self.plan.memory.largest_binding.max(bytes);
        self.plan.tensors.push(PlannedTensor { name, bytes, place });
        self.lifetimes.push((self.clock, self.clock));
        Ok(self.plan.tensors.len() - 1)
    }

    fn open(&mut self) {
        self.plan.segments.push(Segment::default());
        self.clock += 1;
    }

    fn segment(&mut self) -> &mut Segment {
        let last = self.plan.segments.len() - 1;
        &mut self.plan.segments[last]
    }

    /// The tensor that a kernel reads now; uploads it when only the host has it.
    fn read(&mut self, value: ValueId) -> Result<usize> {
        let root = self.root[value.index()];
        if self.graph.constant(root).is_some() {
            return self.weight(root, None, false);
        }
        let tensor = match self.tensor[root.index()] {
            Some(tensor) => tensor,
            None if self.is_input[root.index()] => self.own(root)?,
            None => self.value_tensor(root, LATER)?,
        };
        if !self.on_gpu[root.index()] && self.on_host[root.index()] {
            let transfer = self.transfer(root, tensor)?;
            // It arrives before the first step of this segment.
            self.lifetimes[tensor].0 = self.clock - self.segment().steps.len() - 1;
            self.segment().uploads.push(transfer);
            self.on_gpu[root.index()] = true;
        }
        if !self.on_gpu[root.index()] && self.graph.fact(root)?.ty.elements() > 0 {
            return Err(Error::internal(format!("no dispatch writes `{}`", self.graph.value(root).name)));
        }
        self.lifetimes[tensor].1 = self.clock;
        Ok(tensor)
    }

    fn write(&mut self, value: ValueId) -> Result<usize> {
        let tensor = match self.tensor[value.index()] {
            Some(tensor) => tensor,
            None => self.value_tensor(value, LATER)?,
        };
        self.on_gpu[value.index()] = true;
        self.lifetimes[tensor].1 = self.clock;
        Ok(tensor)
    }

    fn transfer(&self, value: ValueId, tensor: usize) -> Result<Transfer> {
        let fact = self.graph.fact(value)?;
        let scalar = fact.scalar().ok_or_else(|| Error::internal(format!("`{}` has no GPU form", self.graph.value(value).name)))?;
        Ok(Transfer { value, ty: fact.ty.clone(), scalar, tensor })
    }

    fn weight(&mut self, value: ValueId, packing: Option<&Packing>, texture: bool) -> Result<usize> {
        let key = (value, (packing.map(|p| (p.layout, p.arguments.clone())), texture));
        if let Some(tensor) = self.weights.get(&key) {
            return Ok(*tensor);
        }
        let fact = self.graph.fact(value)?;
        let name = self.graph.value(value).name.clone();
        let (Some(scalar), Some(tensor)) = (fact.scalar(), self.graph.constant(value)) else {
            return Err(Error::internal(format!("`{name}` is no constant with a GPU form")));
        };
        let weight = Weight { name: name.clone(), tensor: tensor.clone(), scalar, packing: packing.cloned(), texture };
        let tensor = self.tensor(name, fact.gpu_bytes(), Place::Weight(self.plan.weights.len()))?;
        self.plan.weights.push(weight);
        self.weights.insert(key, tensor);
        Ok(tensor)
    }

    /// Adds the dispatches of one node.
    fn dispatches(&mut self, node: usize, work: &GpuNode) -> Result<()> {
        let mut scratch = Scratch::default();
        for dispatch in &work.dispatches {
            let mut bindings = Vec::with_capacity(dispatch.bindings.len());
            let mut copies = Vec::new();
            for (&operand, &access) in dispatch.bindings.iter().zip(&dispatch.kernel.storage) {
                if operand != Operand::Numbers {
                    bindings.push(self.binding(node, work, operand, access, &mut scratch, &mut copies)?);
                }
            }
            self.disjoint(&dispatch.kernel, &bindings)?;
            let step = Step { copies, ..self.step(node, work.variant, dispatch, bindings) };
            self.segment().steps.push(step);
            self.clock += 1;
        }
        Ok(())
    }

    /// The tensor that a dispatch of a node binds.
    fn binding(
        &mut self,
        node: usize,
        work: &GpuNode,
        operand: Operand,
        access: Access,
        scratch: &mut Scratch,
        copies: &mut Vec<TextureCopy>,
    ) -> Result<usize> {
        let node = &self.graph.nodes()[node];
        let input = |k: usize| {
            let id = node.inputs.get(k).copied().flatten();
            id.ok_or_else(|| Error::internal(format!("binding {operand:?} is left out")))
        };
        match operand {
            Operand::Input(_) | Operand::Epilogue(_) if access.writes() => {
                Err(Error::internal(format!("{operand:?} is bound for writing")))
            }
            Operand::Input(k) => self.input(input(k)?, access, scratch, copies),
            Operand::Epilogue(k) => self.input(input(node.op.own_inputs(node.inputs.len()) + k)?, access, scratch, copies),
            Operand::Packed(k) => {
                let packing = &work.packed[k];
                self.weight(input(packing.input)?, Some(packing), access.is_texture())
            }
            Operand::Table(k) => self.table(&work.tables[k], access.is_texture()),
            Operand::Nothing => self.table(&Table { name: "nothing", numbers: vec![0; 4] }, false),
            Operand::Output(_) if access.is_texture() => Err(Error::internal(format!("{operand:?} is bound as a texture"))),
            Operand::Output(k) => match node.outputs.get(k).copied().flatten() {
                Some(value) => self.write(value),
                None => {
                    self.scratch(operand, format!("{operand:?} of {}", node.path), work.outputs[k].gpu_bytes(), access, scratch)
                }
            },
            Operand::Temporary(k) => {
                self.scratch(operand, format!("{operand:?} of {}", node.path), work.temporaries[k], access, scratch)
            }
            Operand::Numbers => Err(Error::internal("numbers are no tensor")),
        }
    }

    /// An input of a node: where it lies, or the texture that it is copied to once for the node.
    fn input(&mut self, value: ValueId, access: Access, scratch: &mut Scratch, copies: &mut Vec<TextureCopy>) -> Result<usize> {
        let root = self.root[value.index()];
        if !access.is_texture() {
            return self.read(value);
        }
        if self.graph.constant(root).is_some() {
            return self.weight(root, None, true);
        }
        if let Some(&tensor) = scratch.copied.get(&root) {
            self.lifetimes[tensor].1 = self.clock;
            return Ok(tensor);
        }
        let from = self.read(value)?;
        let name = format!("{} as a texture", self.plan.tensors[from].name);
        let to = self.tensor(name, self.plan.tensors[from].bytes, scratch.texture())?;
        self.texture(to, true)?;
        copies.push(TextureCopy { from, to });
        scratch.copied.insert(root, to);
        Ok(to)
    }

    /// Memory that one node needs for itself.
    fn scratch(&mut self, operand: Operand, name: String, bytes: u64, access: Access, scratch: &mut Scratch) -> Result<usize> {
        let tensor = match scratch.tensors.get(&operand) {
            Some(tensor) => *tensor,
            None => {
                let place = if access.is_texture() { scratch.texture() } else { LATER };
                self.tensor(name, bytes, place)?
            }
        };
        self.texture(tensor, access.is_texture())?;
        scratch.tensors.insert(operand, tensor);
        self.lifetimes[tensor].1 = self.clock;
        Ok(tensor)
    }

    /// Numbers of a kernel's own, once for all that are equal.
    fn table(&mut self, table: &Table, texture: bool) -> Result<usize> {
        if let Some((.., tensor)) = self.tables.iter().find(|(known, in_texture, _)| known == table && *in_texture == texture) {
            return Ok(*tensor);
        }
        let contents = Tensor::new([table.numbers.len()], &table.numbers)?;
        let bytes = 4 * table.numbers.len() as u64;
        let tensor = self.tensor(table.name.into(), bytes, Place::Weight(self.plan.weights.len()))?;
        let name = table.name.to_string();
        self.plan.weights.push(Weight { name, tensor: contents, scalar: Scalar::U32, packing: None, texture });
        self.tables.push((table.clone(), texture, tensor));
        Ok(tensor)
    }

    /// Makes sure that a scratch texture is bound as one, and that its slot holds it.
    fn texture(&mut self, tensor: usize, bound: bool) -> Result<()> {
        let planned = &self.plan.tensors[tensor];
        let Place::Texture(slot) = planned.place else {
            return if bound {
                Err(Error::internal(format!("`{}` is a buffer, bound as a texture", planned.name)))
            } else {
                Ok(())
            };
        };
        if !bound {
            return Err(Error::internal(format!("`{}` is a texture, bound as a buffer", planned.name)));
        }
        let bytes = planned.bytes.next_multiple_of(u64::from(TEXTURE_WIDTH) * 16);
        if slot == self.plan.textures.len() {
            self.plan.textures.push(bytes);
        }
        self.plan.textures[slot] = self.plan.textures[slot].max(bytes);
        Ok(())
    }

    /// WebGPU forbids a buffer that is both read and written, or written twice, in one dispatch.
    fn disjoint(&self, kernel: &Kernel, bindings: &[usize]) -> Result<()> {
        for (i, a) in bindings.iter().enumerate() {
            for (j, b) in bindings.iter().enumerate().skip(i + 1) {
                if a == b && (kernel.storage[i].writes() || kernel.storage[j].writes()) {
                    return Err(Error::internal(format!(
                        "shader {} binds `{}` twice, once for writing",
                        kernel.shader.name, self.plan.tensors[*a].name
                    )));
                }
            }
        }
        Ok(())
    }

    fn step(&mut self, node: usize, variant: &'static str, dispatch: &crate::kernel::Dispatch, bindings: Vec<usize>) -> Step {
        let next = self.plan.kernels.len();
        let kernel = *self.kernels.entry(dispatch.kernel.clone()).or_insert(next);
        if kernel == next {
            self.plan.kernels.push(dispatch.kernel.clone());
        }
        let (params_offset, params_bytes) = self.uniform(&dispatch.params);
        let numbers = dispatch.bindings.contains(&Operand::Numbers);
        let numbers = numbers.then(|| self.uniform(bytemuck::cast_slice(&dispatch.numbers)));
        Step {
            node,
            variant,
            kernel,
            params_offset,
            params_bytes,
            numbers,
            copies: vec![],
            bindings,
            grid: dispatch.grid,
            work: dispatch.work,
        }
    }

    /// Places what a step binds as a uniform; returns its offset and size.
    fn uniform(&mut self, contents: &[u8]) -> (u32, u32) {
        let offset = self.plan.params.len();
        let bytes = contents.len().max(1).next_multiple_of(GRANULE as usize);
        self.plan.params.extend(contents);
        self.plan.params.resize((offset + bytes).next_multiple_of(self.caps.uniform_alignment as usize), 0);
        (offset as u32, bytes as u32)
    }

    /// Ends a segment: downloads what these host nodes read.
    fn close(&mut self, host: &[usize]) -> Result<()> {
        for &node in host {
            for &value in self.graph.nodes()[node].inputs.iter().flatten() {
                self.download(value)?;
            }
            for output in self.graph.nodes()[node].outputs.iter().flatten() {
                self.on_host[output.index()] = true;
            }
            if let Placement::Host(reason) = &self.placements[node] {
                let reason = reason.clone();
                self.segment().host.push(HostNode { node, reason });
            }
        }
        self.clock += 1;
        Ok(())
    }

    fn download(&mut self, value: ValueId) -> Result<()> {
        if self.on_host[value.index()] {
            return Ok(());
        }
        let tensor = self.read(value)?;
        let transfer = self.transfer(value, tensor)?;
        self.segment().downloads.push(transfer);
        self.on_host[value.index()] = true;
        Ok(())
    }

    fn finish(mut self) -> Result<Plan> {
        for &output in self.graph.outputs() {
            self.download(output)?;
        }
        for &output in self.graph.outputs() {
            let owned = |t: &usize| matches!(self.plan.tensors[*t].place, Place::Own(_));
            let tensor = self.tensor[self.root[output.index()].index()].filter(owned);
            let transfer = tensor.map(|tensor| self.transfer(output, tensor)).transpose()?;
            self.plan.outputs.push(transfer);
        }
        self.assign();
        self.plan.memory.textures = self.plan.textures.iter().sum();
        self.plan.memory.own = self.plan.own.iter().sum();
        Ok(self.plan)
    }
    /// Gives the tensors that share buffers their places.
    fn assign(&mut self) {
        let tensors = &self.plan.tensors;
        let shared: Vec<usize> = (0..tensors.len()).filter(|t| tensors[*t].place == LATER).collect();
        let mut number = vec![None; tensors.len()];
        shared.iter().enumerate().for_each(|(k, t)| number[*t] = Some(k));
        let demand =
            |t: &usize| Demand { first: self.lifetimes[*t].0, last: self.lifetimes[*t].1, bytes: tensors[*t].bytes, apart: vec![] };
        let mut demands: Vec<Demand> = shared.iter().map(demand).collect();
        for step in self.plan.steps() {
            let storage = &self.plan.kernels[step.kernel].storage;
            for (a, _) in step.bindings.iter().zip(storage).filter(|(_, access)| access.writes()) {
                for b in step.bindings.iter().filter(|b| *b != a) {
                    if let (Some(a), Some(b)) = (number[*a], number[*b]) {
                        demands[a].apart.push(b);
                        demands[b].apart.push(a);
                    }
                }
            }
        }
        let assignment = assign(&demands, self.caps.max_buffer);
        for (tensor, &(buffer, offset)) in shared.into_iter().zip(&assignment.places) {
            self.plan.tensors[tensor].place = Place::Slot { buffer, offset };
        }
        self.plan.memory.peak = assignment.buffers.iter().sum();
        self.plan.memory.lower_bound = lower_bound(&demands);
        self.plan.shared = assignment.buffers;
    }
}
