//! How long dispatches take: the recorder that a run may carry, and dispatches that run for the sake of the clock.

mod calls;
mod pace;
mod profile;
pub(super) mod recorder;

pub use profile::{Profile, Timing};
