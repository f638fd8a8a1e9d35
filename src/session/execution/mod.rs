//! One plan on a device, and one graph by the references.

pub(super) mod bound_states;
pub(super) mod execute;
mod first_dispatches;
pub(super) mod instance;
pub(super) mod load;
pub(super) mod loaded;
pub(super) mod reference;
pub(super) mod shared;
pub(super) mod state_buffers;
pub(super) mod values;
