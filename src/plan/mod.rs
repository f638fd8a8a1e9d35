//! Floor 5: what a run will do, decided beforehand. A [`Plan`] is plain data: it can be printed, compared in a snapshot
//! and built on a machine without a GPU.
//!
//! It is a list of segments. Each uploads what the GPU needs, dispatches kernels, downloads what the host needs, and runs
//! nodes on the host that have no kernel. Most plans have one segment and no host node.

mod assemble;
mod bindings;
mod checks;
mod choices;
mod constants;
mod in_place;
mod joins;
mod measurable;
mod memory;
mod options;
mod placement;
mod print;
mod schedule;
mod scratch;
mod slots;
mod states;
mod tensors;
mod tuning_key;
mod types;
mod uniforms;
mod values;
mod variants;

pub use choices::{Choices, Chosen, Refusal};
pub use measurable::{Measurable, measurable};
pub use options::PlanOptions;
pub use tuning_key::TuningKey;
pub use types::{
    HostNode, Memory, Place, Plan, PlannedState, PlannedTensor, Segment, Step, TextureCopy, Transfer, Weight, Written,
};
