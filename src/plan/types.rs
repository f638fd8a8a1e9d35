//! What a plan is made of.

use super::choices::Chosen;
use crate::graph::{Graph, Node, ValueId};
use crate::kernel::{Grid, Kernel, Packing, Work};
use crate::tensor::{Scalar, Tensor, TensorType};
use std::sync::Arc;

/// Buffers are whole vectors of four elements, so that kernels may bind them as such.
pub(super) const GRANULE: u64 = 16;

/// Where a tensor lies on the GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// A constant: [`Plan::weights`].
    Weight(usize),
    /// A buffer of its own, for an input or output: [`Plan::own`].
    Own(usize),
    /// A range of a buffer that it shares with other tensors: those that live at other times, and those that no step
    /// writes while it binds this one.
    Slot {
        /// Which buffer: [`Plan::shared`].
        buffer: usize,
        /// Where in the buffer it starts.
        offset: u64,
    },
    /// Within another tensor of the plan: [`Plan::tensors`].
    Within {
        /// Which tensor; it lies within no other.
        tensor: usize,
        /// Where in it this one starts, in bytes.
        offset: u64,
    },
    /// A texture that it shares with scratch of other nodes: [`Plan::textures`].
    Texture(usize),
    /// A buffer of a state: [`Plan::states`].
    State {
        /// Which state.
        state: usize,
        /// Whether it is the one that takes what the state will hold next.
        next: bool,
    },
}

/// How what a state holds next comes to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// Where it stood, or not at all: nothing of the old value is read after it is written over.
    InPlace,
    /// In the state's second buffer; afterwards the two change their roles.
    Swapped,
    /// Elsewhere; after the last step it is copied into the second buffer from this tensor.
    Copied(usize),
    /// On the host, from where a later run uploads it.
    Host,
}

/// What lasts from run to run.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedState {
    /// Its name.
    pub name: String,
    /// What it holds when a run starts: an input of the graph.
    pub input: ValueId,
    /// What it holds afterwards: an output of the graph.
    pub output: ValueId,
    /// The type of the input.
    pub read: TensorType,
    /// The type of the output.
    pub result: TensorType,
    /// Its elements on the GPU; `None` where it is uploaded from the host for each run.
    pub scalar: Option<Scalar>,
    /// How it is written.
    pub written: Written,
    /// Why so.
    pub reason: String,
}

impl PlannedState {
    /// Bytes of the buffer that a run reads; none where it is uploaded.
    pub fn read_bytes(&self) -> u64 {
        self.scalar.map_or(0, |_| buffer_bytes(&self.read))
    }

    /// Bytes of the second buffer, where there is one.
    pub fn result_bytes(&self) -> u64 {
        match self.written {
            Written::Swapped | Written::Copied(_) => buffer_bytes(&self.result),
            Written::InPlace | Written::Host => 0,
        }
    }
}

/// Bytes of a storage buffer that holds a tensor.
fn buffer_bytes(ty: &TensorType) -> u64 {
    (ty.elements() as u64 * 4).max(1).next_multiple_of(GRANULE)
}

/// A constant as a storage buffer or texture.
#[derive(Clone, Debug)]
pub struct Weight {
    /// Name of the value.
    pub name: String,
    /// Its contents.
    pub tensor: Tensor,
    /// Its elements in a buffer, unless it is repacked.
    pub scalar: Scalar,
    /// Another layout than row-major.
    pub packing: Option<Packing>,
    /// Whether kernels bind it as a texture.
    pub texture: bool,
}

impl Weight {
    /// Bytes that it takes on the GPU; repacks it to find out.
    pub fn bytes(&self) -> u64 {
        match &self.packing {
            Some(packing) => (packing.pack)(&self.tensor, &packing.arguments).len() as u64,
            None => self.tensor.elements() as u64 * 4,
        }
    }
}

/// A tensor on the GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedTensor {
    /// Name of the value, or what a scratch buffer is for.
    pub name: String,
    /// Its size, rounded up to whole vectors of four elements.
    pub bytes: u64,
    /// Where it lies.
    pub place: Place,
}

/// One dispatch.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The node it belongs to: index into the graph's nodes.
    pub node: usize,
    /// Name of the kernel's variant.
    pub variant: &'static str,
    /// Index into [`Plan::kernels`].
    pub kernel: usize,
    /// Where its parameters stand in [`Plan::params`].
    pub params_offset: u32,
    /// How many bytes of parameters it has, rounded up to a uniform binding's granularity.
    pub params_bytes: u32,
    /// Where the numbers of its generated function stand there, and how many bytes they take; `None` where it reads none.
    pub numbers: Option<(u32, u32)>,
    /// What is copied before it runs.
    pub copies: Vec<TextureCopy>,
    /// What is bound from binding 1 on: indices into [`Plan::tensors`]. Numbers, if there are any, are bound after these.
    pub bindings: Vec<usize>,
    /// How many workgroups.
    pub grid: Grid,
    /// How much it does.
    pub work: Work,
}

/// A tensor that a step binds as a texture, copied from the buffer it lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextureCopy {
    /// The buffer: index into [`Plan::tensors`].
    pub from: usize,
    /// The texture: index into [`Plan::tensors`].
    pub to: usize,
}

/// A tensor that crosses between host and GPU.
#[derive(Clone, Debug, PartialEq)]
pub struct Transfer {
    /// The value.
    pub value: ValueId,
    /// Its type on the host.
    pub ty: TensorType,
    /// Its elements on the GPU.
    pub scalar: Scalar,
    /// Where it lies there: index into [`Plan::tensors`].
    pub tensor: usize,
}

impl Transfer {
    /// Bytes that are copied.
    pub fn bytes(&self) -> u64 {
        self.ty.elements() as u64 * 4
    }
}

/// A node that runs on the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostNode {
    /// Index into the graph's nodes.
    pub node: usize,
    /// Why it has no kernel.
    pub reason: String,
}

/// What is done between two points at which the host waits for the GPU, in this order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Segment {
    /// Inputs of the run, and results of the host, that the steps read.
    pub uploads: Vec<Transfer>,
    /// The dispatches.
    pub steps: Vec<Step>,
    /// Results that the host reads.
    pub downloads: Vec<Transfer>,
    /// Nodes that the host then computes.
    pub host: Vec<HostNode>,
}

/// How many bytes a plan's intermediate tensors take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// All shared buffers together.
    pub peak: u64,
    /// The largest sum of tensors that live at one step; no assignment needs less.
    pub lower_bound: u64,
    /// All textures together.
    pub textures: u64,
    /// Inputs and outputs.
    pub own: u64,
    /// States, the second buffers of those that have one among them.
    pub states: u64,
    /// The largest binding.
    pub largest_binding: u64,
}

/// Everything a run does.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The graph it carries out.
    pub graph: Arc<Graph>,
    /// What must be compiled.
    pub kernels: Vec<Kernel>,
    /// Parameters and numbers of all steps, each at an offset that the adapter allows.
    pub params: Vec<u8>,
    /// Everything that lies on the GPU at some time.
    pub tensors: Vec<PlannedTensor>,
    /// Constants that steps read.
    pub weights: Vec<Weight>,
    /// Bytes of the buffers of inputs and outputs.
    pub own: Vec<u64>,
    /// Bytes of the buffers that intermediate tensors share.
    pub shared: Vec<u64>,
    /// Bytes of the textures that nodes take turns to use as scratch.
    pub textures: Vec<u64>,
    /// What to do, in order.
    pub segments: Vec<Segment>,
    /// Where each output of the graph lies on the GPU; `None` when it is known to the host only.
    pub outputs: Vec<Option<Transfer>>,
    /// What lasts from run to run, in the graph's order.
    pub states: Vec<PlannedState>,
    /// For each output of the graph, the value whose elements it is under another shape; itself, where it is no other.
    pub roots: Vec<ValueId>,
    /// What a run must find to be true of its inputs before anything is submitted: nodes that are computed by references, checks among them.
    pub given_checks: Vec<Node>,
    /// What a run must find to be true: a node of the graph, and its word on the host.
    pub checks: Vec<(usize, ValueId)>,
    /// For each node, the variants it could have run by.
    pub variants: Vec<Vec<&'static str>>,
    /// For each node, the variants that do not fit it, and why.
    pub declined: Vec<Vec<(&'static str, String)>>,
    /// For each node, why it runs by the variant it does.
    pub chosen: Vec<Chosen>,
    /// What its intermediate tensors take.
    pub memory: Memory,
}

impl Plan {
    /// All dispatches in order.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.segments.iter().flat_map(|s| &s.steps)
    }

    /// The tensor that a tensor lies in, or else itself.
    pub fn base(&self, tensor: usize) -> usize {
        match self.tensors[tensor].place {
            Place::Within { tensor, .. } => tensor,
            _ => tensor,
        }
    }

    /// All nodes that run on the host.
    pub fn host_nodes(&self) -> impl Iterator<Item = &HostNode> {
        self.segments.iter().flat_map(|s| &s.host)
    }
}
