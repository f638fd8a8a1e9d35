//! The answers of the last minute, for those who look on.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long answers are remembered.
const SPAN: Duration = Duration::from_secs(60);

/// What the answers a second are counted over.
const SHORT: Duration = Duration::from_secs(10);

/// How many answers are remembered at most.
const MOST: usize = 4096;

/// The last answers: when they were given, and how long they took.
#[derive(Clone, Debug, Default)]
pub struct Recent(VecDeque<(Instant, Duration)>);

/// How a model is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    /// Answers a second.
    pub per_second: f64,
    /// The time that half of the answers took at most, where there are answers.
    pub median: Option<Duration>,
    /// The time that 99 of 100 took at most.
    pub slowest: Option<Duration>,
}

impl Recent {
    pub(super) fn add(&mut self, now: Instant, time: Duration) {
        while self.0.len() >= MOST || self.0.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) > SPAN) {
            self.0.pop_front();
        }
        self.0.push_back((now, time));
    }

    /// How it is now.
    pub fn load(&self, now: Instant) -> Load {
        let age = |at: &Instant| now.saturating_duration_since(*at);
        let mut times: Vec<Duration> = self.0.iter().filter(|(at, _)| age(at) <= SPAN).map(|(_, time)| *time).collect();
        times.sort_unstable();
        let rank = |percent: usize| times.get((times.len() * percent).div_ceil(100).saturating_sub(1)).copied();
        let count = self.0.iter().filter(|(at, _)| age(at) <= SHORT).count();
        // Where so many came that not all of the time is remembered, over what is.
        let oldest = self.0.front().filter(|_| self.0.len() >= MOST).map_or(SHORT, |(at, _)| age(at).min(SHORT));
        let per_second = count as f64 / oldest.as_secs_f64().max(1e-3);
        Load { per_second, median: rank(50), slowest: rank(99) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_minute_counts() {
        let start = Instant::now();
        let mut recent = Recent::default();
        assert_eq!(recent.load(start), Load::default());
        for k in 1..=200u64 {
            recent.add(start + Duration::from_millis(k * 50), Duration::from_millis(k));
        }
        let load = recent.load(start + Duration::from_secs(10));
        assert_eq!((load.per_second, load.median), (20.0, Some(Duration::from_millis(100))));
        assert_eq!(load.slowest, Some(Duration::from_millis(198)));
        let later = recent.load(start + Duration::from_secs(65));
        assert_eq!((later.per_second, later.slowest), (0.0, Some(Duration::from_millis(199))));
        assert_eq!(recent.load(start + Duration::from_secs(99)), Load::default());
    }

    #[test]
    fn so_many_and_no_more_are_remembered() {
        let start = Instant::now();
        let mut recent = Recent::default();
        for k in 0..3 * MOST as u64 {
            recent.add(start + Duration::from_micros(k * 100), Duration::from_millis(1));
        }
        assert_eq!(recent.0.len(), MOST);
        let load = recent.load(start + Duration::from_micros(3 * MOST as u64 * 100));
        assert!((load.per_second - 10_000.0).abs() < 1.0, "{load:?}");
    }
}
