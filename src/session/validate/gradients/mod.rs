//! Gradients held against the references, and these against slopes: central differences of the references in double precision.

mod calls;
mod doubles;
mod draws;
mod node;
mod question;
mod report;
mod slopes;
mod whole;

pub use node::Single;
pub use question::{Comparison, Question};
pub use report::{GradientReport, GradientValidation, NoGradient, SlopeReport};
pub use whole::Whole;
