//! What the kernels of a model take before its first result.

use crate::failure::Result;
use crate::spirv;
use crate::table::{Table, duration};
use gristmill::internals::kernel::Kernel;
use gristmill::internals::plan::Plan;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::time::Duration;

/// What it took to make a kernel ready; times in microseconds.
#[derive(Clone, Debug)]
pub(crate) struct Timed {
    kernel: Kernel,
    pub(crate) compile_us: f64,
    pub(crate) dispatch_us: f64,
}

impl Timed {
    /// The entry of a kernel, which is made when it is not there.
    pub(crate) fn of<'a>(all: &'a mut Vec<Timed>, kernel: &Kernel) -> &'a mut Timed {
        let index = all.iter().position(|timed| timed.kernel == *kernel).unwrap_or_else(|| {
            all.push(Timed { kernel: kernel.clone(), compile_us: 0.0, dispatch_us: 0.0 });
            all.len() - 1
        });
        &mut all[index]
    }
}

/// What is known of a kernel, for people and for another process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct KernelTime {
    /// Name of the shader.
    kernel: String,
    /// Compiling it on the host.
    compile_us: f64,
    /// Its first dispatch, submission and wait included; some drivers compile only now.
    first_dispatch_us: f64,
    /// Lines of its text with all that is joined in front.
    lines: usize,
    /// Words of the SPIR-V that naga makes of it.
    words: usize,
    /// Name of the variant, and path of the node, of the first step that it belongs to; empty for models that run in stages.
    variant: String,
    node: String,
    /// Steps that it belongs to.
    steps: usize,
}

/// What some kernels took, the slowest first.
pub(crate) fn times(all: &[Timed], plan: Option<&Plan>, checked: bool) -> Result<Vec<KernelTime>> {
    let mut all: Vec<&Timed> = all.iter().collect();
    all.sort_by(|a, b| (b.compile_us + b.dispatch_us).total_cmp(&(a.compile_us + a.dispatch_us)));
    let time = |timed: &Timed| {
        let kernel = &timed.kernel;
        let steps = || plan.into_iter().flat_map(|plan| plan.steps().filter(|s| plan.kernels[s.kernel] == *kernel));
        let first = plan.zip(steps().next());
        Ok(KernelTime {
            kernel: kernel.shader.name.into(),
            compile_us: timed.compile_us,
            first_dispatch_us: timed.dispatch_us,
            lines: kernel.source().lines().count(),
            words: spirv::module(kernel, checked)?.words.len(),
            variant: first.map(|(_, step)| step.variant.into()).unwrap_or_default(),
            node: first.map(|(plan, step)| plan.graph.nodes()[step.node].path.clone()).unwrap_or_default(),
            steps: steps().count(),
        })
    };
    all.into_iter().map(time).collect()
}

/// Prints them as a table with a line of sums.
pub(crate) fn print(out: &mut dyn Write, times: &[KernelTime]) -> Result<()> {
    let time = |us: f64| duration(Duration::from_secs_f64(us.max(0.0) * 1e-6));
    let mut table =
        Table::new(&[">compile", ">first dispatch", ">lines", ">SPIR-V words", ">steps", "kernel", "variant", "first node"]);
    for t in times {
        let [lines, words, steps] = [t.lines, t.words, t.steps].map(|n| n.to_string());
        let (compile, dispatch) = (time(t.compile_us), time(t.first_dispatch_us));
        table.row([compile, dispatch, lines, words, steps, t.kernel.clone(), t.variant.clone(), t.node.clone()]);
    }
    write!(out, "{table}")?;
    let sum = |each: fn(&KernelTime) -> f64| time(times.iter().map(each).sum());
    let (compile, dispatch) = (sum(|t| t.compile_us), sum(|t| t.first_dispatch_us));
    let words: usize = times.iter().map(|t| t.words).sum();
    let count = times.len();
    writeln!(out, "{count} kernels: {compile} to compile (all threads together), {dispatch} in first dispatches, {words} words\n")?;
    Ok(())
}
