//! `gristmill profile`.

use crate::Verdict;
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
    /// Write a trace for chrome://tracing or Perfetto to this file
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
}

impl Profile {
    pub(crate) fn run(&self, out: &mut dyn Write) -> Result<Verdict> {
        let model = Model::load(&self.model)?;
        let inputs = self.inputs.load(&model, Some(0))?;
        let device = Device::Gpu(self.device.open_gpu()?);
        let session = device.session(&model, Watch::new().options(self.tune.options()))?;
        let profile = session.profile_blocking(&views(&inputs), self.repeat as usize)?;
        print(out, &profile)?;
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
