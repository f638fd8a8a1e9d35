//! Where the values of a graph lie as a plan is written: on the host, on the GPU, or on both.

use super::placement::Placement;
use super::tensors::{LATER, Tensors};
use super::types::{Place, Transfer};
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
    is_input: Vec<bool>,
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
    pub(super) fn new(graph: &'a Graph, placements: &[Placement]) -> Self {
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
        Values { graph, root, tensor: vec![None; count], is_input, on_host, on_gpu: vec![false; count], own: Vec::new() }
    }

    /// The value whose buffer a value shares.
    pub(super) fn root(&self, value: ValueId) -> ValueId {
        self.root[value.index()]
    }

    /// Gives every output that a kernel makes a buffer of its own.
    pub(super) fn reserve_outputs(&mut self, placements: &[Placement], tensors: &mut Tensors) -> Result<()> {
        let mut made_by_gpu = vec![false; self.graph.values().len()];
        for (node, placement) in self.graph.nodes().iter().zip(placements) {
            for output in node.outputs.iter().flatten() {
                made_by_gpu[output.index()] = matches!(placement, Placement::Gpu(_));
            }
        }
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
        let tensor = match self.tensor[root.index()] {
            Some(tensor) => tensor,
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

    /// Whether an output can stay on the GPU: one that lies there, or is given, and that no shape will depend on.
    pub(super) fn stays(&self, output: ValueId) -> Result<bool> {
        let fact = self.graph.fact(output)?;
        let root = self.root(output);
        let there = self.on_gpu[root.index()] || self.is_input[root.index()];
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
