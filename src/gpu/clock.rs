//! The host's clock.

use std::time::Instant;

/// When something began.
pub(crate) struct Clock(Instant);

impl Clock {
    /// Now; `None` in a browser, whose clock the standard library cannot read.
    pub(crate) fn start() -> Option<Clock> {
        (!cfg!(target_arch = "wasm32")).then(|| Clock(Instant::now()))
    }

    /// Microseconds since then.
    pub(crate) fn microseconds(&self) -> f64 {
        self.0.elapsed().as_secs_f64() * 1e6
    }
}
