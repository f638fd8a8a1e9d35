//! How long each dispatch takes, by the device's own clock.

use crate::kernel::{Grid, Work};

/// One dispatch with its time.
#[derive(Clone, Debug, PartialEq)]
pub struct Timing {
    /// Path of the node it belongs to.
    pub label: String,
    /// Name of its shader.
    pub kernel: &'static str,
    /// Name of the kernel's variant.
    pub variant: &'static str,
    /// How many workgroups.
    pub grid: Grid,
    /// How much it does.
    pub work: Work,
    /// How long it took.
    pub microseconds: f64,
}

impl Timing {
    /// Floating-point operations in units of 1e9 per second.
    pub fn gflops(&self) -> f64 {
        self.work.flops as f64 / self.microseconds.max(1e-3) / 1e3
    }

    /// Bytes that must be moved at least, in units of 1e9 per second.
    pub fn gigabytes(&self) -> f64 {
        self.work.bytes as f64 / self.microseconds.max(1e-3) / 1e3
    }
}

/// The dispatches of a run in order, each with the median of its times over several runs.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    /// Name of the adapter.
    pub adapter: String,
    /// The dispatches.
    pub dispatches: Vec<Timing>,
    /// Time of all dispatches of each run, in microseconds, in the order of the runs.
    pub totals: Vec<f64>,
    /// Median time of a whole run on the host's clock, transfers included, in microseconds; in a browser not a number.
    pub wall_microseconds: f64,
    /// How many runs were timed.
    pub repeat: usize,
}

impl Profile {
    /// The sum of all dispatches in microseconds.
    pub fn device_microseconds(&self) -> f64 {
        self.dispatches.iter().map(|d| d.microseconds).sum()
    }
}

/// The middle of some times.
pub(crate) fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(0.0)
}

/// The time of all dispatches of each run.
pub(crate) fn totals(runs: &[Vec<Timing>]) -> Vec<f64> {
    runs.iter().map(|run| run.iter().map(|t| t.microseconds).sum()).collect()
}

/// The dispatches of some runs of one plan, each with the median of its times.
pub(crate) fn merge(runs: &[Vec<Timing>]) -> Vec<Timing> {
    let first = runs.first().cloned().unwrap_or_default();
    let time = |k: usize| median(runs.iter().filter_map(|run| run.get(k)).map(|t| t.microseconds).collect());
    first.into_iter().enumerate().map(|(k, timing)| Timing { microseconds: time(k), ..timing }).collect()
}
