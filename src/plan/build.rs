//! From a graph with its nodes placed to the plan's buffers, transfers and steps.

use super::memory::{Lifetime, assign, lower_bound};
use super::placement::{GpuNode, Placement, place};
use super::schedule::groups;
use super::{Binding, HostNode, Memory, Options, Place, Plan, Segment, Step, Transfer, Weight};
use crate::error::{Error, Result};
use crate::graph::{Graph, ValueId};
use crate::kernel::{Access, Caps, Kernel, Operand, Packing};
use std::collections::HashMap;
use std::sync::Arc;

/// Buffers are whole vectors of four elements, so that kernels may bind them as such.
const GRANULE: u64 = 16;

pub(super) fn plan(graph: &Graph, caps: &Caps, options: &Options) -> Result<Plan> {
    let placements = place(graph, caps, options)?;
    let mut builder = Builder::new(graph, caps, &placements);
    builder.inputs_and_outputs()?;
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

/// Storage that is not yet assigned to a buffer: a virtual slot.
const VIRTUAL: fn(usize) -> Place = Place::Slot;

struct Builder<'a> {
    graph: &'a Graph,
    caps: &'a Caps,
    placements: &'a [Placement],
    /// For each value, the one whose buffer it shares.
    root: Vec<ValueId>,
    /// For each root, where it lies. Slots are virtual until `finish`: indices into `lifetimes`.
    places: Vec<Option<Place>>,
    /// For each value, whether the host holds it by now.
    on_host: Vec<bool>,
    /// For each value, whether the GPU holds it by now.
    on_gpu: Vec<bool>,
    lifetimes: Vec<Lifetime>,
    names: Vec<String>,
    weights: HashMap<(ValueId, Option<(&'static str, Vec<u32>)>), usize>,
    kernels: HashMap<Kernel, usize>,
    /// The next step; transfers count as one.
    clock: usize,
    plan: Plan,
}

impl<'a> Builder<'a> {
    fn new(graph: &'a Graph, caps: &'a Caps, placements: &'a [Placement]) -> Self {
        let count = graph.values().len();
        let mut root: Vec<ValueId> = (0..count).map(ValueId).collect();
        for (node, placement) in graph.nodes().iter().zip(placements) {
            if let (Placement::Alias(input), Some(Some(output))) = (placement, node.outputs.first()) {
                root[output.index()] = root[input.index()];
            }
        }
        let variants =
            placements.iter().map(|p| if let Placement::Gpu(work) = p { work.variants.clone() } else { vec![] }).collect();
        Builder {
            graph,
            caps,
            placements,
            root,
            places: vec![None; count],
            on_host: graph.values().iter().map(|v| v.constant.is_some()).collect(),
            on_gpu: vec![false; count],
            lifetimes: Vec::new(),
            names: Vec::new(),
            weights: HashMap::new(),
            kernels: HashMap::new(),
            clock: 0,
            plan: Plan {
                graph: Arc::new(graph.clone()),
                kernels: vec![],
                params: vec![],
                weights: vec![],
                own: vec![],
                slots: vec![],
                segments: vec![],
                outputs: vec![],
                variants,
                memory: Memory::default(),
            },
        }
    }

    /// Gives every input that a kernel reads, and every output that a kernel makes, a buffer of its own.
    fn inputs_and_outputs(&mut self) -> Result<()> {
        for input in self.graph.inputs() {
            self.on_host[input.value.index()] = true;
        }
        let mut made_by_gpu = vec![false; self.graph.values().len()];
        for (node, placement) in self.graph.nodes().iter().zip(self.placements) {
            for output in node.outputs.iter().flatten() {
                made_by_gpu[output.index()] = !matches!(placement, Placement::Host(_));
            }
        }
        for &output in self.graph.outputs() {
            let root = self.root[output.index()];
            if made_by_gpu[root.index()] && self.places[root.index()].is_none() {
                let bytes = self.sized(root)?;
                self.own(root, bytes);
            }
        }
        Ok(())
    }

    fn own(&mut self, root: ValueId, bytes: u64) -> Place {
        self.plan.own.push(bytes);
        let place = Place::Own(self.plan.own.len() - 1);
        self.places[root.index()] = Some(place);
        place
    }

    /// Bytes of a value's buffer, checked against what the adapter can bind.
    fn sized(&mut self, value: ValueId) -> Result<u64> {
        let bytes = self.graph.fact(value)?.gpu_bytes();
        self.checked(&self.graph.value(value).name, bytes)
    }

    fn checked(&mut self, name: &str, bytes: u64) -> Result<u64> {
        let bytes = bytes.max(1).next_multiple_of(GRANULE);
        let limit = self.caps.max_storage_binding.min(self.caps.max_buffer);
        if bytes > limit {
            return Err(Error::limit(format!(
                "`{name}` takes {bytes} bytes on the GPU, but {} can bind at most {limit}; use smaller inputs, or the CPU",
                self.caps
            )));
        }
        self.plan.memory.largest_binding = self.plan.memory.largest_binding.max(bytes);
        Ok(bytes)
    }

    fn open(&mut self) {
        self.plan.segments.push(Segment::default());
        self.clock += 1;
    }

    fn segment(&mut self) -> &mut Segment {
        let last = self.plan.segments.len() - 1;
        &mut self.plan.segments[last]
    }

    fn virtual_slot(&mut self, name: String, bytes: u64) -> Place {
        self.lifetimes.push(Lifetime { first: self.clock, last: self.clock, bytes });
        self.names.push(name);
        VIRTUAL(self.lifetimes.len() - 1)
    }

    /// Keeps what lies at `place` alive until now.
    fn touch(&mut self, place: Place) {
        if let Place::Slot(s) = place {
            self.lifetimes[s].last = self.clock;
        }
    }

    /// Where a value lies that a kernel reads now; uploads it when only the host has it.
    fn read(&mut self, value: ValueId) -> Result<Binding> {
        let root = self.root[value.index()];
        if self.graph.constant(root).is_some() {
            return self.weight(root, None);
        }
        let bytes = self.sized(root)?;
        let place = match self.places[root.index()] {
            Some(place) => place,
            None => {
                let is_input = self.graph.inputs().iter().any(|i| i.value == root);
                let name = self.graph.value(root).name.clone();
                if is_input { self.own(root, bytes) } else { self.virtual_slot(name, bytes) }
            }
        };
        self.places[root.index()] = Some(place);
        if !self.on_gpu[root.index()] && self.on_host[root.index()] {
            let transfer = self.transfer(root, place)?;
            if let Place::Slot(s) = place {
                // It arrives before the first step of this segment.
                self.lifetimes[s].first = self.clock - self.segment().steps.len() - 1;
            }
            self.segment().uploads.push(transfer);
        }
        self.on_gpu[root.index()] = true;
        self.touch(place);
        Ok(Binding { place, bytes })
    }

    fn write(&mut self, value: ValueId) -> Result<Binding> {
        let bytes = self.sized(value)?;
        let name = self.graph.value(value).name.clone();
        let place = self.places[value.index()].unwrap_or_else(|| self.virtual_slot(name, bytes));
        self.places[value.index()] = Some(place);
        self.on_gpu[value.index()] = true;
        self.touch(place);
        Ok(Binding { place, bytes })
    }

    fn transfer(&self, value: ValueId, place: Place) -> Result<Transfer> {
        let fact = self.graph.fact(value)?;
        let scalar = fact.scalar().ok_or_else(|| Error::internal(format!("`{}` has no GPU form", self.graph.value(value).name)))?;
        Ok(Transfer { value, ty: fact.ty.clone(), scalar, place })
    }

    fn weight(&mut self, value: ValueId, packing: Option<&Packing>) -> Result<Binding> {
        let fact = self.graph.fact(value)?;
        let name = self.graph.value(value).name.clone();
        let bytes = self.checked(&name, fact.gpu_bytes())?;
        let key = (value, packing.map(|p| (p.layout, p.arguments.clone())));
        let (scalar, constant) = (fact.scalar(), self.graph.constant(value));
        let (Some(scalar), Some(tensor)) = (scalar, constant) else {
            return Err(Error::internal(format!("`{name}` is no constant with a GPU form")));
        };
        let next = self.plan.weights.len();
        let index = *self.weights.entry(key).or_insert(next);
        if index == next {
            self.plan.weights.push(Weight { name, tensor: tensor.clone(), scalar, packing: packing.cloned() });
        }
        Ok(Binding { place: Place::Weight(index), bytes })
    }

    /// Adds the dispatches of one node.
    fn dispatches(&mut self, node: usize, work: &GpuNode) -> Result<()> {
        let (inputs, outputs) = (&self.graph.nodes()[node].inputs, &self.graph.nodes()[node].outputs);
        let mut scratch: HashMap<Operand, Place> = HashMap::new();
        for dispatch in &work.dispatches {
            let mut bindings = Vec::with_capacity(dispatch.bindings.len());
            for (operand, access) in dispatch.bindings.iter().zip(&dispatch.kernel.storage) {
                let left_out = || Error::internal(format!("binding {operand:?} is left out"));
                bindings.push(match *operand {
                    Operand::Input(k) => {
                        if *access == Access::Write {
                            return Err(Error::internal(format!("{operand:?} is bound for writing")));
                        }
                        self.read(inputs.get(k).copied().flatten().ok_or_else(left_out)?)?
                    }
                    Operand::Packed(k) => {
                        let packing = &work.packed[k];
                        let value = inputs.get(packing.input).copied().flatten().ok_or_else(left_out)?;
                        self.weight(value, Some(packing))?
                    }
                    Operand::Output(k) if outputs.get(k).is_some_and(Option::is_some) => {
                        let value = outputs[k].ok_or_else(left_out)?;
                        self.write(value)?
                    }
                    Operand::Output(_) | Operand::Temporary(_) => {
                        let bytes = match *operand {
                            Operand::Temporary(k) => work.temporaries[k],
                            Operand::Output(k) => work.outputs[k].gpu_bytes(),
                            _ => 0,
                        };
                        let name = format!("{operand:?} of {}", self.graph.nodes()[node].path);
                        let bytes = self.checked(&name, bytes)?;
                        let place = *scratch.entry(*operand).or_insert_with(|| self.virtual_slot(name, bytes));
                        self.touch(place);
                        Binding { place, bytes }
                    }
                });
            }
            self.disjoint(&dispatch.kernel, &bindings)?;
            let step = self.step(node, work.variant, dispatch, bindings);
            self.segment().steps.push(step);
            self.clock += 1;
        }
        Ok(())
    }

    /// WebGPU forbids a buffer that is both read and written, or written twice, in one dispatch.
    fn disjoint(&self, kernel: &Kernel, bindings: &[Binding]) -> Result<()> {
        for (i, a) in bindings.iter().enumerate() {
            for (j, b) in bindings.iter().enumerate().skip(i + 1) {
                if a.place == b.place && (kernel.storage[i] == Access::Write || kernel.storage[j] == Access::Write) {
                    return Err(Error::internal(format!(
                        "shader {} binds {:?} twice, once for writing",
                        kernel.shader.name, a.place
                    )));
                }
            }
        }
        Ok(())
    }

    fn step(&mut self, node: usize, variant: &'static str, dispatch: &crate::kernel::Dispatch, bindings: Vec<Binding>) -> Step {
        let next = self.plan.kernels.len();
        let kernel = *self.kernels.entry(dispatch.kernel.clone()).or_insert(next);
        if kernel == next {
            self.plan.kernels.push(dispatch.kernel.clone());
        }
        let offset = self.plan.params.len();
        let bytes = dispatch.params.len().max(1).next_multiple_of(GRANULE as usize);
        self.plan.params.extend(&dispatch.params);
        self.plan.params.resize((offset + bytes).next_multiple_of(self.caps.uniform_alignment as usize), 0);
        Step {
            node,
            variant,
            kernel,
            params_offset: offset as u32,
            params_bytes: bytes as u32,
            bindings,
            grid: dispatch.grid,
            work: dispatch.work,
        }
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
        let root = self.root[value.index()];
        let place = self.read(root)?.place;
        let transfer = self.transfer(value, place)?;
        self.segment().downloads.push(transfer);
        self.on_host[value.index()] = true;
        Ok(())
    }

    fn finish(mut self) -> Result<Plan> {
        for &output in self.graph.outputs() {
            self.download(output)?;
        }
        for &output in self.graph.outputs() {
            let place = self.places[self.root[output.index()].index()].filter(|p| matches!(p, Place::Own(_)));
            let transfer = place.map(|place| self.transfer(output, place)).transpose()?;
            self.plan.outputs.push(transfer);
        }
        let assignment = assign(&self.lifetimes);
        let settle = |place: &mut Place| {
            if let Place::Slot(s) = place {
                *s = assignment.slot[*s];
            }
        };
        for segment in &mut self.plan.segments {
            segment.uploads.iter_mut().chain(&mut segment.downloads).for_each(|t| settle(&mut t.place));
            segment.steps.iter_mut().flat_map(|s| &mut s.bindings).for_each(|b| settle(&mut b.place));
        }
        self.plan.memory.peak = assignment.slots.iter().sum();
        self.plan.memory.lower_bound = lower_bound(&self.lifetimes);
        self.plan.memory.own = self.plan.own.iter().sum();
        self.plan.slots = assignment.slots;
        Ok(self.plan)
    }
}
