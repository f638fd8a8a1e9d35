//! What a thread of the engine does: one batch after another.

use super::batch::{Parted, joined, part};
use super::dispatcher::{Dispatcher, Job, Work};
use super::heartbeat::Pulse;
use super::served::{Done, Parts, Served};
use crate::failure::{Code, Failure, Result};
use crate::schedule::{DeviceId, Turn};
use gristmill::{Error, ErrorKind, Outputs, Session, SessionState, TensorView};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// How often a batch is computed whose device is lost.
const MAX_TRIES: usize = 3;

/// How often a device is asked whether it is lost, after a run that failed for no other reason.
const LOOKS: usize = 20;

/// How long to wait in between.
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// A request with what it is answered by.
type Answered = (Job, Result<Done>);

/// What a sequence holds while one of its requests is computed.
struct Held {
    state: SessionState,
    /// Why it is lost, once it is.
    lost: Option<Failure>,
}

fn lost() -> Failure {
    Failure::new(Code::Unavailable, "what the sequence held was lost with its device: start it again")
}

/// Computes batches of a device until the dispatcher is stopped.
pub(super) fn work(dispatcher: &Dispatcher, device: DeviceId, pulse: &Pulse) {
    while let Some(Work { batch, mut jobs, mut state }) = dispatcher.next_batch(device, pulse) {
        // Those who left since the batch was chosen.
        jobs.retain(|job| !job.reply.is_closed());
        let start = Instant::now();
        let mut answers = Vec::new();
        if let Some(served) = jobs.first().map(|job| job.served.clone()) {
            served.count(|statistics| {
                jobs.iter().for_each(|job| statistics.queued.add(start.saturating_duration_since(job.arrival)));
            });
            match &batch.turn {
                None => answers = compute(&served, jobs, None, start),
                Some(turn) => {
                    let failure;
                    (answers, state, failure) = compute_turn(&served, jobs, turn, state, start);
                    if let Some(failure) = failure {
                        dispatcher.lose(&batch, turn, &failure);
                    }
                }
            }
        }
        dispatcher.finish(&batch, state, start.elapsed());
        // After the batch is finished, so that whoever is answered finds what comes of it.
        for (job, answer) in answers {
            // Whoever asked may have left.
            job.reply.send(answer).ok();
        }
    }
}

/// Computes a request of a sequence. What the sequence holds then; nothing where that was lost, and the failure that says so.
fn compute_turn(
    served: &Served,
    jobs: Vec<Job>,
    turn: &Turn,
    state: Option<SessionState>,
    start: Instant,
) -> (Vec<Answered>, Option<SessionState>, Option<Failure>) {
    let state = match state {
        Some(state) => Ok(state),
        None if turn.begun => Err(lost()),
        None => served.model.session.state().map_err(Failure::from),
    };
    let failed = |jobs: Vec<Job>, failure: &Failure| jobs.into_iter().map(|job| (job, Err(failure.clone()))).collect();
    match state {
        Ok(state) => {
            let mut held = Held { state, lost: None };
            let answers = compute(served, jobs, Some(&mut held), start);
            match held.lost {
                None => (answers, Some(held.state), None),
                Some(failure) => (failed(answers.into_iter().map(|(job, _)| job).collect(), &failure), None, Some(failure)),
            }
        }
        Err(failure) => (failed(jobs, &failure), None, Some(failure)),
    }
}

/// Computes a batch. One that fails is computed again in halves: memory may suffice for those, and a request that is at fault fails
/// alone.
fn compute(served: &Served, mut jobs: Vec<Job>, held: Option<&mut Held>, start: Instant) -> Vec<Answered> {
    let rows = jobs.iter().map(|job| job.prepared.rows).sum();
    let filled = held.is_none();
    let attempted = match attempt(served, &jobs, filled, held) {
        Err(_) if jobs.len() > 1 => {
            let rest = jobs.split_off(jobs.len() / 2);
            let first = compute(served, jobs, None, start);
            return first.into_iter().chain(compute(served, rest, None, start)).collect();
        }
        // A model may take as many rows as were given, and no more.
        Err(_) if filled && served.model.filled(rows) != rows => attempt(served, &jobs, false, None),
        attempted => attempted,
    };
    let done = |job: &Job, outputs: Parted, parts: Parts| {
        let queued = start.saturating_duration_since(job.arrival);
        Done { outputs, queued, computed: start.elapsed(), parts, rows }
    };
    match attempted {
        Ok((outputs, parts)) => jobs
            .into_iter()
            .zip(outputs)
            .map(|(job, outputs)| {
                let done = done(&job, outputs, parts);
                (job, Ok(done))
            })
            .collect(),
        Err(failure) => jobs.into_iter().map(|job| (job, Err(failure.clone()))).collect(),
    }
}

/// The outputs of a batch, for each request. A panic is a failure, and the engine goes on.
fn attempt(served: &Served, jobs: &[Job], fill: bool, mut held: Option<&mut Held>) -> Result<(Vec<Parted>, Parts)> {
    let caught = catch_unwind(AssertUnwindSafe(|| run(served, jobs, fill, held.as_deref_mut())));
    caught.unwrap_or_else(|_| {
        let failure = Failure::internal("a run ended in a panic; this is a defect of the server");
        // What it left of a sequence's contents is not known.
        held.into_iter().for_each(|held| held.lost = Some(failure.clone()));
        Err(failure)
    })
}

fn run(served: &Served, jobs: &[Job], fill: bool, held: Option<&mut Held>) -> Result<(Vec<Parted>, Parts)> {
    let model = &served.model;
    let start = Instant::now();
    let rows: usize = jobs.iter().map(|job| job.prepared.rows).sum();
    let filled = if fill && model.joined().is_some() && rows > 0 { model.filled(rows) } else { rows };
    let inputs = joined(model, jobs, filled)?;
    let joining = start.elapsed();
    let views = inputs.iter().map(|(name, buffer)| Ok((*name, buffer.view()?))).collect::<Result<Vec<_>>>()?;
    let outputs = outputs(served, &views, held)?;
    let computing = start.elapsed() - joining;
    let parted = part(model, jobs, &outputs, filled)?;
    let parting = start.elapsed() - joining - computing;
    let parts = Parts { joining, computing, parting };
    count(served, rows, parts);
    Ok((parted, parts))
}

/// Runs the model, with what a sequence holds; else from the beginning. A session runs once more by itself where its device is lost; one that is lost
/// again meanwhile is given a few more chances.
fn outputs(served: &Served, views: &[(&str, TensorView<'_>)], mut held: Option<&mut Held>) -> Result<Outputs, Error> {
    let mut tried = 1;
    loop {
        let outputs = once(served, views, held.as_deref_mut());
        let lost = held.as_ref().is_some_and(|held| held.lost.is_some());
        match &outputs {
            Err(e) if !lost && tried < MAX_TRIES && by_lost_device(&served.model.session, e.kind()) => {}
            _ => return outputs,
        }
        tried += 1;
    }
}

/// Whether a run failed since its device was lost. A device may say so only when the other runs on it have ended, a moment later.
fn by_lost_device(session: &Session, kind: ErrorKind) -> bool {
    let may_be = matches!(kind, ErrorKind::Internal | ErrorKind::DeviceLost);
    let looks = if may_be { LOOKS } else { 1 };
    (0..looks).any(|look| {
        if look > 0 {
            std::thread::sleep(BETWEEN_LOOKS);
        }
        session.is_lost()
    })
}

fn once(served: &Served, views: &[(&str, TensorView<'_>)], held: Option<&mut Held>) -> Result<Outputs, Error> {
    let session = &served.model.session;
    match held {
        Some(held) => {
            let outputs = session.run_with_blocking(&mut held.state, views);
            held.lost = outputs.as_ref().err().filter(|e| e.kind() == ErrorKind::StateLost).map(|_| lost());
            outputs
        }
        None if session.states().is_empty() => session.run_blocking(views),
        None => session.run_with_blocking(&mut session.state()?, views),
    }
}

fn count(served: &Served, rows: usize, Parts { joining, computing, parting }: Parts) {
    served.count(|statistics| {
        statistics.rows += rows as u64;
        statistics.batches += 1;
        statistics.joining.add(joining);
        statistics.computing.add(computing);
        statistics.parting.add(parting);
        statistics.by_rows.entry(rows).or_default().add(computing);
    });
}
