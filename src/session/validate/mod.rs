//! Runs held against the references.

mod calls;
mod report;
mod suspect;

pub use report::{Suspect, Tolerance, Validation, ValueReport};
