//! What to run, as data: dispatches over the inputs, outputs and temporaries of one node.

use super::{Caps, Kernel, Parameters};
use crate::error::{Error, Result};
use crate::tensor::Tensor;

/// Workgroups along x, y and z.
pub type Grid = [u32; 3];

/// What a storage binding is bound to, counted within the node being lowered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operand {
    /// An input of the node; one of floats may be bound for reading as a texture, which is filled from it beforehand.
    Input(usize),
    /// An operand of the node's epilogue.
    Epilogue(usize),
    /// An output of the node.
    Output(usize),
    /// What stands where an input of the node stood and an output will stand, for reading and writing: the operator says which they are, and
    /// the plan where that may be.
    Updated,
    /// Scratch that lives for this node only: a buffer, or a texture where kernels bind it as one.
    Temporary(usize),
    /// A constant input, repacked when the model is loaded, as a buffer or a texture likewise.
    Packed(usize),
    /// Numbers that belong to the kernel and to no input, as a buffer or a texture likewise.
    Table(usize),
    /// Nothing: the kernel declares the binding and, as its constants are, never reads it.
    Nothing,
    /// The numbers of the dispatch, a uniform like its parameters. They stand last.
    Numbers,
}

/// How much a dispatch does, for profiles and benches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Floating-point operations; a multiply-add counts two.
    pub flops: u64,
    /// Bytes that must be read and written at least.
    pub bytes: u64,
}

/// One kernel launch.
#[derive(Clone, Debug, PartialEq)]
pub struct Dispatch {
    /// What to compile.
    pub kernel: Kernel,
    /// The bytes of its parameter struct.
    pub params: Vec<u8>,
    /// The numbers of its generated function, see [`Printed`](super::Printed).
    pub numbers: Vec<u32>,
    /// What stands at binding 1 and on.
    pub bindings: Vec<Operand>,
    /// How many workgroups.
    pub grid: Grid,
    /// The most iterations that all loops of one invocation run together, nested ones multiplied, each of which goes round once more to find
    /// that it is through; those that the compiler unrolls do not count.
    pub turns: u64,
    /// How much it does.
    pub work: Work,
}

impl Dispatch {
    /// A dispatch of a kernel with its parameters.
    pub fn new<P: Parameters>(mut kernel: Kernel, params: P, bindings: Vec<Operand>, grid: Grid) -> Self {
        let numbers = std::mem::take(&mut kernel.numbers);
        Dispatch { kernel, params: bytemuck::bytes_of(&params).to_vec(), numbers, bindings, grid, turns: 0, work: Work::default() }
    }

    /// States the most iterations of its loops, see [`turns`](Dispatch::turns).
    pub fn turns(mut self, turns: usize) -> Self {
        self.turns = turns as u64;
        self
    }

    /// States the amount of work it does.
    pub fn work(mut self, flops: u64, bytes: u64) -> Self {
        self.work = Work { flops, bytes };
        self
    }

    /// A grid of at least `groups` workgroups in one dimension, folded into two where it exceeds the limit of one.
    /// A kernel that uses it takes `x + y * workgroups.x` as its number and returns when that is past the end.
    ///
    /// # Errors
    /// [`Limit`](crate::ErrorKind::Limit) when even two dimensions do not hold it.
    pub fn linear_grid(groups: u64, caps: &Caps) -> Result<Grid> {
        let max = u64::from(caps.max_grid);
        let rows = groups.div_ceil(max).max(1);
        if rows > max {
            return Err(Error::limit(format!("a grid of {groups} workgroups exceeds the adapter's limit of {max} squared")));
        }
        // Both are at most `max_grid`, a u32.
        Ok([groups.div_ceil(rows).max(1) as u32, rows as u32, 1])
    }
}

/// A constant input that is repacked once, when the model is loaded, into the layout a kernel wants.
#[derive(Clone, Debug)]
pub struct Packing {
    /// Which input of the node; it must be a constant.
    pub input: usize,
    /// Name of the layout; with `arguments` it identifies the packed form.
    pub layout: &'static str,
    /// Sizes that the layout depends on.
    pub arguments: Vec<u32>,
    /// The repacking: bytes as they will stand in the storage buffer.
    pub pack: fn(&Tensor, &[u32]) -> Vec<u8>,
}

impl PartialEq for Packing {
    fn eq(&self, other: &Self) -> bool {
        (self.input, self.layout, &self.arguments) == (other.input, other.layout, &other.arguments)
    }
}

/// Numbers that a kernel reads besides the inputs of its node; equal tables share one buffer.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// What they are, for messages and plans.
    pub name: &'static str,
    /// Their bit patterns.
    pub numbers: Vec<u32>,
}
