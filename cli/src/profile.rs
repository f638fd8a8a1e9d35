//! `gristmill profile`.

use crate::Verdict;
use crate::bench::ceiling::{Ceiling, Holder};
use crate::device::{Device, DeviceArguments};
use crate::failure::Result;
use crate::inputs::{InputArguments, views};
use crate::progress::Watch;
use crate::report::write_json;
use crate::table::{Table, duration};
use crate::tune::TuneArguments;
use clap::Args;
use gristmill::{Model, Profile as Times, Timing};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

/// Times every dispatch by the GPU's own clock
#[derive(Args)]
pub(crate) struct Profile {
    /// The ONNX file
    model: PathBuf,
    #[command(flatten)]
    inputs: InputArguments,
    #[command(flatten)]
    device: DeviceArguments,
    #[command(flatten)]
    tune: TuneArguments,
    /// Run this often and take the median of each dispatch
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    /// Write the dispatches, and what loses most, to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write a trace for chrome://tracing or Perfetto to this file
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
}

impl Profile {
    pub(crate) fn run(&self, out: &mut dyn Write) -> Result<Verdict> {
        let model = Model::load(&self.model)?;
        let inputs = self.inputs.load(&model, Some(0))?;
        let gpu = self.device.open_gpu()?;
        let device = Device::Gpu(gpu.clone());
        let session = device.session(&model, Watch::new().options(self.tune.options()))?;
        let profile = session.profile_blocking(&views(&inputs), self.repeat as usize)?;
        let ceiling = Ceiling::measure(&gpu)?;
        let losses = losses(&profile, &ceiling);
        print(out, &profile)?;
        print_losses(out, &losses)?;
        if let Some(path) = &self.json {
            write_json(path, &Report::new(&profile, &ceiling, &losses))?;
            writeln!(out, "wrote {}", path.display())?;
        }
        if let Some(path) = &self.trace {
            write_json(path, &trace(&profile))?;
            writeln!(out, "wrote {}", path.display())?;
        }
        Ok(Verdict::Good)
    }
}

fn microseconds(time: f64) -> String {
    duration(Duration::from_secs_f64(time.max(0.0) * 1e-6))
}

fn print(out: &mut dyn Write, profile: &Times) -> Result<()> {
    let total = profile.device_microseconds();
    let mut sorted: Vec<&Timing> = profile.dispatches.iter().collect();
    sorted.sort_by(|a, b| b.microseconds.total_cmp(&a.microseconds));
    let mut table = Table::new(&[">time", ">share", ">GFLOP/s", ">GB/s", "kernel", "variant", "grid", "nodes"]);
    for timing in sorted {
        let [x, y, z] = timing.grid;
        table.row([
            microseconds(timing.microseconds),
            format!("{:.1}%", 100.0 * timing.microseconds / total.max(f64::MIN_POSITIVE)),
            format!("{:.2}", timing.gflops()),
            format!("{:.2}", timing.gigabytes()),
            timing.kernel.into(),
            timing.variant.into(),
            format!("{x} x {y} x {z}"),
            timing.label.clone(),
        ]);
    }
    writeln!(out, "{table}")?;
    writeln!(out, "adapter            {}", profile.adapter)?;
    writeln!(out, "dispatches         {} in {}", profile.dispatches.len(), microseconds(total))?;
    writeln!(out, "whole run          {} (median of {})", microseconds(profile.wall_microseconds), profile.repeat)?;
    Ok(())
}

/// Kernels that a profile names for what they lose.
const NAMED: usize = 3;

/// A kernel's time beyond what the ceilings allow, over all dispatches of one variant.
#[derive(Serialize)]
struct Loss {
    kernel: &'static str,
    variant: &'static str,
    dispatches: usize,
    time_us: f64,
    /// The least time that the ceilings allow for the same.
    allowed_us: f64,
    lost_us: f64,
    /// What the dispatch that loses most was held against.
    held_against: Holder,
}

/// The kernels that lose most, the greatest loss first. What of a dispatch's bytes is written is not known: all count as read, which
/// is the least that they can take.
fn losses(profile: &Times, ceiling: &Ceiling) -> Vec<Loss> {
    let mut kernels: BTreeMap<(&str, &str), (Loss, f64)> = BTreeMap::new();
    for timing in &profile.dispatches {
        let bound = ceiling.bound(timing.work.flops, timing.work.bytes, 0);
        let lost = (timing.microseconds - bound.microseconds).max(0.0);
        let (kernel, variant, held_against) = (timing.kernel, timing.variant, bound.by);
        let none = Loss { kernel, variant, dispatches: 0, time_us: 0.0, allowed_us: 0.0, lost_us: 0.0, held_against };
        let (loss, most) = kernels.entry((kernel, variant)).or_insert((none, 0.0));
        loss.dispatches += 1;
        loss.time_us += timing.microseconds;
        loss.allowed_us += bound.microseconds;
        loss.lost_us += lost;
        if lost > *most {
            (loss.held_against, *most) = (held_against, lost);
        }
    }
    let mut all: Vec<Loss> = kernels.into_values().map(|(loss, _)| loss).filter(|loss| loss.lost_us > 0.0).collect();
    all.sort_by(|a, b| b.lost_us.total_cmp(&a.lost_us));
    all.truncate(NAMED);
    all
}

fn print_losses(out: &mut dyn Write, losses: &[Loss]) -> Result<()> {
    for (k, loss) in losses.iter().enumerate() {
        let title = if k == 0 { "most is lost by" } else { "" };
        writeln!(
            out,
            "{title:<18} {} ({}), {} beyond the ceiling of {}, of {} in {} dispatches",
            loss.kernel,
            loss.variant,
            microseconds(loss.lost_us),
            loss.held_against,
            microseconds(loss.time_us),
            loss.dispatches
        )?;
    }
    Ok(())
}

/// What is written as JSON; times in microseconds.
#[derive(Serialize)]
struct Report<'a> {
    adapter: &'a str,
    ceiling: &'a Ceiling,
    device_us: f64,
    wall_us: f64,
    /// In the order of the run.
    dispatches: Vec<Dispatch<'a>>,
    /// The kernels that lose most against their ceilings.
    losses: &'a [Loss],
}

#[derive(Serialize)]
struct Dispatch<'a> {
    node: &'a str,
    kernel: &'a str,
    variant: &'a str,
    grid: [u32; 3],
    flops: u64,
    bytes: u64,
    time_us: f64,
}

impl<'a> Report<'a> {
    fn new(profile: &'a Times, ceiling: &'a Ceiling, losses: &'a [Loss]) -> Self {
        let dispatches = profile.dispatches.iter().map(|t| Dispatch {
            node: &t.label,
            kernel: t.kernel,
            variant: t.variant,
            grid: t.grid,
            flops: t.work.flops,
            bytes: t.work.bytes,
            time_us: t.microseconds,
        });
        Report {
            adapter: &profile.adapter,
            ceiling,
            device_us: profile.device_microseconds(),
            wall_us: profile.wall_microseconds,
            dispatches: dispatches.collect(),
            losses,
        }
    }
}

/// A file of the Trace Event Format: complete events (`ph` X), times in microseconds.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Trace<'a> {
    display_time_unit: &'static str,
    trace_events: Vec<Event<'a>>,
}

#[derive(Serialize)]
struct Event<'a> {
    name: &'a str,
    cat: &'static str,
    ph: &'static str,
    ts: f64,
    dur: f64,
    pid: u32,
    tid: u32,
    args: EventArguments<'a>,
}

#[derive(Serialize)]
struct EventArguments<'a> {
    kernel: &'a str,
    variant: &'a str,
    grid: [u32; 3],
    flops: u64,
    bytes: u64,
}

/// The dispatches one after the other, as long as each took.
fn trace(profile: &Times) -> Trace<'_> {
    let mut end = 0.0;
    let starts = profile.dispatches.iter().map(|t| {
        let start = end;
        end += t.microseconds;
        start
    });
    let events = profile.dispatches.iter().zip(starts).map(|(t, ts)| Event {
        name: &t.label,
        cat: "dispatch",
        ph: "X",
        ts,
        dur: t.microseconds,
        pid: 0,
        tid: 0,
        args: EventArguments { kernel: t.kernel, variant: t.variant, grid: t.grid, flops: t.work.flops, bytes: t.work.bytes },
    });
    Trace { display_time_unit: "ms", trace_events: events.collect() }
}
