//! One run of a plan, segment by segment.

use super::first_dispatches::submit_new_kernels_first;
use super::instance::{Instance, upload_bytes};
use super::loaded::{Lease, LoadedPlan};
use super::shared::Shared;
use super::state_buffers::StateBuffers;
use super::values::Values;
use crate::error::{Error, Result};
use crate::gpu::{Command, Copy, Opaque, Range, Recording, Timestamps};
use crate::graph::Node;
use crate::plan::{Segment, Written};
use crate::session::data::elements::{narrow, widen};
use crate::session::data::held::{GpuTensor, Held};
use crate::session::timing::recorder::{Recorder, Timers};

/// A run that is under way.
#[derive(Clone, Copy)]
struct Run<'a> {
    shared: &'a Shared,
    instance: &'a Instance,
    states: Option<&'a StateBuffers>,
    commands: &'a [Vec<Command>],
}

/// One run of a plan; its results are in `values` afterwards. With `keep` they stay on the GPU as well, for as long as `values` hold them. What it
/// writes of states takes effect when [`flip`](StateBuffers::flip) says so.
pub(crate) async fn execute(
    loaded: &Opaque<LoadedPlan>,
    values: &mut Values<'_, '_>,
    recorder: Option<&Recorder>,
    keep: bool,
    mut states: Option<&mut StateBuffers>,
) -> Result<()> {
    let shared = loaded.shared();
    fetch(shared, values).await?;
    for node in &shared.plan.given_checks {
        values.compute(node)?;
        if node.op.check().is_some() {
            verify(node, values)?;
        }
    }
    if let Some(states) = &mut states {
        states.prepare(shared).await?;
    }
    let mut instance = loaded.take_for(states.as_deref()).await?;
    let commands = instance.commands(shared, states.as_deref()).await?;
    if recorder.is_some() && instance.timers.is_none() {
        instance.timers = Some(Timers::new(&shared.gpu, &shared.plan, &shared.tally).await?);
    }
    for (index, segment) in shared.plan.segments.iter().enumerate() {
        fill_upload(shared, &mut instance, index, values)?;
        let timers = recorder.zip(instance.timers.as_ref()).filter(|_| !segment.steps.is_empty());
        let timed = timers.and_then(|(recorder, timers)| Some((recorder, timers.segment(index)?)));
        let last = index + 1 == shared.plan.segments.len();
        let copies = last && shared.plan.states.iter().any(|state| matches!(state.written, Written::Copied(_)));
        if !segment.steps.is_empty() || !segment.downloads.is_empty() || copies {
            if let Some(states) = &mut states {
                states.begin_writing(&shared.plan, last)?;
            }
            let run = Run { shared, instance: &instance, states: states.as_deref(), commands: &commands };
            submit(&run, index, values, timed.map(|(_, timestamps)| timestamps)).await?;
            download(shared, &instance, index, values)?;
        }
        if let Some((recorder, timestamps)) = timed {
            recorder.record(&shared.gpu, &shared.plan, segment, timestamps).await?;
        }
        for host in &segment.host {
            values.compute(&shared.plan.graph.nodes()[host.node])?;
        }
    }
    if let Err(error) = checked(shared, values) {
        // Whatever writes over states does nothing then.
        states.into_iter().for_each(StateBuffers::spare);
        loaded.give_back(instance);
        return Err(error);
    }
    if keep {
        return lend(loaded, instance, values);
    }
    loaded.give_back(instance);
    Ok(())
}

/// Fails where the run found a check to be false.
fn checked(shared: &Shared, values: &Values<'_, '_>) -> Result<()> {
    for (node, word) in &shared.plan.checks {
        debug_assert_eq!(shared.plan.graph.nodes()[*node].outputs.first(), Some(&Some(*word)), "a check has one word");
        verify(&shared.plan.graph.nodes()[*node], values)?;
    }
    Ok(())
}

/// Fails where the word of a check, which is on the host, is false.
fn verify(check: &Node, values: &Values<'_, '_>) -> Result<()> {
    let Some(Some(word)) = check.outputs.first() else { return Ok(()) };
    let holds = values.view(*word)?.bytes().iter().any(|byte| *byte != 0);
    match check.op.check() {
        Some(message) if !holds => Err(Error::invalid_input(message).at(&check.path)),
        _ => Ok(()),
    }
}

/// Brings to the host what nodes read there.
async fn fetch(shared: &Shared, values: &mut Values<'_, '_>) -> Result<()> {
    let Shared { plan, gpu, tally, .. } = shared;
    let host = plan.host_nodes().map(|host| &plan.graph.nodes()[host.node]);
    for node in host.chain(&plan.given_checks) {
        for id in node.inputs.iter().flatten() {
            if let Some(held) = values.get_mut(*id) {
                held.fetch(gpu, tally).await?;
            }
        }
    }
    Ok(())
}

/// Lends the instance to the outputs that lie in it.
fn lend(loaded: &Opaque<LoadedPlan>, instance: Instance, values: &mut Values<'_, '_>) -> Result<()> {
    let plan = &loaded.shared().plan;
    let lease = Opaque::new(Lease::new(loaded.clone(), instance));
    let keeper = lease.keeper();
    for (output, transfer) in plan.graph.outputs().iter().zip(&plan.outputs) {
        let Some(transfer) = transfer else { continue };
        let Some(buffer) = lease.buffer(transfer.tensor) else { continue };
        let gpu = GpuTensor {
            ty: transfer.ty.clone(),
            scalar: transfer.scalar,
            bounds: plan.graph.fact(*output)?.bounds,
            buffer: buffer.clone(),
            offset: 0,
            _keeper: Some(keeper.clone()),
        };
        let held = values.get(*output).filter(|held| held.on_host().is_some()).cloned();
        values.insert(*output, held.map_or_else(|| Held::gpu(gpu.clone()), |held| held.and_gpu(gpu.clone())));
    }
    Ok(())
}

/// Writes what a segment uploads from the host into the buffer that it leaves from.
fn fill_upload(shared: &Shared, instance: &mut Instance, index: usize, values: &Values<'_, '_>) -> Result<()> {
    let Some(upload) = &instance.uploads[index] else { return Ok(()) };
    let mut offset = 0;
    for transfer in &shared.plan.segments[index].uploads {
        if values.get(transfer.value).and_then(Held::on_gpu).is_none() {
            let view = values.view(transfer.value)?;
            if view.dtype().size() == 4 {
                upload.fill(offset, view.bytes())?;
            } else {
                widen(view.dtype(), view.bytes(), &mut instance.scratch);
                upload.fill(offset, &instance.scratch)?;
            }
        }
        offset += upload_bytes(transfer);
    }
    Ok(())
}

/// Submits a segment's uploads, dispatches and downloads, and waits for them.
async fn submit(run: &Run<'_>, index: usize, values: &Values<'_, '_>, timestamps: Option<&Timestamps>) -> Result<()> {
    let Run { shared, instance, .. } = *run;
    let segment = &shared.plan.segments[index];
    let (upload, map) = (instance.uploads[index].as_ref(), instance.downloads[index].as_ref());
    let before = copies_in(run, index, values)?;
    let after = copies_out(run, index)?;
    let commands = &run.commands[index];
    let recording = Recording { upload, before: &before, commands, after: &after, timestamps, map, ..Recording::default() };
    if shared.progress.is_watched() && timestamps.is_none() {
        submit_new_kernels_first(shared, segment, recording).await
    } else {
        shared.gpu.submit_and_wait(&recording).await
    }
}

/// What a segment reads, from where it lies on the GPU or from the upload buffer.
fn copies_in<'a>(run: &Run<'a>, index: usize, values: &'a Values<'_, '_>) -> Result<Vec<Copy<'a>>> {
    let Run { shared, instance, .. } = *run;
    let uploads = &shared.plan.segments[index].uploads;
    let mut copies = Vec::with_capacity(uploads.len());
    let mut offset = 0;
    for t in uploads {
        let to = instance.range(shared, run.states, t.tensor)?;
        let on_gpu = values.get(t.value).and_then(Held::on_gpu).map(GpuTensor::range);
        let staged = || instance.uploads[index].as_ref().map(|buffer| Range { buffer, offset, bytes: t.bytes() });
        copies.extend(on_gpu.or_else(staged).map(|from| Copy { from, to: to.buffer, offset: to.offset }));
        offset += upload_bytes(t);
    }
    Ok(copies)
}

/// What a segment downloads, and after the last one what states become that lies elsewhere.
fn copies_out<'a>(run: &Run<'a>, index: usize) -> Result<Vec<Copy<'a>>> {
    let Run { shared, instance, .. } = *run;
    let segment: &Segment = &shared.plan.segments[index];
    let mut copies = Vec::with_capacity(segment.downloads.len());
    let mut offset = 0;
    for (t, download) in segment.downloads.iter().zip(std::iter::repeat(instance.downloads[index].as_ref())) {
        let from = Range { bytes: t.bytes(), ..instance.range(shared, run.states, t.tensor)? };
        copies.extend(download.map(|to| Copy { from, to, offset }));
        offset += t.bytes();
    }
    let last = index + 1 == shared.plan.segments.len();
    for (planned, states) in shared.plan.states.iter().zip(std::iter::repeat(run.states)).filter(|_| last) {
        if let (Written::Copied(tensor), Some(states)) = (planned.written, states) {
            let from = Range { bytes: planned.result.elements() as u64 * 4, ..instance.range(shared, Some(states), tensor)? };
            copies.push(Copy { from, to: states.buffer(planned, true)?, offset: 0 });
        }
    }
    Ok(copies)
}

/// Reads what a segment downloaded.
fn download(shared: &Shared, instance: &Instance, index: usize, values: &mut Values<'_, '_>) -> Result<()> {
    let Some(staging) = &instance.downloads[index] else { return Ok(()) };
    let downloads = &shared.plan.segments[index].downloads;
    let bytes = downloads.iter().map(|t| t.bytes()).sum::<u64>();
    staging.mapped(bytes.max(4), |bytes| {
        let mut start = 0;
        for t in downloads {
            let end = start + t.bytes() as usize;
            values.insert(t.value, Held::host(narrow(&t.ty, t.scalar, &bytes[start..end])?));
            start = end;
        }
        Ok(())
    })?
}
