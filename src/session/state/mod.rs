//! What lasts from run to run, as callers see it.

mod calls;
mod session_state;

pub use session_state::{SessionState, Snapshot};
