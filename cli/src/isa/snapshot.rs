//! The committed figures, and how new ones compare with them. Pure data.

use super::figures::Figures;
use crate::failure::{Failure, Result};
use crate::table::Table;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Multiply-adds may lose this many points of their share.
const SHARE_POINTS: f64 = 1.0;
/// Accesses to memory may become narrower by this share.
const WIDTH_SHARE: f64 = 0.1;

const TITLES: &[&str] = &[
    "row", "variant", "kernel", "target", ">wave", ">vgprs", ">sgprs", ">vspill", ">sspill", ">scratch", ">lds", ">waves", ">code",
    ">hot", ">fma%", ">width", ">checks", ">bounds",
];

/// What identifies a kernel: row, variant, kernel, target.
type Key = [String; 4];

/// One kernel's figures, as far as they are compared.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    wave: u64,
    vgprs: u64,
    sgprs: u64,
    spilled_vgprs: u64,
    spilled_sgprs: u64,
    scratch: u64,
    lds: u64,
    waves: u64,
    code: u64,
    /// Instructions of the hottest loop.
    hot: u64,
    /// Multiply-adds among them in percent.
    share: f64,
    /// Dwords per access to memory.
    width: f64,
    checks: u64,
    bounds: u64,
}

/// Kernels and their figures, and the driver that they come from.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Snapshot {
    pub(super) driver: String,
    entries: BTreeMap<Key, Entry>,
}

/// How figures compare with the committed ones.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Comparison {
    /// What got worse, and rows that are missing on either side.
    pub(super) worse: Vec<String>,
    /// What got better or is merely different.
    pub(super) other: Vec<String>,
}

fn tenth(x: f64) -> f64 {
    (x * 10.0).round() / 10.0
}

impl From<&Figures> for Entry {
    fn from(f: &Figures) -> Self {
        Entry {
            wave: u64::from(f.wave),
            vgprs: f.vgprs,
            sgprs: f.sgprs,
            spilled_vgprs: f.spilled_vgprs,
            spilled_sgprs: f.spilled_sgprs,
            scratch: f.scratch,
            lds: f.lds,
            waves: f.waves,
            code: f.code,
            hot: f.hot.instructions as u64,
            share: tenth(f.hot.share()),
            width: tenth(f.hot.width()),
            checks: f.hot.checks as u64,
            bounds: f.hot.bounds as u64,
        }
    }
}

impl Entry {
    fn cells(&self) -> [String; 14] {
        let whole = |n: u64| n.to_string();
        [
            whole(self.wave),
            whole(self.vgprs),
            whole(self.sgprs),
            whole(self.spilled_vgprs),
            whole(self.spilled_sgprs),
            whole(self.scratch),
            whole(self.lds),
            whole(self.waves),
            whole(self.code),
            whole(self.hot),
            format!("{:.1}", self.share),
            format!("{:.1}", self.width),
            whole(self.checks),
            whole(self.bounds),
        ]
    }

    fn parse(cells: &[&str]) -> Option<Entry> {
        let [wave, vgprs, sgprs, vspill, sspill, scratch, lds, waves, code, hot, share, width, checks, bounds] = cells else {
            return None;
        };
        let whole = |text: &str| text.parse().ok();
        Some(Entry {
            wave: whole(wave)?,
            vgprs: whole(vgprs)?,
            sgprs: whole(sgprs)?,
            spilled_vgprs: whole(vspill)?,
            spilled_sgprs: whole(sspill)?,
            scratch: whole(scratch)?,
            lds: whole(lds)?,
            waves: whole(waves)?,
            code: whole(code)?,
            hot: whole(hot)?,
            share: share.parse().ok()?,
            width: width.parse().ok()?,
            checks: whole(checks)?,
            bounds: whole(bounds)?,
        })
    }

    /// What a reader should know of these figures beside the committed ones: the worse, and the rest. Of another driver's
    /// figures only what no driver should do is compared.
    fn against(&self, before: &Entry, same_driver: bool) -> (Vec<String>, Vec<String>) {
        let (mut worse, mut other) = (Vec::new(), Vec::new());
        let mut more = |what: &str, before: u64, now: u64| match now.cmp(&before) {
            Ordering::Greater => worse.push(format!("{what} {before} -> {now}")),
            Ordering::Less => other.push(format!("{what} {before} -> {now}")),
            Ordering::Equal => {}
        };
        more("spilled vector registers", before.spilled_vgprs, self.spilled_vgprs);
        more("bounds on loops in the hot loop", before.bounds, self.bounds);
        if !same_driver {
            return (worse, vec![]);
        }
        more("spilled scalar registers", before.spilled_sgprs, self.spilled_sgprs);
        more("bytes of scratch memory", before.scratch, self.scratch);
        more("checks of indices in the hot loop", before.checks, self.checks);
        let mut less = |text: String, is_worse: bool| if is_worse { worse.push(text) } else { other.push(text) };
        if self.waves != before.waves {
            less(format!("waves per SIMD {} -> {}", before.waves, self.waves), self.waves < before.waves);
        }
        if (self.share - before.share).abs() > SHARE_POINTS {
            let text = format!("share of multiply-adds {:.1}% -> {:.1}%", before.share, self.share);
            less(text, self.share < before.share);
        }
        if (self.width - before.width).abs() > WIDTH_SHARE * before.width {
            let text = format!("dwords per access to memory {:.1} -> {:.1}", before.width, self.width);
            less(text, self.width < before.width);
        }
        if worse.is_empty() && other.is_empty() && self != before {
            other.push(format!("registers, code or instructions differ a little: {self:?}"));
        }
        (worse, other)
    }
}

impl Snapshot {
    /// The figures of a run.
    pub(super) fn of(figures: &[Figures]) -> Self {
        let key = |f: &Figures| [f.row.clone(), f.variant.clone(), f.kernel.clone(), f.target.clone()];
        Snapshot {
            driver: figures.first().map(|f| f.driver.clone()).unwrap_or_default(),
            entries: figures.iter().map(|f| (key(f), Entry::from(f))).collect(),
        }
    }

    /// As a file.
    pub(super) fn print(&self) -> String {
        let mut text = String::from(
            "# What the AMD compiler makes of the kernels; `gristmill isa --write` renews this file.\n\
             # wave: lanes of a subgroup; vspill, sspill: spilled registers; waves: subgroups of 32 lanes per SIMD; hot: instructions\n\
             # of the hottest loop, fma%: multiply-adds among them, width: dwords per access to memory in it, checks: clamped or\n\
             # compared integers in it, bounds: borrows of 64-bit loop counters in it.\n",
        );
        let _ = writeln!(text, "driver {}", self.driver);
        let mut table = Table::new(TITLES);
        for (key, entry) in &self.entries {
            table.row(key.iter().cloned().chain(entry.cells()));
        }
        let _ = write!(text, "{table}");
        text
    }

    /// From a file.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let mut lines = text.lines().filter(|l| !l.starts_with('#') && !l.trim().is_empty());
        let wrong =
            |line: &str| Failure::message(format!("expected a row of figures, found `{line}`; renew the file with --write"));
        let first = lines.next().unwrap_or_default();
        let driver = first.strip_prefix("driver ").ok_or_else(|| wrong(first))?.to_string();
        let titles: Vec<&str> = TITLES.iter().map(|t| t.trim_start_matches('>')).collect();
        let second = lines.next().unwrap_or_default();
        if second.split_whitespace().collect::<Vec<_>>() != titles {
            return Err(wrong(second));
        }
        let entry = |line: &str| {
            let cells: Vec<&str> = line.split_whitespace().collect();
            let (key, rest) = cells.split_at_checked(4)?;
            let key: Vec<String> = key.iter().map(ToString::to_string).collect();
            Some((Key::try_from(key).ok()?, Entry::parse(rest)?))
        };
        let entries = lines.map(|line| entry(line).ok_or_else(|| wrong(line))).collect::<Result<_>>()?;
        Ok(Snapshot { driver, entries })
    }

    /// These figures against the committed ones.
    pub(super) fn against(&self, committed: &Snapshot) -> Comparison {
        let mut comparison = Comparison::default();
        for (key, now) in &self.entries {
            let name = key.join(" ");
            match committed.entries.get(key) {
                None => comparison.worse.push(format!("{name}: has no committed row")),
                Some(before) => {
                    let (worse, other) = now.against(before, self.driver == committed.driver);
                    let line = |what: Vec<String>| (!what.is_empty()).then(|| format!("{name}: {}", what.join(", ")));
                    comparison.worse.extend(line(worse));
                    comparison.other.extend(line(other));
                }
            }
        }
        let gone = committed.entries.keys().filter(|key| !self.entries.contains_key(*key));
        comparison.worse.extend(gone.map(|key| format!("{}: is committed, but there is no such kernel", key.join(" "))));
        comparison
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry {
            wave: 64,
            vgprs: 96,
            sgprs: 32,
            spilled_vgprs: 0,
            spilled_sgprs: 0,
            scratch: 0,
            lds: 8192,
            waves: 8,
            code: 3000,
            hot: 600,
            share: 88.0,
            width: 4.0,
            checks: 1,
            bounds: 0,
        }
    }

    fn snapshot(rows: &[(&str, Entry)]) -> Snapshot {
        let key = |row: &str| [row.to_string(), "tiled".into(), "matmul_tiled".into(), "GFX1100".into()];
        Snapshot { driver: "Mesa 1.2.3".into(), entries: rows.iter().map(|(row, entry)| (key(row), entry.clone())).collect() }
    }

    /// What changing one row to `now` is reported as.
    fn change(now: Entry) -> Comparison {
        snapshot(&[("matmul:512", now)]).against(&snapshot(&[("matmul:512", entry())]))
    }

    #[test]
    fn a_file_reads_as_it_was_written() {
        let all = snapshot(&[("matmul:512", entry()), ("conv:64x56x56-64x3x3,pad=1", Entry { share: 0.1, ..entry() })]);
        assert_eq!(Snapshot::parse(&all.print()).expect("it was just written"), all);
        for damaged in
            ["", "driver x\n", "driver x\nrow variant\n", &all.print().replace("3000", "many"), &all.print().replace(" 8192", "")]
        {
            assert!(Snapshot::parse(damaged).is_err(), "{damaged}");
        }
    }

    #[test]
    fn nothing_is_said_of_equal_figures() {
        assert_eq!(change(entry()), Comparison::default());
    }

    #[test]
    fn worse_figures_are_told_from_others() {
        let worse = [
            Entry { share: 86.9, ..entry() },
            Entry { waves: 7, ..entry() },
            Entry { spilled_vgprs: 1, ..entry() },
            Entry { spilled_sgprs: 1, ..entry() },
            Entry { scratch: 16, ..entry() },
            Entry { checks: 2, ..entry() },
            Entry { bounds: 1, ..entry() },
            Entry { width: 2.5, ..entry() },
            Entry { share: 99.0, waves: 7, ..entry() },
        ];
        for now in worse {
            assert_eq!(change(now.clone()).worse.len(), 1, "{now:?}");
        }
        let other = [
            Entry { share: 87.1, ..entry() },
            Entry { share: 90.0, ..entry() },
            Entry { waves: 10, ..entry() },
            Entry { checks: 0, ..entry() },
            Entry { vgprs: 97, code: 3100, ..entry() },
        ];
        for now in other {
            let found = change(now.clone());
            assert_eq!((found.worse.len(), found.other.len()), (0, 1), "{now:?}");
        }
    }

    #[test]
    fn of_another_driver_only_spills_and_bounds_count() {
        let committed = snapshot(&[("matmul:512", entry())]);
        let found = |now: Entry| Snapshot { driver: "Mesa 4.5.6".into(), ..snapshot(&[("matmul:512", now)]) }.against(&committed);
        assert_eq!(found(Entry { share: 50.0, waves: 2, vgprs: 200, ..entry() }), Comparison::default());
        assert_eq!(found(Entry { spilled_vgprs: 3, ..entry() }).worse.len(), 1);
    }

    #[test]
    fn rows_that_one_side_lacks_are_worse() {
        let (one, two) = (snapshot(&[("matmul:512", entry())]), snapshot(&[("matmul:512", entry()), ("matmul:1024", entry())]));
        assert!(one.against(&two).worse[0].contains("matmul:1024") && one.against(&two).worse.len() == 1);
        assert!(two.against(&one).worse[0].contains("no committed row") && two.against(&one).worse.len() == 1);
    }
}
