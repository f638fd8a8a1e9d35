//! How fast a run goes. Nothing but logs depends on it.

use crate::gpu::Clock;

/// The time of a run, and how many steps it had made at the last log.
pub(super) struct Pace {
    clock: Option<Clock>,
    last: (f64, u64),
}

impl Pace {
    /// A run that begins after so many steps.
    pub(super) fn start(steps: u64) -> Self {
        Pace { clock: Clock::start(), last: (0.0, steps) }
    }

    /// Seconds since the run began, and steps a second since the last call; `None` where there is no clock.
    pub(super) fn read(&mut self, steps: u64) -> (Option<f64>, Option<f64>) {
        let Some(clock) = &self.clock else { return (None, None) };
        let (before, made) = self.last;
        let now = clock.microseconds() / 1e6;
        self.last = (now, steps);
        let seconds = now - before;
        (Some(now), (seconds > 0.0).then(|| steps.saturating_sub(made) as f64 / seconds))
    }
}
