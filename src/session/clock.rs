//! The host's clock.

use std::time::Instant;

/// When something began.
pub(super) struct Clock(Instant);

impl Clock {
    /// Now; `None` in a browser, whose clock the standard library cannot read.
    pub(super) fn start() -> Option<Clock> {
        (!cfg!(target_arch = "wasm32")).then(|| Clock(Instant::now()))
    }

    /// Microseconds since then.
    pub(super) fn microseconds(&self) -> f64 {
        self.0.elapsed().as_secs_f64() * 1e6
    }
}
