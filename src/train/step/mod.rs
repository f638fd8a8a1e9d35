//! A training step: forward pass, loss, backward pass and update as one graph, whose parameters are states.

mod blocking;
mod contents;
mod evaluation;
mod front;
mod layout;
mod network;
mod options;
mod write;

pub use contents::Checkpoint;
pub use front::Step;
pub use options::{ParameterGroup, StepOptions, parameters};
