//! `--dry-run`: what a run would take.

use super::check::inputs_of;
use super::loss::LOSS;
use super::prepare::Run;
use super::show::{clock, few, seconds};
use crate::failure::Result;
use crate::table::{bytes, duration};
use gristmill::Explanation;
use gristmill::train::Batch;
use std::io::Write;
use std::time::{Duration, Instant};

/// Batches that steps are made of to take their time.
const BATCHES: usize = 4;
/// How long that goes on, at least one round of them.
const PATIENCE: Duration = Duration::from_secs(3);

/// Prints it. Nothing is written to files.
pub(crate) fn print(run: &mut Run, out: &mut dyn Write) -> Result<()> {
    super::header::print(run, out)?;
    let names = inputs_of(&run.graph, LOSS);
    let batches = batches(run)?;
    let forward = run.step.explain_evaluation(&[LOSS], &batches.first().map(|batch| batch.views(&names)).unwrap_or_default())?;
    writeln!(out, "dispatches   {} a step, {} of the forward pass alone", run.plan.steps.len(), forward.steps.len())?;
    if run.plan.recomputed() > 0 {
        writeln!(out, "             {} are of the forward pass and made anew", run.plan.recomputed())?;
    }
    if !run.plan.host_nodes.is_empty() {
        writeln!(out, "             {} nodes run on the host", run.plan.host_nodes.len())?;
    }
    memory(run, out)?;
    out.flush()?;

    let start = Instant::now();
    // Each plans and compiles at first.
    step(run, &batches, &names)?;
    let first = start.elapsed();
    let (start, mut made) = (Instant::now(), 0.0);
    while made == 0.0 || start.elapsed() < PATIENCE {
        step(run, &batches, &names)?;
        made += batches.len() as f64;
    }
    let a_step = start.elapsed().as_secs_f64() / made * f64::from(run.configuration.optimizer.accumulate.unwrap_or(1));
    let (speed, count) = (few(a_step.recip()), batches.len());
    writeln!(out, "a step       {}, {speed} a second; the first {count} took {}", duration(seconds(a_step)), duration(first))?;
    let whole = a_step * run.steps as f64;
    let Some(once) = evaluation(run)? else { return Ok(writeln!(out, "the run      {}", clock(seconds(whole)))?) };
    let times = run.steps.div_ceil(run.evaluate_every.max(1));
    let evaluations = once * times as f64;
    writeln!(out, "evaluations  {times} of {} each", duration(seconds(once)))?;
    Ok(writeln!(out, "the run      {}, {} of it evaluates", clock(seconds(whole + evaluations)), clock(seconds(evaluations)))?)
}

/// The first batches of the data.
fn batches(run: &mut Run) -> Result<Vec<Batch>> {
    let data = &mut run.data.training;
    let start = data.place();
    let batches = (0..BATCHES.min(data.batches())).map(|_| data.next_batch()).collect::<Result<_, _>>()?;
    data.go_to(start)?;
    Ok(batches)
}

/// A step of each batch, until the device is through.
fn step(run: &mut Run, batches: &[Batch], names: &[String]) -> Result<()> {
    for batch in batches {
        run.step.step_blocking(&batch.views(names))?;
    }
    run.step.loss_blocking()?;
    Ok(())
}

/// How many seconds an evaluation of the loss over all that is held out takes, from one batch of it.
fn evaluation(run: &mut Run) -> Result<Option<f64>> {
    let names = inputs_of(&run.graph, LOSS);
    let Some(data) = run.data.held_out.as_mut().filter(|_| !run.configuration.training.metrics.is_empty()) else { return Ok(None) };
    let (batch, count) = (data.next_batch()?, data.batches() as f64);
    let mut took = 0.0;
    for _ in 0..2 {
        // The first one plans and compiles.
        let start = Instant::now();
        run.step.evaluate_blocking(&[LOSS], &batch.views(&names))?;
        took = start.elapsed().as_secs_f64();
    }
    Ok(Some(took * count))
}

/// What a step takes of the device's memory, and for what.
fn memory(run: &Run, out: &mut dyn Write) -> Result<()> {
    let Explanation { weight_bytes, own_bytes, state_bytes, peak_bytes, texture_bytes, lower_bound, .. } = run.plan;
    let parameters = (run.numbers() * size_of::<f32>()) as u64;
    let whole = weight_bytes + own_bytes + state_bytes + peak_bytes + texture_bytes;
    writeln!(out, "memory       {} at most, of a batch like the first:", bytes(whole))?;
    let parts = [
        ("parameters", parameters.min(state_bytes)),
        ("optimizer and other states", state_bytes.saturating_sub(parameters)),
        ("activations and gradients", peak_bytes),
        ("constants", weight_bytes),
        ("inputs and outputs", own_bytes),
        ("scratch textures", texture_bytes),
    ];
    for (what, size) in parts.iter().filter(|(_, size)| *size > 0) {
        writeln!(out, "             {:>10}  {what}", bytes(*size))?;
    }
    if lower_bound > 0 {
        let ratio = peak_bytes as f64 / lower_bound as f64;
        writeln!(out, "             activations take {ratio:.2} times what lives at one dispatch, {}", bytes(lower_bound))?;
    }
    Ok(())
}
