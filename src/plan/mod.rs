//! Floor 5: what a run will do, decided beforehand. A [`Plan`] is plain data: it can be printed, compared in a snapshot
//! and built on a machine without a GPU.
//!
//! It is a list of segments. Each uploads what the GPU needs, dispatches kernels, downloads what the host needs, and runs
//! nodes on the host that have no kernel. Most plans have one segment and no host node.

mod assemble;
mod bindings;
mod choices;
mod memory;
mod placement;
mod print;
mod schedule;
mod types;

pub use choices::{Choices, Chosen, Measurable, Refusal, Signature, measurable};
pub use types::{HostNode, Memory, Options, Place, Plan, PlannedTensor, Segment, Step, TextureCopy, Transfer, Weight};
