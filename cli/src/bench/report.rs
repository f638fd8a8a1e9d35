//! The rows that `bench` prints, and their JSON form.

use super::ceiling::Ceiling;
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
    /// The time that the adapter's ceilings allow, over the median.
    pub(crate) percent_of_ceiling: f64,
    /// Floating-point operations per byte.
    #[serde(skip)]
    pub(crate) intensity: f64,
}

/// All of a run.
#[derive(Serialize)]
pub(crate) struct Report<'a> {
    pub(crate) adapter: &'a str,
    pub(crate) driver: &'a str,
    pub(crate) ceiling: Ceiling,
    pub(crate) rows: &'a [Line],
}

impl Line {
    pub(crate) fn new(row: &Row, measured: &Measured, ceiling: Ceiling) -> Self {
        let median = measured.times.median();
        Line {
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
            gbps: row.bytes as f64 / median / 1e3,
            percent_of_ceiling: 100.0 * ceiling.microseconds(row.flops, row.bytes) / median,
            intensity: row.flops as f64 / row.bytes.max(1) as f64,
        }
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
        ]);
    }
    table
}
