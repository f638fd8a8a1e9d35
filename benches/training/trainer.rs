//! What a trainer costs beside the steps that it makes: rounds of fifty steps each, by turns. Reading losses less often costs less.

use crate::networks::Learning;
use gristmill::Gpu;
use gristmill::train::{self, Adam, Examples, FitOptions, Guard, Loader, LoaderOptions, Step, StepOptions, Trainer};
use std::time::Instant;

/// Steps of a round, and between two logs.
const STEPS: u64 = 50;
/// Rounds of each kind.
const ROUNDS: usize = 5;

/// How steps are made.
const KINDS: [&str; 4] = ["unguarded steps", "steps", "steps, one loss read", "a trainer, one log"];

/// Prints the seconds of a step, and what each kind takes beside the bare steps.
pub(crate) fn compare(gpu: &Gpu, name: &str, learning: &Learning) {
    let parameters = train::parameters(&learning.graph, "loss");
    let make = |guard| {
        let options = StepOptions { guard, ..StepOptions::new("loss", parameters.clone(), Adam::decoupled()) };
        Step::new(gpu, &learning.graph, options).expect("a network that can learn")
    };
    // Every example is a whole batch.
    let inputs = learning.batch.iter().map(|(name, tensor)| (name.to_string(), tensor.clone())).collect();
    let mut data = Loader::new(Examples::new(inputs).expect("examples"), LoaderOptions::new(1)).expect("a loader");
    let batch: Vec<_> = learning.batch.iter().map(|(name, tensor)| (*name, tensor.view())).collect();
    let mut steps = [Guard::Nothing, Guard::Gradients, Guard::Gradients].map(make);
    let mut trainer = Trainer::new(make(Guard::Gradients));
    let mut round = |kind: usize, count: u64| {
        let begun = Instant::now();
        match steps.get_mut(kind) {
            Some(step) => {
                (0..count).for_each(|_| drop(step.step_blocking(&batch).expect("a step")));
                if kind == 2 {
                    step.loss_blocking().expect("a loss");
                }
            }
            None => {
                let mut options = FitOptions { log_every: count, ..FitOptions::new(trainer.step().steps() + count) };
                trainer.fit_blocking(&mut data, &mut options, &mut []).expect("a run");
            }
        }
        begun.elapsed().as_secs_f64() / count as f64
    };
    for kind in 0..KINDS.len() {
        round(kind, 3);
    }
    let mut taken = vec![vec![]; KINDS.len()];
    for number in 0..ROUNDS {
        for turn in 0..KINDS.len() {
            // Each kind is as often the first as the others.
            let kind = (turn + number) % KINDS.len();
            taken[kind].push(round(kind, STEPS));
        }
    }
    let median = |kind: usize| {
        let mut sorted = taken[kind].clone();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    };
    for (kind, what) in KINDS.iter().enumerate() {
        let beside = median(kind) / median(1) - 1.0;
        println!("{name}: {what}: {:.3} ms, {:+.2} % beside steps", median(kind) * 1e3, beside * 100.0);
    }
}
