//! What callers give and get, and the form it has on the device.

pub(super) mod elements;
pub(super) mod held;
pub(super) mod inputs;
mod outputs;
pub(super) mod weights;

pub use inputs::InputInfo;
pub use outputs::Outputs;
