//! How many objects were made.

use std::sync::atomic::{AtomicU64, Ordering};

/// How many objects were made so far; what "a second run makes nothing" is tested with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Buffers.
    pub buffers: u64,
    /// Bind groups.
    pub bind_groups: u64,
    /// Pipelines compiled.
    pub pipelines: u64,
    /// Plans.
    pub plans: u64,
}

/// Counts as objects are made.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub buffers: AtomicU64,
    pub bind_groups: AtomicU64,
    pub pipelines: AtomicU64,
    pub plans: AtomicU64,
}

impl Tally {
    pub(crate) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Counters {
        Counters {
            buffers: self.buffers.load(Ordering::Relaxed),
            bind_groups: self.bind_groups.load(Ordering::Relaxed),
            pipelines: self.pipelines.load(Ordering::Relaxed),
            plans: self.plans.load(Ordering::Relaxed),
        }
    }
}
