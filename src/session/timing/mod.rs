//! How long dispatches take.

pub(super) mod profile;

pub use profile::{Profile, Timing};
