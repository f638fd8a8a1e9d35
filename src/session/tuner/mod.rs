//! The tuner: which variants a session's plans take, by measurement. A plan stays a function of the graph, the adapter and the
//! [`Choices`](crate::plan::Choices); variants are measured when a plan is made, never in a run.

mod choose;
mod measure;
mod trial;
mod tune;

pub(super) use tune::tune;
