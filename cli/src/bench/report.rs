//! The rows that `bench` prints, and their JSON form.

use super::ceiling::{Ceiling, Holder};
use super::measure::Measured;
use crate::rows::Row;
use crate::table::{Table, duration};
use serde::Serialize;
use std::time::Duration;

/// One timed row.
#[derive(Serialize)]
pub(crate) struct Line {
    pub(crate) family: &'static str,
    pub(crate) shape: String,
    pub(crate) dtype: String,
    pub(crate) variant: String,
    pub(crate) dispatches: usize,
    pub(crate) median_us: f64,
    pub(crate) min_us: f64,
    /// One run of many in one submission, by the host's clock.
    pub(crate) wall_us: f64,
    /// Half the distance between the quartiles, over the median.
    pub(crate) spread: f64,
    pub(crate) gflops: f64,
    pub(crate) gbps: f64,
    /// The least time that the adapter's ceilings allow, over the median.
    pub(crate) percent_of_ceiling: f64,
    /// The ceiling that this is.
    pub(crate) held_against: Holder,
    /// Floating-point operations per byte.
    #[serde(skip)]
    pub(crate) intensity: f64,
    /// What is held against the ceilings: operations, and bytes read and written.
    #[serde(skip)]
    work: [u64; 3],
}

/// All of a run.
#[derive(Serialize)]
pub(crate) struct Report<'a> {
    pub(crate) adapter: &'a str,
    pub(crate) driver: &'a str,
    pub(crate) ceiling: &'a Ceiling,
    pub(crate) rows: &'a [Line],
}

/// From where on a row says that the ceiling is measured too low.
const TOO_LOW: f64 = 105.0;

impl Line {
    pub(crate) fn new(row: &Row, measured: &Measured, ceiling: &Ceiling) -> Self {
        let (median, bytes) = (measured.times.median(), row.read + row.written);
        let mut line = Line {
            family: row.family,
            shape: row.shape.clone(),
            dtype: row.dtype.to_string(),
            variant: measured.variant.clone(),
            dispatches: measured.dispatches,
            median_us: median,
            min_us: measured.times.min(),
            wall_us: measured.wall,
            spread: measured.times.spread(),
            gflops: row.flops as f64 / median / 1e3,
            gbps: bytes as f64 / median / 1e3,
            percent_of_ceiling: 0.0,
            held_against: Holder::Dispatch,
            intensity: row.flops as f64 / bytes.max(1) as f64,
            work: [row.flops, row.read, row.written],
        };
        line.hold_against(ceiling);
        line
    }

    /// Says how much of a ceiling the row reaches.
    pub(crate) fn hold_against(&mut self, ceiling: &Ceiling) {
        let [flops, read, written] = self.work;
        let bound = ceiling.bound(flops, read, written);
        self.percent_of_ceiling = 100.0 * bound.microseconds / self.median_us.max(f64::MIN_POSITIVE);
        self.held_against = bound.by;
    }

    /// Whether the row is faster than its ceiling allows, which is a fault of the ceiling.
    pub(crate) fn is_beyond(&self) -> bool {
        self.percent_of_ceiling > TOO_LOW
    }
}

/// The rows as a table.
pub(crate) fn table(lines: &[Line]) -> Table {
    let time = |us: f64| duration(Duration::from_secs_f64(us.max(0.0) * 1e-6));
    let mut table = Table::new(&[
        "family",
        "shape",
        "dtype",
        "variant",
        ">median",
        ">min",
        ">wall",
        ">spread",
        ">GFLOP/s",
        ">GB/s",
        ">% of ceiling",
        "held against",
    ]);
    for line in lines {
        table.row([
            line.family.into(),
            line.shape.clone(),
            line.dtype.clone(),
            line.variant.clone(),
            time(line.median_us),
            time(line.min_us),
            time(line.wall_us),
            format!("{:.1}%", 100.0 * line.spread),
            format!("{:.1}", line.gflops),
            format!("{:.1}", line.gbps),
            format!("{:.1}", line.percent_of_ceiling),
            line.held_against.to_string(),
        ]);
    }
    table
}
