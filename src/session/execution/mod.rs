//! One plan on a device, and one graph by the references.

pub(super) mod execute;
mod first_dispatches;
mod instance;
pub(super) mod load;
pub(super) mod loaded;
pub(super) mod reference;
mod shared;
pub(super) mod values;
