//! `gristmill explain`.

use crate::Verdict;
use crate::device::DeviceArguments;
use crate::failure::{Failure, Result};
use crate::inputs::{InputArguments, views};
use crate::states::StateArguments;
use crate::table::{Table, bytes};
use crate::tune::TuneArguments;
use clap::Args;
use gristmill::Model;
use gristmill::{ExplainedState, Explanation, Known};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::PathBuf;

/// Shows what a run would do, without running it: dispatches, fusions, host nodes, memory
///
/// With --tune on, what earlier runs measured decides which variants are taken; nothing is measured.
#[derive(Args)]
pub(crate) struct Explain {
    /// The ONNX file
    model: PathBuf,
    #[command(flatten)]
    inputs: InputArguments,
    #[command(flatten)]
    states: StateArguments,
    #[command(flatten)]
    device: DeviceArguments,
    #[command(flatten)]
    tune: TuneArguments,
    /// Print the whole text of this step's shader instead
    #[arg(long, value_name = "STEP")]
    wgsl: Option<usize>,
}

impl Explain {
    pub(crate) fn run(&self, out: &mut dyn Write) -> Result<Verdict> {
        let model = self.states.of(&Model::load(&self.model)?)?;
        let (given, types) = self.inputs.known(&model)?;
        let session = self.device.open()?.session(&model, self.tune.options())?;
        let given = views(&given).into_iter().map(|(name, view)| (name, Known::Tensor(view)));
        let types = types.iter().map(|(name, ty)| (name.as_str(), Known::Type(ty.clone())));
        let explanation = session.explain_known(&given.chain(types).collect::<Vec<_>>())?;
        match self.wgsl {
            Some(step) => print_shader(out, &explanation, step)?,
            None => print(out, &explanation)?,
        }
        Ok(Verdict::Good)
    }
}

/// The text that a step's pipeline is compiled from, with what is not in it as comments.
fn print_shader(out: &mut dyn Write, plan: &Explanation, index: usize) -> Result<()> {
    let step = plan.steps.get(index).ok_or_else(|| {
        let steps = plan.steps.len();
        Failure::message(format!("--wgsl {index}: expected a step of the plan, which has {steps}, the first of them 0"))
    })?;
    let ([x, y, z], [width, height, depth]) = (step.grid, step.pipeline.workgroup);
    writeln!(out, "// step {index}: {}", step.node)?;
    writeln!(out, "// {} ({}), {x} x {y} x {z} workgroups of {width} x {height} x {depth}", step.kernel, step.variant)?;
    for (name, value) in &step.pipeline.overrides {
        writeln!(out, "// override {name} = {value}")?;
    }
    Ok(writeln!(out, "{}", step.pipeline.source().trim_end())?)
}

fn print(out: &mut dyn Write, plan: &Explanation) -> Result<()> {
    let mut table = Table::new(&[">step", "nodes", "kernel", "variant", "by", "grid", "also possible"]);
    for (index, step) in plan.steps.iter().enumerate() {
        let [x, y, z] = step.grid;
        let alternatives = step.alternatives.join(", ");
        let cells = [
            index.to_string(),
            step.node.clone(),
            step.kernel.into(),
            step.variant.into(),
            if step.alternatives.is_empty() { String::new() } else { step.chosen.to_string() },
            format!("{x} x {y} x {z}"),
            alternatives,
        ];
        table.row(cells);
    }
    writeln!(out, "{table}")?;
    for stage in &plan.stages {
        writeln!(out, "stage      {}, behind {} steps: {}", stage.node, stage.after, stage.what)?;
        for body in &stage.bodies {
            writeln!(out)?;
            print(out, body)?;
        }
    }
    print_fusions(out, plan)?;
    print_unfit(out, plan)?;
    print_totals(out, plan)
}

/// What became one node, and what runs on the host.
fn print_fusions(out: &mut dyn Write, plan: &Explanation) -> Result<()> {
    let mut fusions: BTreeMap<String, usize> = BTreeMap::new();
    let mut last = None;
    for step in &plan.steps {
        // A node of several dispatches is one fusion.
        if last.replace(&step.node) != Some(&step.node) && step.node.contains('+') {
            *fusions.entry(pattern(&step.node)).or_default() += 1;
        }
    }
    for (pattern, count) in &fusions {
        writeln!(out, "fused      {count} x {pattern}")?;
    }
    for host in &plan.host_nodes {
        writeln!(out, "on host    {}: {} ({} copied)", host.node, host.reason, bytes(host.copied))?;
    }
    if !fusions.is_empty() || !plan.host_nodes.is_empty() {
        writeln!(out)?;
    }
    Ok(())
}

/// Variants that fit a node but for a reason, and how many nodes they do not fit for it.
fn print_unfit(out: &mut dyn Write, plan: &Explanation) -> Result<()> {
    let mut reasons: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    for step in &plan.steps {
        for (variant, reason) in &step.declined {
            reasons.entry((variant, reason)).or_default().insert(&step.node);
        }
    }
    for ((variant, reason), nodes) in &reasons {
        writeln!(out, "unfit      {} x {variant}: {reason}", nodes.len())?;
    }
    if !reasons.is_empty() {
        writeln!(out)?;
    }
    Ok(())
}

/// What the plan takes as a whole.
fn print_totals(out: &mut dyn Write, plan: &Explanation) -> Result<()> {
    for state in &plan.states {
        let ExplainedState { name, ty, bytes: size, written, reason } = state;
        writeln!(out, "state      {name} {ty}, {}: {written}, since {reason}", bytes(*size))?;
    }
    for (input, value) in &plan.assumptions {
        writeln!(out, "assumed    a shape depends on what `{input}` holds, which was taken to be {value}")?;
    }
    let ratio = if plan.lower_bound == 0 { 1.0 } else { plan.peak_bytes as f64 / plan.lower_bound as f64 };
    let limit = bytes(plan.binding_limit);
    writeln!(out, "adapter            {}", plan.adapter)?;
    writeln!(out, "nodes              {} of the model, {} after folding and fusion", plan.model_nodes, plan.planned_nodes)?;
    writeln!(out, "dispatches         {} ({} kernels to compile)", plan.steps.len(), plan.kernels)?;
    writeln!(out, "nodes on the host  {}", plan.host_nodes.len())?;
    writeln!(out, "weights            {}", bytes(plan.weight_bytes))?;
    writeln!(out, "inputs, outputs    {}", bytes(plan.own_bytes))?;
    if plan.state_bytes > 0 {
        writeln!(out, "states             {}", bytes(plan.state_bytes))?;
    }
    writeln!(
        out,
        "peak activations   {}, {ratio:.2} times the lower bound of {}",
        bytes(plan.peak_bytes),
        bytes(plan.lower_bound)
    )?;
    writeln!(out, "largest binding    {} of {limit}", bytes(plan.largest_binding))?;
    Ok(())
}

/// The operators of a fused node's path: `Conv + Relu` for `Conv:c1+Relu:r1`.
fn pattern(path: &str) -> String {
    let operators: Vec<&str> = path.split('+').map(|part| part.split(':').next().unwrap_or(part)).collect();
    operators.join(" + ")
}
