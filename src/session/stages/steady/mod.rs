//! Loops whose carried values keep their types: these are states of the body's plan, and turns are recorded many to a submission.

mod body;
mod copies;
mod graph;
mod run;

pub(super) use body::SteadyBodies;
pub(super) use run::{Progress, rest};
