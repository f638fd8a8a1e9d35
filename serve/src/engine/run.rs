//! The engine's thread: one batch after another.

use super::buffer::{Buffer, Elements};
use super::dispatcher::{Dispatcher, Job};
use super::served::{Done, Served};
use crate::failure::{Failure, Result};
use crate::repository::LoadedModel;
use bytes::Bytes;
use gristmill::{Error, ErrorKind, Outputs, Tensor};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

/// Starts the engine, which runs until the dispatcher is stopped.
///
/// # Errors
/// When the system makes no more threads.
pub fn start(dispatcher: Arc<Dispatcher>) -> std::io::Result<JoinHandle<()>> {
    let work = move || {
        while let Some(mut jobs) = dispatcher.next_batch() {
            // Those who left since the batch was chosen.
            jobs.retain(|job| !job.reply.is_closed());
            let Some(served) = jobs.first().map(|job| job.served.clone()) else { continue };
            let start = Instant::now();
            served.count(|statistics| {
                jobs.iter().for_each(|job| statistics.queued.add(start.saturating_duration_since(job.arrival)));
            });
            compute(&served, jobs, start);
            dispatcher.charge(&served, start.elapsed());
        }
    };
    Builder::new().name("engine".into()).spawn(work)
}

/// Computes a batch and answers its requests. One that fails is computed again in halves: memory may suffice for those, and a request that
/// is at fault fails alone.
fn compute(served: &Served, mut jobs: Vec<Job>, start: Instant) {
    let rows = jobs.iter().map(|job| job.prepared.rows).sum();
    match attempt(served, &jobs, true) {
        Ok(outputs) => {
            for (job, outputs) in jobs.into_iter().zip(outputs) {
                let queued = start.saturating_duration_since(job.arrival);
                // Whoever asked may have left.
                job.reply.send(Ok(Done { outputs, queued, computed: start.elapsed(), rows })).ok();
            }
        }
        Err(_) if jobs.len() > 1 => {
            let rest = jobs.split_off(jobs.len() / 2);
            compute(served, jobs, start);
            compute(served, rest, start);
        }
        Err(failure) => {
            let exact = || attempt(served, &jobs, false);
            let unfilled = (served.model.filled(rows) != rows).then(exact);
            let answer = match unfilled {
                Some(Ok(mut outputs)) => outputs.pop().ok_or(failure),
                Some(Err(failure)) => Err(failure),
                None => Err(failure),
            };
            if let Some(job) = jobs.pop() {
                let queued = start.saturating_duration_since(job.arrival);
                let done = answer.map(|outputs| Done { outputs, queued, computed: start.elapsed(), rows });
                job.reply.send(done).ok();
            }
        }
    }
}

/// The outputs of one request.
type Parted = Vec<(String, gristmill::DType, Vec<usize>, Bytes)>;

/// The outputs of a batch, for each request. A panic is a failure, and the engine goes on.
fn attempt(served: &Served, jobs: &[Job], fill: bool) -> Result<Vec<Parted>> {
    let caught = catch_unwind(AssertUnwindSafe(|| run(served, jobs, fill)));
    caught.unwrap_or_else(|_| Err(Failure::internal("a run ended in a panic; this is a defect of the server")))
}

fn run(served: &Served, jobs: &[Job], fill: bool) -> Result<Vec<Parted>> {
    let model = &served.model;
    let start = Instant::now();
    let rows: usize = jobs.iter().map(|job| job.prepared.rows).sum();
    let filled = if fill && model.joined().is_some() && rows > 0 { model.filled(rows) } else { rows };
    let inputs = joined(model, jobs, filled)?;
    let joining = start.elapsed();
    let views = inputs.iter().map(|(name, buffer)| Ok((*name, buffer.view()?))).collect::<Result<Vec<_>>>()?;
    let session = &model.session;
    let outputs = match session.states().is_empty() {
        true => session.run_blocking(&views)?,
        false => session.run_with_blocking(&mut session.state()?, &views)?,
    };
    let computing = start.elapsed() - joining;
    let parted = part(model, jobs, &outputs, filled)?;
    let parting = start.elapsed() - joining - computing;
    count(served, rows, [joining, computing, parting]);
    Ok(parted)
}

fn count(served: &Served, rows: usize, [joining, computing, parting]: [Duration; 3]) {
    served.count(|statistics| {
        statistics.rows += rows as u64;
        statistics.batches += 1;
        statistics.joining.add(joining);
        statistics.computing.add(computing);
        statistics.parting.add(parting);
        statistics.by_rows.entry(rows).or_default().add(computing);
    });
}

/// The inputs of a batch, by name.
fn joined<'a>(model: &'a LoadedModel, jobs: &[Job], filled: usize) -> Result<Vec<(&'a str, Buffer)>> {
    let mut inputs = Vec::new();
    for (index, input) in model.interface.inputs.iter().enumerate() {
        let tensors: Vec<_> =
            jobs.iter().filter_map(|job| Some((job.prepared.inputs[index].as_ref()?, job.prepared.rows))).collect();
        let Some((first, _)) = tensors.first() else { continue };
        let dtype = input.datatype.dtype();
        let dtype = dtype.ok_or_else(|| Failure::internal(format!("input `{}` has no type of the engine", input.name)))?;
        let mut shape = first.shape.clone();
        let parts: Vec<(&Bytes, usize)> = tensors.iter().map(|(tensor, rows)| (&tensor.data, *rows)).collect();
        let elements = match model.joined().map(|batch| batch.inputs[index]) {
            Some(axis) => {
                shape[axis] = filled;
                let (outer, inner) = around(&shape, axis);
                Elements::join(&parts, outer, inner * dtype.size(), filled)
            }
            None => Elements::join(&[(&first.data, 1)], 1, first.data.len(), 1),
        };
        inputs.push((input.name.as_str(), Buffer { dtype, shape, elements }));
    }
    Ok(inputs)
}

/// The number of elements in front of an axis, and behind it.
fn around(shape: &[usize], axis: usize) -> (usize, usize) {
    (shape[..axis].iter().product(), shape[axis + 1..].iter().product())
}

/// The bytes of a tensor as shared memory.
struct Held(Tensor);

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        self.0.bytes()
    }
}

/// The outputs of each request: rows of those of the batch, in the same memory where nothing lies between them.
fn part(model: &LoadedModel, jobs: &[Job], outputs: &Outputs, filled: usize) -> Result<Vec<Parted>> {
    let mut parted: Vec<Parted> = jobs.iter().map(|_| Vec::new()).collect();
    let whole = jobs.len() == 1 && jobs.iter().all(|job| job.prepared.rows == filled);
    let batch = model.joined().filter(|_| !whole);
    for (index, (name, structure)) in outputs.structures().enumerate() {
        let tensor = structure.tensor()?;
        let (shape, bytes) = (tensor.shape().dims().to_vec(), Bytes::from_owner(Held(tensor.clone())));
        let Some(axis) = batch.and_then(|batch| batch.outputs.get(index).copied()) else {
            parted.iter_mut().for_each(|one| one.push((name.to_string(), tensor.dtype(), shape.clone(), bytes.clone())));
            continue;
        };
        if shape.get(axis) != Some(&filled) {
            let message = format!("output `{name}` of shape {shape:?}: expected {filled} along axis {axis}");
            return Err(Error::new(ErrorKind::Internal, message).into());
        }
        let (outer, inner) = around(&shape, axis);
        let inner = inner * tensor.dtype().size();
        let mut start = 0;
        for (one, job) in parted.iter_mut().zip(jobs) {
            let rows = start..start + job.prepared.rows;
            let place = |block: usize| (block * filled + rows.start) * inner..(block * filled + rows.end) * inner;
            let own = match outer {
                1 => bytes.slice(place(0)),
                _ => (0..outer).flat_map(|block| bytes[place(block)].iter().copied()).collect(),
            };
            let mut extents = shape.clone();
            extents[axis] = rows.len();
            one.push((name.to_string(), tensor.dtype(), extents, own));
            start = rows.end;
        }
    }
    Ok(parted)
}
