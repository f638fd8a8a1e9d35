//! From a graph and what is known of its inputs to a plan.

pub(super) mod ancestors;
pub(super) mod cache;
pub(super) mod choices;
mod choices_file;
pub(super) mod key;
pub(super) mod make;
