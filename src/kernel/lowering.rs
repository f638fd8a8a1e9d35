//! How one variant does a node.

use super::dispatch::{Dispatch, Packing, Table};

/// How a node is done on the GPU, by one variant.
#[derive(Clone, Debug, PartialEq)]
pub enum Lowering {
    /// Output 0 is input `input` under another shape: no work, one buffer.
    Alias {
        /// The input that the output shares its buffer with.
        input: usize,
    },
    /// Output 0 is a run of elements of input `input`, bound where it lies: no work, one buffer.
    Window {
        /// The input that the output lies in.
        input: usize,
        /// The element of the input that it starts with, at a place that adapters bind.
        first: usize,
    },
    /// Dispatches in order. None at all is right for outputs without elements.
    Dispatches {
        /// The launches.
        dispatches: Vec<Dispatch>,
        /// Bytes of each temporary.
        temporaries: Vec<u64>,
        /// Constant inputs in another layout.
        packed: Vec<Packing>,
        /// Numbers of the kernels' own.
        tables: Vec<Table>,
    },
}

impl Lowering {
    /// Dispatches in order.
    pub fn new(dispatches: Vec<Dispatch>) -> Self {
        Lowering::Dispatches { dispatches, temporaries: vec![], packed: vec![], tables: vec![] }
    }

    /// Adds scratch of so many bytes each.
    pub fn temporaries(mut self, bytes: Vec<u64>) -> Self {
        if let Lowering::Dispatches { temporaries, .. } = &mut self {
            *temporaries = bytes;
        }
        self
    }

    /// Adds constant inputs in another layout.
    pub fn packed(mut self, packings: Vec<Packing>) -> Self {
        if let Lowering::Dispatches { packed, .. } = &mut self {
            *packed = packings;
        }
        self
    }

    /// Adds numbers of the kernels' own.
    pub fn tables(mut self, numbers: Vec<Table>) -> Self {
        if let Lowering::Dispatches { tables, .. } = &mut self {
            *tables = numbers;
        }
        self
    }

    /// Nothing to do, since no output has an element.
    pub fn empty() -> Self {
        Lowering::new(vec![])
    }

    /// Its dispatches; an alias and a window have none.
    pub fn launches(&self) -> &[Dispatch] {
        match self {
            Lowering::Alias { .. } | Lowering::Window { .. } => &[],
            Lowering::Dispatches { dispatches, .. } => dispatches,
        }
    }
}
