//! What callers give and get.

pub(super) mod elements;
pub(super) mod inputs;
mod outputs;

pub use inputs::InputInfo;
pub use outputs::Outputs;
