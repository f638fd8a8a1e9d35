//! `gristmill run`.

use crate::Verdict;
use crate::device::DeviceArguments;
use crate::failure::Result;
use crate::inputs::{InputArguments, views};
use crate::kernels;
use crate::npy;
use crate::progress::Watch;
use crate::states::{self, StateArguments};
use crate::table::{Table, duration, range};
use crate::tune::TuneArguments;
use clap::Args;
use gristmill::{Model, Options, Structure, Tensor};
use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

/// Runs a model and prints what comes out
#[derive(Args)]
pub(crate) struct Run {
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
    /// Write the outputs, and what states hold at the end, to this file
    #[arg(long, value_name = "FILE.npz")]
    outputs: Option<PathBuf>,
    /// Run this often; the first run also plans and compiles
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    /// Also print (and write) this intermediate value; may be repeated
    #[arg(long = "tap", value_name = "VALUE")]
    taps: Vec<String>,
    /// Compile the kernels with run-time bounds checks
    #[arg(long)]
    checked: bool,
    /// Fail when a node would run on the host
    #[arg(long)]
    strict_gpu: bool,
    /// Also list what each kernel took to compile and in its first dispatch, the slowest first
    #[arg(long)]
    verbose: bool,
}

impl Run {
    pub(crate) fn run(&self, out: &mut dyn Write) -> Result<Verdict> {
        let model = self.states.of(&Model::load(&self.model)?)?;
        let mut inputs = self.inputs.load(&model, None)?;
        let device = self.device.open()?;
        let options =
            Options { checked: self.checked, strict_gpu: self.strict_gpu, taps: self.taps.clone(), ..self.tune.options() };
        let watch = Watch::new();
        let session = device.session(&model, watch.options(options))?;
        let mut state = states::started(&session, &mut inputs)?;
        let mut times = Vec::new();
        let mut outputs = None;
        for _ in 0..self.repeat {
            let start = Instant::now();
            outputs = Some(states::run(&session, &mut state, &inputs)?);
            times.push(start.elapsed());
        }
        if self.verbose {
            let plan = session.plan(&views(&inputs)).ok();
            kernels::print(out, &watch.times(plan.as_ref(), self.checked)?)?;
        }
        let kept = states::contents(&state)?;
        let mut named: Vec<(String, &Tensor)> = outputs.iter().flat_map(|o| o.structures()).flat_map(tensors).collect();

        writeln!(out, "device: {}", device.name())?;
        let mut table = Table::new(&["output", "type", "shape", "range"]);
        for (name, tensor) in &named {
            table.row([name.clone(), tensor.dtype().to_string(), tensor.shape().to_string(), range(tensor)]);
        }
        for (name, tensor) in &kept {
            table.row([format!("state {name}"), tensor.dtype().to_string(), tensor.shape().to_string(), range(tensor)]);
        }
        writeln!(out, "{table}")?;
        let first = times.remove(0);
        writeln!(out, "first run (with planning and compiling): {}", duration(first))?;
        times.sort();
        if let (Some(fastest), Some(slowest)) = (times.first(), times.last()) {
            let median = times[times.len() / 2];
            let (n, median, fastest, slowest) = (times.len(), duration(median), duration(*fastest), duration(*slowest));
            writeln!(out, "time per run ({n} runs): median {median}, fastest {fastest}, slowest {slowest}")?;
        }
        named.extend(kept.iter().map(|(name, tensor)| (name.clone(), tensor)));
        if let Some(path) = &self.outputs {
            npy::write_npz(path, named.iter().map(|(name, tensor)| (name.as_str(), *tensor)))?;
            writeln!(out, "wrote {}", path.display())?;
        }
        Ok(Verdict::Good)
    }
}

/// The tensors of an output, with their names: those of a sequence are numbered.
fn tensors<'a>((name, output): (&str, &'a Structure<Tensor>)) -> Vec<(String, &'a Tensor)> {
    match output {
        Structure::Tensor(tensor) => vec![(name.to_string(), tensor)],
        Structure::Sequence(tensors) => tensors.iter().enumerate().map(|(k, tensor)| (format!("{name}[{k}]"), tensor)).collect(),
        Structure::Absent => vec![],
    }
}
