//! One plan on a device, and one graph by the references.

pub(super) mod loaded;
pub(super) mod reference;
pub(super) mod weights;
