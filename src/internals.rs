//! The floors of the engine, for the tests, the benches, the command line and the server of this project. They change from one version to
//! the next without notice: nothing here is part of what the crate promises.

/// Floor 0: dtypes, shapes, strided views and host tensors.
pub mod tensor {
    pub use crate::tensor::*;
}

/// Floor 1: GPU work as plain data.
pub mod kernel {
    pub use crate::kernel::*;
}

/// Floor 2: networks as data, and how they are rewritten.
pub mod graph {
    pub use crate::graph::evaluate::{evaluate, evaluate_structures};
    pub use crate::graph::fact::Fact;
    pub use crate::graph::flow::{Body, Flow, Flowing, MAX_TURNS};
    pub use crate::graph::key::{Attribute, Key, Part};
    pub use crate::graph::model::Model;
    pub use crate::graph::op::{Epilogue, Gradient, Io, Op, OpExt, required};
    pub use crate::graph::structure::Structure;
    pub use crate::graph::writer::{Changes, NodeId, Writer};
    pub use crate::graph::*;
    pub use crate::kernel::Bounds;
}

/// Floor 3: operators.
pub mod ops {
    pub use crate::ops::*;
}

/// Floor 4: graph to graph.
pub mod passes {
    pub use crate::passes::*;
}

/// Floor 5: graphs and capabilities to plans.
pub mod plan {
    pub use crate::plan::*;
}

/// Floor 7: running models.
pub mod session {
    pub use crate::session::gradients::{Comparison, Question, Single, Whole};
}

/// Floor 8: model files to graphs.
pub mod import {
    pub use crate::import::*;
}
