//! `gristmill test`.

use crate::Verdict;
use crate::cases::{self, Case};
use crate::compare::{Difference, Tolerance, compare};
use crate::device::{Device, DeviceArguments};
use crate::failure::{Failure, Result};
use crate::inputs::views;
use crate::progress::Watch;
use crate::report::write_json;
use clap::Args;
use gristmill::{ErrorKind, Model, Options};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde::Serialize;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::Instant;

/// Runs cases in the ONNX test layout (model.onnx beside test_data_set_K/input_I.pb and output_I.pb)
#[derive(Args)]
pub(crate) struct Test {
    /// Folders to search for cases
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    tolerance: Tolerance,
    #[command(flatten)]
    device: DeviceArguments,
    /// Write the results to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Compile the kernels with run-time bounds checks
    #[arg(long)]
    checked: bool,
}

/// How a case came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Passed,
    Failed,
    Unsupported,
}

#[derive(Serialize)]
struct CaseReport {
    name: String,
    status: Status,
    seconds: f64,
    gpu_nodes: usize,
    host_nodes: usize,
    max_abs: f64,
    max_rel: f64,
    message: String,
}

#[derive(Serialize)]
struct Report {
    adapter: String,
    passed: usize,
    failed: usize,
    unsupported: usize,
    cases: Vec<CaseReport>,
}

/// What was seen of a case so far, kept when it ends in an error.
#[derive(Default)]
struct Progress {
    gpu_nodes: usize,
    host_nodes: usize,
    ran: bool,
    difference: Difference,
}

impl Test {
    pub(crate) fn run(&self, out: &mut dyn Write) -> Result<Verdict> {
        let mut found = Vec::new();
        for path in &self.paths {
            found.extend(cases::find(path)?);
        }
        let device = self.device.open()?;
        writeln!(out, "device: {}; cases: {}", device.name(), found.len())?;
        // Where stderr is no terminal it draws nothing.
        let bars = MultiProgress::new();
        let bar = bars.add(ProgressBar::new(found.len() as u64));
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}") {
            bar.set_style(style);
        }
        let mut cases = Vec::new();
        for case in found {
            bar.set_message(case.name.clone());
            let report = self.case(&case, &device, &Watch::among(&bars));
            // The bars draw on the same terminal.
            bars.suspend(|| print_case(out, &report))?;
            cases.push(report);
            bar.inc(1);
        }
        bar.finish_and_clear();

        let count = |status| cases.iter().filter(|c| c.status == status).count();
        let (passed, failed, unsupported) = (count(Status::Passed), count(Status::Failed), count(Status::Unsupported));
        if let Some(path) = &self.json {
            let report = Report { adapter: device.name(), passed, failed, unsupported, cases };
            write_json(path, &report)?;
        }
        writeln!(out, "{passed} passed, {failed} failed, {unsupported} unsupported")?;
        Ok(if failed > 0 { Verdict::Bad } else { Verdict::Good })
    }

    fn case(&self, case: &Case, device: &Device, watch: &Watch) -> CaseReport {
        let start = Instant::now();
        let mut progress = Progress::default();
        // One broken case must not end the others.
        let result = catch_unwind(AssertUnwindSafe(|| self.run_case(case, device, watch, &mut progress)));
        let (status, message) = match result {
            Ok(Ok(())) => match progress.difference.mismatch.take() {
                None => (Status::Passed, String::new()),
                Some(mismatch) => (Status::Failed, mismatch),
            },
            Ok(Err(Failure::Library(e))) if e.kind() == ErrorKind::Unsupported && !progress.ran => {
                (Status::Unsupported, e.to_string())
            }
            Ok(Err(e)) => (Status::Failed, e.to_string()),
            Err(cause) => (Status::Failed, crate::panic_text(&*cause)),
        };
        CaseReport {
            name: case.name.clone(),
            status,
            seconds: start.elapsed().as_secs_f64(),
            gpu_nodes: progress.gpu_nodes,
            host_nodes: progress.host_nodes,
            max_abs: progress.difference.max_abs,
            max_rel: progress.difference.max_rel,
            message,
        }
    }

    fn run_case(&self, case: &Case, device: &Device, watch: &Watch, progress: &mut Progress) -> Result<()> {
        let model = Model::load(&case.model)?;
        cases::refuse_structures(case, &model)?;
        let options = watch.options(Options { checked: self.checked, ..Options::default() });
        let session = device.session(&model, options)?;
        for folder in &case.data_sets {
            let inputs = cases::read_inputs(folder, &model)?;
            let expected = cases::read_outputs(folder, &model)?;
            // A plan is of no use to the references.
            let plan = if let Device::Gpu(_) = device { session.explain_run(&views(&inputs)).ok() } else { None };
            progress.host_nodes = plan.as_ref().map_or(model.graph().nodes().len(), |plan| plan.host_nodes.len());
            progress.gpu_nodes = plan.map_or(0, |plan| plan.planned_nodes - plan.host_nodes.len());
            let outputs = session.run_blocking(&views(&inputs))?;
            progress.ran = true;
            for (name, expected) in &expected {
                match outputs.get(name) {
                    Some(actual) => progress.difference.join(compare(name, actual, expected, self.tolerance)),
                    None => return Err(Failure::message(format!("the run gave no output `{name}`"))),
                }
            }
        }
        Ok(())
    }
}

fn print_case(out: &mut dyn Write, case: &CaseReport) -> Result<()> {
    match case.status {
        Status::Passed => writeln!(
            out,
            "passed       {}: {:.2} s, {} nodes on the GPU, {} on the host, max abs {:.1e}, rel {:.1e}",
            case.name, case.seconds, case.gpu_nodes, case.host_nodes, case.max_abs, case.max_rel
        )?,
        Status::Failed => writeln!(out, "FAILED       {}: {}", case.name, case.message)?,
        Status::Unsupported => writeln!(out, "unsupported  {}: {}", case.name, case.message)?,
    }
    // Each case is seen as soon as it is done.
    out.flush()?;
    Ok(())
}
