//! A training step: forward pass, loss, backward pass and update as one graph, whose parameters are states.

mod blocking;
mod contents;
mod described;
mod evaluation;
mod examine;
mod front;
mod guard;
mod layout;
mod network;
mod non_finite;
mod options;
mod write;

pub use contents::Checkpoint;
pub use front::Step;
pub use non_finite::{NonFinite, Pass, ValueRange};
pub use options::{Guard, ParameterGroup, StepOptions, parameters};
