//! Runs held against the references.

mod calls;
pub(crate) mod gradients;
mod report;
mod suspect;

pub use gradients::{GradientReport, GradientValidation, NoGradient, SlopeReport};
pub use report::{Suspect, Tolerance, Validation, ValueReport};
