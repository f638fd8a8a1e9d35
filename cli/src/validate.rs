//! `gristmill validate`.

use crate::Verdict;
use crate::compare::Tolerance;
use crate::device::{Device, DeviceArguments};
use crate::failure::Result;
use crate::inputs::{InputArguments, views};
use crate::progress::Watch;
use crate::report::write_json;
use crate::states::StateArguments;
use crate::table::Table;
use clap::Args;
use gristmill::{Model, Options, Suspect, Validation, ValueReport};
use serde::Serialize;
use std::io::Write;
use std::path::PathBuf;

/// Runs a model on the GPU with every intermediate value kept and compares each with the CPU reference
#[derive(Args)]
pub(crate) struct Validate {
    /// The ONNX file
    model: PathBuf,
    #[command(flatten)]
    inputs: InputArguments,
    #[command(flatten)]
    states: StateArguments,
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
    /// Compare gradients instead: of every node by itself and of all outputs together, on the GPU with the reference in double precision,
    /// and the reference with differences of its results. `atol` counts in parts of the greatest element of a gradient
    #[arg(long)]
    gradients: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    adapter: String,
    passed: bool,
    first_divergent: Option<&'a str>,
    first_non_finite: Option<&'a str>,
    values: Vec<Row<'a>>,
    outputs: Vec<Row<'a>>,
    suspect: Option<Fusion<'a>>,
}

/// The rewrite that makes the fused run wrong.
#[derive(Serialize)]
struct Fusion<'a> {
    pass: &'a str,
    node: &'a str,
    replaced: &'a [String],
    made: &'a [String],
    wrong_by_references: Option<bool>,
    other_passes: &'a [String],
}

impl<'a> From<&'a Suspect> for Fusion<'a> {
    fn from(suspect: &'a Suspect) -> Self {
        Fusion {
            pass: &suspect.pass,
            node: &suspect.node,
            replaced: &suspect.replaced,
            made: &suspect.made,
            wrong_by_references: suspect.by_references,
            other_passes: &suspect.others,
        }
    }
}

#[derive(Serialize)]
struct Row<'a> {
    node: &'a str,
    value: &'a str,
    elements: usize,
    max_abs: f64,
    max_rel: f64,
    max_ulp: u64,
    divergent: usize,
    non_finite: usize,
    non_finite_reference: usize,
}

impl<'a> From<&'a ValueReport> for Row<'a> {
    fn from(value: &'a ValueReport) -> Self {
        Row {
            node: &value.node,
            value: &value.value,
            elements: value.elements,
            max_abs: value.max_absolute,
            max_rel: value.max_relative,
            max_ulp: value.max_ulp,
            divergent: value.divergent,
            non_finite: value.non_finite,
            non_finite_reference: value.non_finite_reference,
        }
    }
}

impl Validate {
    pub(crate) fn run(&self, out: &mut dyn Write) -> Result<Verdict> {
        let model = self.states.of(&Model::load(&self.model)?)?;
        let inputs = self.inputs.load(&model, Some(0))?;
        let device = Device::Gpu(self.device.open_gpu()?);
        let options = Watch::new().options(Options { checked: self.checked, ..Options::default() });
        let session = device.session(&model, options)?;
        let tolerance = gristmill::Tolerance { relative: self.tolerance.rtol, absolute: self.tolerance.atol };
        if self.gradients {
            let found = session.validate_gradients_blocking(&views(&inputs), tolerance)?;
            crate::gradients::print(out, &device.name(), &found, self.json.as_deref())?;
            return Ok(if found.passed() { Verdict::Good } else { Verdict::Bad });
        }
        let validation = session.validate_blocking(&views(&inputs), tolerance)?;

        writeln!(out, "device: {}", device.name())?;
        print(out, &validation)?;
        if let Some(path) = &self.json {
            let report = Report {
                adapter: device.name(),
                passed: validation.passed(),
                first_divergent: validation.first_divergent().map(|v| v.value.as_str()),
                first_non_finite: validation.first_non_finite().map(|v| v.value.as_str()),
                values: validation.values.iter().map(Row::from).collect(),
                outputs: validation.outputs.iter().map(Row::from).collect(),
                suspect: validation.suspect.as_ref().map(Fusion::from),
            };
            write_json(path, &report)?;
        }
        Ok(if validation.passed() { Verdict::Good } else { Verdict::Bad })
    }
}

fn print(out: &mut dyn Write, validation: &Validation) -> Result<()> {
    let titles = &["node", "value", ">elements", ">max abs", ">max rel", ">max ulp", ">outside"];
    let mut nodes = Table::new(titles);
    validation.values.iter().for_each(|v| nodes.row(cells(v)));
    writeln!(out, "{nodes}")?;
    let mut outputs = Table::new(titles);
    validation.outputs.iter().for_each(|v| outputs.row(cells(v)));
    writeln!(out, "outputs, with all fusions:\n{outputs}")?;

    let name = |value: Option<&ValueReport>| value.map_or("none".into(), |v| format!("{} (value `{}`)", v.node, v.value));
    writeln!(out, "first node that diverges: {}", name(validation.first_divergent()))?;
    writeln!(out, "first node with a NaN or infinity: {}", name(validation.first_non_finite()))?;
    if validation.first_divergent().is_none() && !validation.passed() {
        writeln!(out, "node by node the run is right; only the fused run is wrong")?;
        match &validation.suspect {
            Some(suspect) => explain(out, suspect)?,
            None => writeln!(out, "it is not wrong with any pass alone: leaving out each in turn tells nothing")?,
        }
    }
    writeln!(out, "{}", if validation.passed() { "valid" } else { "NOT valid" })?;
    Ok(())
}

/// Which rewrite makes the fused run wrong.
fn explain(out: &mut dyn Write, suspect: &Suspect) -> Result<()> {
    let list = |paths: &[String]| if paths.is_empty() { "nothing".into() } else { paths.join(", ") };
    writeln!(out, "pass `{}` makes it wrong, at {}", suspect.pass, suspect.node)?;
    writeln!(out, "  it replaces {}", list(&suspect.replaced))?;
    writeln!(out, "  by {}", list(&suspect.made))?;
    match suspect.by_references {
        Some(true) => writeln!(out, "  the references find the rewritten graph wrong too: the pass is at fault")?,
        Some(false) => writeln!(out, "  the references find the rewritten graph right: a kernel is at fault")?,
        None => {}
    }
    if !suspect.others.is_empty() {
        writeln!(out, "  it is right without these passes as well: {}", suspect.others.join(", "))?;
    }
    Ok(())
}

fn cells(value: &ValueReport) -> [String; 7] {
    [
        value.node.clone(),
        value.value.clone(),
        value.elements.to_string(),
        format!("{:.2e}", value.max_absolute),
        format!("{:.2e}", value.max_relative),
        value.max_ulp.to_string(),
        value.divergent.to_string(),
    ]
}
