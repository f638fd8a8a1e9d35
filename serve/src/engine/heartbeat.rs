//! Whether the engine makes progress.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// When the threads of the engine were last seen between two batches.
#[derive(Debug, Default)]
pub struct Heartbeat {
    last: Mutex<Vec<(u64, Instant)>>,
}

/// The share of a thread in the heartbeat. It is gone when the thread ends, but not when it panics: that is never seen again.
pub(super) struct Pulse {
    heartbeat: Arc<Heartbeat>,
    number: u64,
}

impl Heartbeat {
    fn last(&self) -> MutexGuard<'_, Vec<(u64, Instant)>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A thread is seen from now on.
    pub(super) fn pulse(self: &Arc<Self>) -> Pulse {
        let mut last = self.last();
        let number = last.last().map_or(0, |(number, _)| number + 1);
        last.push((number, Instant::now()));
        Pulse { heartbeat: self.clone(), number }
    }

    /// How long ago the thread was seen that was not for the longest. Each is seen twice a second while it has nothing to do.
    pub fn age(&self) -> Duration {
        let now = Instant::now();
        self.last().iter().map(|(_, last)| now.saturating_duration_since(*last)).max().unwrap_or_default()
    }
}

impl Pulse {
    pub(super) fn beat(&self) {
        if let Some((_, last)) = self.heartbeat.last().iter_mut().find(|(number, _)| *number == self.number) {
            *last = Instant::now();
        }
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.heartbeat.last().retain(|(number, _)| *number != self.number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_pulse_counts_and_one_that_panics_stays() {
        let heartbeat = Arc::<Heartbeat>::default();
        assert_eq!(heartbeat.age(), Duration::ZERO);
        let (one, two) = (heartbeat.pulse(), heartbeat.pulse());
        std::thread::sleep(Duration::from_millis(20));
        two.beat();
        assert!(heartbeat.age() >= Duration::from_millis(20));
        drop(one);
        let age = heartbeat.age();
        let panics = std::thread::spawn(move || {
            let _two = two;
            panic!("on purpose");
        });
        assert!(panics.join().is_err());
        std::thread::sleep(Duration::from_millis(20));
        assert!(heartbeat.age() > age);
    }
}
