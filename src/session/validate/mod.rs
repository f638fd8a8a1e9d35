//! Runs held against the references.

pub(super) mod report;
pub(super) mod suspect;

pub use report::{Suspect, Tolerance, Validation, ValueReport};
