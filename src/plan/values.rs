//! Where the values of a graph lie as a plan is written: on the host, on the GPU, or on both.

use super::joins::Parts;
use super::placement::Placement;
use super::states::{why_in_place, why_swapped};
use super::tensors::{LATER, Tensors};
use super::types::{Place, PlannedState, Transfer, Written};
use crate::error::{Error, Result};
use crate::graph::{Graph, ValueId};

/// The most elements of an integer output that the host is always given: a shape may depend on it.
const SMALL: usize = 64;

/// All values of a graph, by index.
pub(super) struct Values<'a> {
    graph: &'a Graph,
    /// For each value, the one whose buffer it shares.
    root: Vec<ValueId>,
    /// For each root, its tensor on the GPU.
    tensor: Vec<Option<usize>>,
    /// For each root that lies within another, that one and the element of it at which it starts.
    parts: Parts,
    /// Those of them that nothing makes: what is read through a window.
    windows: Parts,
    is_input: Vec<bool>,
    /// For each value, the state on the GPU that it is the input of.
    state: Vec<Option<usize>>,
    /// For each value, whether the host holds it by now.
    on_host: Vec<bool>,
    /// For each root, whether the GPU holds it by now.
    on_gpu: Vec<bool>,
    /// Bytes of the buffers of inputs and outputs.
    pub own: Vec<u64>,
}

/// A value on the GPU that a step reads.
pub(super) struct Found {
    pub tensor: usize,
    /// How it gets there, when only the host holds it.
    pub upload: Option<Transfer>,
}

impl<'a> Values<'a> {
    pub(super) fn new(graph: &'a Graph, placements: &[Placement], states: &[PlannedState], parts: Parts) -> Self {
        let count = graph.values().len();
        let mut root: Vec<ValueId> = (0..count).map(ValueId).collect();
        let mut windows = Parts::new();
        for (node, placement) in graph.nodes().iter().zip(placements) {
            if let (Placement::Window(input, first), Some(Some(output))) = (placement, node.outputs.first()) {
                let base = root[input.index()];
                let (base, before) = windows.get(&base).copied().unwrap_or((base, 0));
                windows.insert(*output, (base, before + first));
            }
            let shared = match placement {
                Placement::Alias(input) => node.outputs.first().copied().flatten().zip(Some(*input)),
                Placement::Gpu(work) => {
                    work.updates.and_then(|(output, input)| node.outputs.get(output).copied().flatten().zip(node.input(input)))
                }
                Placement::Host(_) | Placement::Window(..) => None,
            };
            if let Some((output, input)) = shared {
                root[output.index()] = root[input.index()];
            }
        }
        let mut is_input = vec![false; count];
        graph.inputs().iter().for_each(|i| is_input[i.value.index()] = true);
        let mut state = vec![None; count];
        for (k, planned) in states.iter().enumerate().filter(|(_, planned)| planned.scalar.is_some()) {
            state[planned.input.index()] = Some(k);
        }
        let on_gpu: Vec<bool> = state.iter().map(Option::is_some).collect();
        let constant = graph.values().iter().map(|v| v.constant.is_some());
        let given = is_input.iter().zip(&on_gpu).map(|(input, on_gpu)| *input && !on_gpu);
        let on_host = constant.zip(given).map(|(constant, given)| constant || given).collect();
        Values { graph, root, tensor: vec![None; count], parts, windows, is_input, state, on_host, on_gpu, own: Vec::new() }
    }

    /// The value whose buffer a value shares.
    pub(super) fn root(&self, value: ValueId) -> ValueId {
        self.root[value.index()]
    }

    /// For each value, whether a kernel makes it.
    fn made_by_gpu(&self, placements: &[Placement]) -> Vec<bool> {
        let mut made_by_gpu = vec![false; self.graph.values().len()];
        for (node, placement) in self.graph.nodes().iter().zip(placements) {
            for output in node.outputs.iter().flatten() {
                made_by_gpu[output.index()] = matches!(placement, Placement::Gpu(_));
            }
        }
        made_by_gpu
    }

    /// Says of states whether they are written in place, or gives what a kernel makes of them the second buffer.
    pub(super) fn reserve_states(
        &mut self,
        placements: &[Placement],
        states: &mut [PlannedState],
        tensors: &mut Tensors,
    ) -> Result<()> {
        let made_by_gpu = self.made_by_gpu(placements);
        for (state, planned) in states.iter_mut().enumerate().filter(|(_, planned)| planned.scalar.is_some()) {
            let root = self.root(planned.output);
            if root == planned.input {
                planned.written = Written::InPlace;
                planned.reason = why_in_place(self.graph, planned);
            } else if made_by_gpu[root.index()] && self.tensor[root.index()].is_none() {
                self.add(root, Place::State { state, next: true }, tensors)?;
                planned.written = Written::Swapped;
                planned.reason = why_swapped(self.graph, placements, root)?;
            }
        }
        Ok(())
    }

    /// Says of the other states where they come from, once all steps are written.
    pub(super) fn finish_states(&mut self, states: &mut [PlannedState], tensors: &mut Tensors) -> Result<()> {
        for planned in states.iter_mut().filter(|planned| planned.written == Written::Host) {
            let root = self.root(planned.output);
            let name = &self.graph.value(root).name;
            if planned.scalar.is_none() {
                planned.reason = format!("{} has no form of its own on the GPU", planned.read);
            } else if self.on_gpu[root.index()] {
                planned.written = Written::Copied(self.read(root, tensors)?.tensor);
                planned.reason = format!("`{name}` lies elsewhere");
            } else {
                planned.reason = format!("the host makes or holds `{name}`");
            }
        }
        Ok(())
    }

    /// Gives every output that a kernel makes a buffer of its own, unless it has another.
    pub(super) fn reserve_outputs(&mut self, placements: &[Placement], tensors: &mut Tensors) -> Result<()> {
        let made_by_gpu = self.made_by_gpu(placements);
        for &output in self.graph.outputs() {
            let root = self.root(output);
            if made_by_gpu[root.index()] && self.tensor[root.index()].is_none() {
                self.add_own(root, tensors)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, root: ValueId, place: Place, tensors: &mut Tensors) -> Result<usize> {
        let bytes = self.graph.fact(root)?.gpu_bytes();
        let place = match self.parts.get(&root).copied() {
            Some((whole, first)) if place == LATER => {
                let tensor = match self.tensor[whole.index()] {
                    Some(tensor) => tensor,
                    None => self.add(whole, LATER, tensors)?,
                };
                Place::Within { tensor, offset: first as u64 * 4 }
            }
            _ => place,
        };
        let tensor = tensors.add(self.graph.value(root).name.clone(), bytes, place)?;
        self.tensor[root.index()] = Some(tensor);
        Ok(tensor)
    }

    fn add_own(&mut self, root: ValueId, tensors: &mut Tensors) -> Result<usize> {
        let tensor = self.add(root, Place::Own(self.own.len()), tensors)?;
        self.own.push(tensors.planned[tensor].bytes);
        Ok(tensor)
    }

    /// The tensor of a value, no constant, that is read now.
    pub(super) fn read(&mut self, value: ValueId, tensors: &mut Tensors) -> Result<Found> {
        let root = self.root(value);
        if let Some((whole, first)) = self.windows.get(&root).copied() {
            return self.read_window(root, whole, first, tensors);
        }
        let tensor = match self.tensor[root.index()] {
            Some(tensor) => tensor,
            None if self.state[root.index()].is_some() => {
                let state = self.state[root.index()].unwrap_or_default();
                self.add(root, Place::State { state, next: false }, tensors)?
            }
            None if self.is_input[root.index()] => self.add_own(root, tensors)?,
            None => self.add(root, LATER, tensors)?,
        };
        let mut upload = None;
        if !self.on_gpu[root.index()] && self.on_host[root.index()] {
            upload = Some(self.transfer(root, tensor)?);
            self.on_gpu[root.index()] = true;
        }
        if !self.on_gpu[root.index()] && self.graph.fact(root)?.ty.elements() > 0 {
            return Err(Error::internal(format!("no dispatch writes `{}`", self.graph.value(root).name)));
        }
        tensors.bind(tensor);
        Ok(Found { tensor, upload })
    }

    /// The tensor of a value that is read now through a window of another.
    fn read_window(&mut self, root: ValueId, whole: ValueId, first: usize, tensors: &mut Tensors) -> Result<Found> {
        let found = self.read(whole, tensors)?;
        let tensor = match self.tensor[root.index()] {
            Some(tensor) => tensor,
            None => {
                let before = match tensors.planned[found.tensor].place {
                    Place::Within { offset, .. } => offset,
                    _ => 0,
                };
                let place = Place::Within { tensor: tensors.base(found.tensor), offset: before + first as u64 * 4 };
                self.add(root, place, tensors)?
            }
        };
        tensors.bind(tensor);
        Ok(Found { tensor, upload: found.upload })
    }

    /// The tensor of a value that is written now.
    pub(super) fn write(&mut self, value: ValueId, tensors: &mut Tensors) -> Result<usize> {
        let tensor = match self.tensor[value.index()] {
            Some(tensor) => tensor,
            None => self.add(value, LATER, tensors)?,
        };
        self.on_gpu[value.index()] = true;
        tensors.bind(tensor);
        Ok(tensor)
    }

    pub(super) fn transfer(&self, value: ValueId, tensor: usize) -> Result<Transfer> {
        let fact = self.graph.fact(value)?;
        let scalar = fact.scalar().ok_or_else(|| Error::internal(format!("`{}` has no GPU form", self.graph.value(value).name)))?;
        Ok(Transfer { value, ty: fact.ty.clone(), scalar, tensor })
    }

    pub(super) fn is_on_host(&self, value: ValueId) -> bool {
        self.on_host[value.index()]
    }

    /// Whether an output can stay on the GPU: one that lies there or is given, in no state, and that no shape will depend on.
    pub(super) fn stays(&self, output: ValueId, tensors: &Tensors) -> Result<bool> {
        let fact = self.graph.fact(output)?;
        let root = self.root(output);
        let there = self.on_gpu[root.index()] || self.is_input[root.index()];
        let in_state = |tensor: usize| matches!(tensors.planned[tensor].place, Place::State { .. });
        if self.state[root.index()].is_some() || self.tensor[root.index()].is_some_and(in_state) {
            return Ok(false);
        }
        Ok(there && (fact.dtype().is_float() || fact.ty.elements() > SMALL))
    }

    /// The host holds a value from now on.
    pub(super) fn put_on_host(&mut self, value: ValueId) {
        self.on_host[value.index()] = true;
    }

    /// Where an output lies on the GPU, if it has a buffer of its own there.
    pub(super) fn output(&self, output: ValueId, tensors: &Tensors) -> Result<Option<Transfer>> {
        let own = |t: &usize| matches!(tensors.planned[*t].place, Place::Own(_));
        let tensor = self.tensor[self.root(output).index()].filter(own);
        tensor.map(|tensor| self.transfer(output, tensor)).transpose()
    }
}
