//! What a trainer costs beside the steps that it makes: rounds of fifty steps each, by turns. What reading a loss costs is far less than rounds
//! differ by, and is timed by itself, behind a step: steps end with the device, so that nothing waits for a read but the host.

use crate::networks::Learning;
use gristmill::Gpu;
use gristmill::train::{self, Adam, Examples, FitOptions, Guard, Loader, LoaderOptions, Step, StepOptions, Trainer};
use std::time::Instant;

/// Steps of a round; a trainer logs after each half of them.
const STEPS: u64 = 50;
/// Rounds of each kind.
const ROUNDS: usize = 5;

/// How steps are made.
const KINDS: [&str; 3] = ["unguarded steps", "steps", "a trainer, two logs"];
/// How often a read is timed.
const READS: usize = 10;

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
    let mut steps = [Guard::Nothing, Guard::Gradients].map(make);
    let wait = || {
        gpu.device().poll(wgpu::PollType::wait_indefinitely()).expect("the device ends");
    };
    let mut trainer = Trainer::new(make(Guard::Gradients));
    let mut round = |kind: usize, count: u64| {
        let begun = Instant::now();
        match steps.get_mut(kind) {
            Some(step) => {
                (0..count).for_each(|_| drop(step.step_blocking(&batch).expect("a step")));
            }
            None => {
                let mut options = FitOptions { log_every: count.div_ceil(2), ..FitOptions::new(trainer.step().steps() + count) };
                trainer.fit_blocking(&mut data, &mut options, &mut []).expect("a run");
            }
        }
        wait();
        begun.elapsed().as_secs_f64() / count as f64
    };
    for kind in 0..KINDS.len() {
        round(kind, 3);
    }
    let mut taken = [const { vec![] }; KINDS.len()];
    for number in 0..ROUNDS {
        for turn in 0..KINDS.len() {
            // Each kind is as often the first as the others.
            let kind = (turn + number) % KINDS.len();
            taken[kind].push(round(kind, STEPS));
        }
    }
    let taken = taken.map(median);
    for (kind, what) in KINDS.iter().enumerate() {
        println!("{name}: {what}: {:.3} ms, {:+.2} % beside steps", taken[kind] * 1e3, (taken[kind] / taken[1] - 1.0) * 100.0);
    }
    let step = &mut steps[1];
    let reading = median((0..READS).map(|_| {
        step.step_blocking(&batch).expect("a step");
        wait();
        let begun = Instant::now();
        step.loss_blocking().expect("a loss");
        begun.elapsed().as_secs_f64()
    }));
    // Of a hundred steps, in percent.
    println!("{name}: a loss read: {:.3} ms, {:.4} % of 100 steps", reading * 1e3, reading / taken[1]);
}

fn median(times: impl IntoIterator<Item = f64>) -> f64 {
    let mut times: Vec<f64> = times.into_iter().collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
