//! Aligned columns, and numbers as people read them.

use gristmill::Tensor;
use std::fmt;
use std::time::Duration;

/// Rows of text under a header. Columns whose title starts with `>` are aligned to the right.
pub(crate) struct Table {
    titles: &'static [&'static str],
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub(crate) fn new(titles: &'static [&'static str]) -> Self {
        Table { titles, rows: Vec::new() }
    }

    /// Adds a row of as many cells as there are titles.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// True when nothing was added.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header: Vec<String> = self.titles.iter().map(|t| t.trim_start_matches('>').to_string()).collect();
        let all = || std::iter::once(&header).chain(&self.rows);
        let width = |column: usize| all().filter_map(|r| r.get(column)).map(|c| c.chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..header.len()).map(width).collect();
        for row in all() {
            let cells: Vec<String> = row
                .iter()
                .zip(self.titles.iter().zip(&widths))
                .map(
                    |(cell, (title, width))| {
                        if title.starts_with('>') { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
                    },
                )
                .collect();
            writeln!(f, "{}", cells.join("  ").trim_end())?;
        }
        Ok(())
    }
}

/// A time with three digits and a unit that fits.
pub(crate) fn duration(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        s if s >= 1.0 => format!("{s:.2} s"),
        s if s >= 1e-3 => format!("{:.2} ms", s * 1e3),
        s => format!("{:.1} us", s * 1e6),
    }
}

/// A number of bytes in a binary unit.
pub(crate) fn bytes(count: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let unit = (0..units.len()).rev().find(|u| count >= 1 << (10 * u)).unwrap_or(0);
    if unit == 0 { format!("{count} B") } else { format!("{:.1} {}", count as f64 / (1u64 << (10 * unit)) as f64, units[unit]) }
}

/// A float in few digits.
pub(crate) fn number(x: f64) -> String {
    match x.abs() {
        _ if x == 0.0 || !x.is_finite() => format!("{x}"),
        a if (1e-3..1e6).contains(&a) => format!("{x:.4}"),
        _ => format!("{x:.2e}"),
    }
}

/// Smallest and largest element, and how many elements are NaN or infinite.
pub(crate) fn range(tensor: &Tensor) -> String {
    if !tensor.dtype().is_float() {
        let values = tensor.to_i128();
        return match (values.iter().min(), values.iter().max()) {
            (Some(low), Some(high)) => format!("{low} .. {high}"),
            _ => "empty".into(),
        };
    }
    let values = tensor.to_f64();
    let finite = || values.iter().copied().filter(|x| x.is_finite());
    let odd = values.len() - finite().count();
    let range = match (finite().reduce(f64::min), finite().reduce(f64::max)) {
        (Some(low), Some(high)) => format!("{} .. {}", number(low), number(high)),
        _ if values.is_empty() => return "empty".into(),
        _ => "no finite value".into(),
    };
    if odd == 0 { range } else { format!("{range}, {odd} NaN or infinite") }
}
