//! `gristmill bench`: what kernels cost, and how far that is from what the adapter can do.

pub(crate) mod ceiling;
mod measure;
mod model;
mod plot;
mod report;

use crate::Verdict;
use crate::device::DeviceArguments;
use crate::failure::{Failure, Result};
use crate::inputs::InputArguments;
use crate::report::write_json;
use crate::rows::{self, Row, wanted};
use crate::tune::TuneArguments;
use ceiling::Ceiling;
use clap::Args;
use gristmill::{DType, Gpu, Options};
use measure::{Expected, measure, variants};
use model::ModelBench;
use report::{Line, Report, table};
use std::io::Write;
use std::path::PathBuf;

/// How often ceilings are measured anew where rows are faster than they allow.
const REMEASURED: usize = 2;

/// Times kernels: the median of many runs by the device's own clock, without uploads and readback
///
/// Each row is checked against the CPU reference before it is timed. The ceilings are measured first: copies and reads by each way
/// that this adapter's kernels have to memory, a loop of multiply-adds in registers, and the least dispatch. A row is held against the
/// one that allows it least, by the best way to memory. Where an adapter has no timestamps, many runs go into one submission that is
/// timed as a whole.
#[derive(Args)]
#[command(after_long_help = rows::help())]
pub(crate) struct Bench {
    /// What to time, as FAMILY or FAMILY:SHAPE; everything if left out
    #[arg(value_name = "FAMILY[:SHAPE]")]
    rows: Vec<String>,
    /// Time a whole model instead: latency, host time, peak memory, and how long its first result takes
    #[arg(long, value_name = "MODEL", conflicts_with_all = ["rows", "dtype", "plot"])]
    model: Option<PathBuf>,
    #[command(flatten)]
    inputs: InputArguments,
    /// Load the model, run it once and print how long that took: what `--model` asks of a fresh process
    #[arg(long, hide = true, requires = "model")]
    first_result: bool,
    #[command(flatten)]
    device: DeviceArguments,
    #[command(flatten)]
    tune: TuneArguments,
    /// Time this kernel variant, or `all` that the adapter can run
    #[arg(long, value_name = "V|all")]
    variant: Option<String>,
    /// Element type of the data: `f32`, or `f16`
    #[arg(long, value_name = "D", default_value = "f32")]
    dtype: String,
    /// Compile kernels with run-time checks of every index
    #[arg(long)]
    checked: bool,
    /// Write the rows to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draw a roofline picture of the rows into this SVG file
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
}

impl Bench {
    pub(crate) fn run(&self, out: &mut dyn Write) -> Result<Verdict> {
        if let Some(path) = &self.model {
            let options = Options { checked: self.checked, variant: self.variant.clone(), ..self.tune.options() };
            let bench = ModelBench { path, inputs: &self.inputs, device: &self.device, options, json: self.json.as_ref() };
            return if self.first_result { bench.first_result(out) } else { bench.run(out) }.map(|()| Verdict::Good);
        }
        let problems = wanted(&self.rows)?;
        let dtype = match self.dtype.as_str() {
            "f32" => DType::F32,
            "f16" => DType::F16,
            other => return Err(Failure::message(format!("--dtype {other}: expected f32 or f16"))),
        };
        let gpu = self.device.open_gpu()?;
        let caps = gpu.caps();
        // What is asked for in vain is told before anything is timed.
        let variants =
            problems.iter().map(|problem| self.variants(&gpu, &Row::new(problem, dtype)?)).collect::<Result<Vec<_>>>()?;
        let mut ceiling = Ceiling::measure(&gpu)?;
        writeln!(out, "adapter  {caps}")?;
        writeln!(out, "driver   {}", caps.driver)?;
        let mut lines = Vec::new();
        for (problem, variants) in problems.iter().zip(variants) {
            let row = Row::new(problem, dtype)?;
            let expected = Expected::new(&row.model, &row.inputs)?;
            for variant in variants {
                let options = Options { checked: self.checked, variant, ..self.tune.options() };
                lines.push(Line::new(&row, &measure(&gpu, &row, &expected, options)?, &ceiling));
            }
        }
        for _ in 0..REMEASURED {
            if !lines.iter().any(Line::is_beyond) {
                break;
            }
            ceiling = ceiling.raised(&Ceiling::measure(&gpu)?);
            lines.iter_mut().for_each(|line| line.hold_against(&ceiling));
        }
        writeln!(out, "{ceiling}")?;
        write!(out, "{}", table(&lines))?;
        if let Some(path) = &self.json {
            write_json(path, &Report { adapter: &caps.name, driver: &caps.driver, ceiling: &ceiling, rows: &lines })?;
        }
        if let Some(path) = &self.plot {
            plot::write(path, &format!("{} ({})", caps.name, caps.driver), &ceiling, &lines)?;
        }
        Ok(Verdict::Good)
    }

    /// The variants to time: the session's choice, the one asked for, or all.
    fn variants(&self, gpu: &Gpu, row: &Row) -> Result<Vec<Option<String>>> {
        let Some(asked) = &self.variant else { return Ok(vec![None]) };
        let offered = variants(gpu, row)?;
        match asked.as_str() {
            "all" => Ok(offered.into_iter().map(|v| Some(v.to_string())).collect()),
            name if offered.contains(&name) => Ok(vec![Some(name.to_string())]),
            name => Err(Failure::message(format!(
                "{}:{} has no variant `{name}` here: expected one of {}",
                row.family,
                row.shape,
                offered.join(", ")
            ))),
        }
    }
}
