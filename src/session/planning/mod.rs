//! From a graph and what is known of its inputs to a plan.

pub(super) mod choices;
mod choices_file;

pub use choices::Tuning;
