//! What steps of training cost: `cargo bench --bench training -- [seq2seq] [cnn] [gpt] [--plan]`. The networks are those of `benches/peers`, and so
//! are the lines: milliseconds of a forward pass with its loss, and of a whole step by AdamW. `--plan` prints dispatches and memory instead
//! (`--portable`: on an adapter of WebGPU's guaranteed limits), `--nodes` the nodes of a step by the time of their kernels, `--trainer` what a
//! trainer takes beside its steps, and what reading losses and looking for what is not finite do.
//!
//! A sample is so many passes and one read of the last loss, divided by their number. Samples of both kinds alternate.

mod networks;
mod trainer;

use gristmill::train::{self, Adam, Step, StepOptions};
use gristmill::{Gpu, Power, TensorView};
use networks::{Learning, NETWORKS};
use std::time::{Duration, Instant};

/// How long a network is measured.
const DURATION: Duration = Duration::from_secs(10);
/// How long a sample takes, roughly.
const SAMPLE: Duration = Duration::from_millis(250);

/// What is timed.
struct Passes<'a> {
    step: Step,
    batch: Vec<(&'a str, TensorView<'a>)>,
}

impl Passes<'_> {
    fn forward(&mut self) {
        self.step.evaluate_blocking(&["loss"], &self.batch).expect("the network runs");
    }

    fn learn(&mut self) {
        self.step.step_blocking(&self.batch).expect("the network learns");
    }

    /// Seconds of one pass.
    fn sample(&mut self, learns: bool, times: u32) -> f64 {
        let start = Instant::now();
        for _ in 0..times {
            if learns { self.learn() } else { self.forward() }
        }
        if learns {
            self.step.loss_blocking().expect("a loss");
        }
        start.elapsed().as_secs_f64() / f64::from(times)
    }
}

fn measure(passes: &mut Passes<'_>, name: &str, engine: &str, parameters: usize) {
    passes.sample(false, 1);
    passes.sample(true, 1);
    let first = passes.step.loss_blocking().expect("a loss");
    let times = [false, true].map(|learns| {
        let once = (0..3).map(|_| passes.sample(learns, 1)).fold(f64::INFINITY, f64::min);
        ((SAMPLE.as_secs_f64() / once) as u32).clamp(1, 16)
    });
    let mut taken = [vec![], vec![]];
    let start = Instant::now();
    while taken[1].len() < 5 || start.elapsed() < DURATION {
        for (k, learns) in [false, true].into_iter().enumerate() {
            taken[k].push(passes.sample(learns, times[k]));
        }
    }
    let last = passes.step.loss_blocking().expect("a loss");
    assert!(last.is_finite() && last < first, "{name}: the loss went from {first} to {last}");
    for (what, taken) in ["forward", "step"].iter().zip(&mut taken) {
        taken.sort_by(f64::total_cmp);
        let at = |part: f64| taken[((taken.len() - 1) as f64 * part) as usize];
        println!(
            "{{\"engine\": \"{engine}\", \"network\": \"{name}\", \"what\": \"{what}\", \"milliseconds\": {:.3}, \"minimum\": {:.3}, \
             \"spread\": {:.4}, \"samples\": {}, \"parameters\": {parameters}}}",
            at(0.5) * 1e3,
            taken[0] * 1e3,
            (at(0.75) - at(0.25)) / 2.0 / at(0.5),
            taken.len()
        );
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let wanted: Vec<&String> = arguments.iter().filter(|a| !a.starts_with("--")).collect();
    let flag = |name: &str| arguments.iter().any(|a| a == name);
    let gpu = Gpu::new_blocking(Power::High).expect("a bench needs an adapter; lavapipe will do");
    for (name, make) in NETWORKS {
        if !wanted.is_empty() && !wanted.iter().any(|wanted| wanted == name) {
            continue;
        }
        if flag("--trainer") {
            trainer::compare(&gpu, name, &make(true));
            continue;
        }
        let Learning { graph, batch } = make(false);
        let parameters = train::parameters(&graph, "loss");
        let count = parameters.iter().filter_map(|name| Some(graph.constant(graph.find(name)?)?.elements())).sum();
        let options = StepOptions::new("loss", parameters, Adam::decoupled());
        let step = if flag("--portable") { Step::cpu(&graph, options) } else { Step::new(&gpu, &graph, options) };
        let step = step.expect("a network that can learn");
        let batch: Vec<_> = batch.iter().map(|(name, tensor)| (*name, tensor.view())).collect();
        let mut passes = Passes { step, batch };
        if flag("--plan") {
            let plan = passes.step.explain_run(&passes.batch).expect("a plan");
            let forward = passes.step.explain_evaluation(&["loss"], &passes.batch).expect("a plan");
            println!("{forward}\n{plan}");
            let (all, some) = (plan.steps.len(), forward.steps.len());
            println!("{name}: {all} dispatches, {some} forward: {:.2}", all as f64 / some as f64);
        } else if flag("--nodes") {
            passes.learn();
            let profile = passes.step.profile_blocking(&passes.batch, 5).expect("a profile");
            println!("{name}: {} dispatches, {:.0} us", profile.dispatches.len(), profile.device_microseconds());
            let mut dispatches = profile.dispatches;
            dispatches.sort_by(|a, b| b.microseconds.total_cmp(&a.microseconds));
            for timing in &dispatches {
                println!("{:>10.0} us  {:<28} {:<20} {}", timing.microseconds, timing.kernel, timing.variant, timing.label);
            }
        } else {
            measure(&mut passes, name, &format!("Gristmill on {}", gpu.caps()), count);
        }
    }
}
