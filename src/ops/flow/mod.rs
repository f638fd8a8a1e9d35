//! Operators on whole values: which of two graphs is computed, how often one is. Each is a [`Flow`](crate::graph::Flow): it has no
//! kernel, and becomes other nodes, or a stage of the run.

pub mod arrange;
pub mod branch;
pub mod loops;
pub mod map;
pub mod sequence;
pub mod turns;
