//! One run of a plan, segment by segment.

use super::first_dispatches::submit_new_kernels_first;
use super::instance::{Instance, upload_bytes};
use super::loaded::LoadedPlan;
use super::shared::Shared;
use super::values::HostValues;
use crate::error::Result;
use crate::gpu::{Copy, GpuBuffer, Range, Recording, Timestamps};
use crate::plan::Segment;
use crate::session::data::elements::{narrow, widen};
use crate::session::timing::recorder::{Recorder, Timers};

impl LoadedPlan {
    /// One run; its results are in `values` afterwards.
    pub(crate) async fn execute(&self, values: &mut HostValues<'_>, recorder: Option<&Recorder>) -> Result<()> {
        let shared = self.shared();
        let mut instance = self.take().await?;
        if recorder.is_some() && instance.timers.is_none() {
            instance.timers = Some(Timers::new(&shared.gpu, &shared.plan, &shared.tally).await?);
        }
        for (index, segment) in shared.plan.segments.iter().enumerate() {
            fill_upload(shared, &mut instance, index, values)?;
            let timers = recorder.zip(instance.timers.as_ref()).filter(|_| !segment.steps.is_empty());
            let timed = timers.and_then(|(recorder, timers)| Some((recorder, timers.segment(index)?)));
            if !segment.steps.is_empty() || !segment.downloads.is_empty() {
                submit(shared, &instance, index, timed.map(|(_, timestamps)| timestamps)).await?;
                download(shared, &instance, index, values)?;
            }
            if let Some((recorder, timestamps)) = timed {
                recorder.record(&shared.gpu, &shared.plan, segment, timestamps).await?;
            }
            for host in &segment.host {
                values.compute(&shared.plan.graph.nodes()[host.node])?;
            }
        }
        self.give_back(instance);
        Ok(())
    }
}

/// Writes what a segment uploads into the buffer that it leaves from.
fn fill_upload(shared: &Shared, instance: &mut Instance, index: usize, values: &HostValues<'_>) -> Result<()> {
    let Some(upload) = &instance.uploads[index] else { return Ok(()) };
    let mut offset = 0;
    for transfer in &shared.plan.segments[index].uploads {
        let view = values.view(transfer.value)?;
        if view.dtype().size() == 4 {
            upload.fill(offset, view.bytes())?;
        } else {
            widen(view.dtype(), view.bytes(), &mut instance.scratch);
            upload.fill(offset, &instance.scratch)?;
        }
        offset += upload_bytes(transfer);
    }
    Ok(())
}

/// Submits a segment's uploads, dispatches and downloads, and waits for them.
async fn submit(shared: &Shared, instance: &Instance, index: usize, timestamps: Option<&Timestamps>) -> Result<()> {
    let segment = &shared.plan.segments[index];
    let (upload, map) = (instance.uploads[index].as_ref(), instance.downloads[index].as_ref());
    let before = upload.map_or(Ok(vec![]), |from| copies_in(shared, instance, segment, from))?;
    let after = map.map_or(Ok(vec![]), |to| copies_out(shared, instance, segment, to))?;
    let commands = &instance.commands[index];
    let recording = Recording { upload, before: &before, commands, after: &after, timestamps, map, ..Recording::default() };
    if shared.progress.is_watched() && timestamps.is_none() {
        submit_new_kernels_first(shared, segment, recording).await
    } else {
        shared.gpu.submit_and_wait(&recording).await
    }
}

fn copies_in<'a>(shared: &'a Shared, instance: &'a Instance, segment: &Segment, upload: &'a GpuBuffer) -> Result<Vec<Copy<'a>>> {
    let mut copies = Vec::with_capacity(segment.uploads.len());
    let mut offset = 0;
    for t in &segment.uploads {
        let to = instance.range(shared, t.tensor)?;
        copies.push(Copy { from: Range { buffer: upload, offset, bytes: t.bytes() }, to: to.buffer, offset: to.offset });
        offset += upload_bytes(t);
    }
    Ok(copies)
}

fn copies_out<'a>(shared: &'a Shared, instance: &'a Instance, segment: &Segment, download: &'a GpuBuffer) -> Result<Vec<Copy<'a>>> {
    let mut copies = Vec::with_capacity(segment.downloads.len());
    let mut offset = 0;
    for t in &segment.downloads {
        let from = Range { bytes: t.bytes(), ..instance.range(shared, t.tensor)? };
        copies.push(Copy { from, to: download, offset });
        offset += t.bytes();
    }
    Ok(copies)
}

/// Reads what a segment downloaded.
fn download(shared: &Shared, instance: &Instance, index: usize, values: &mut HostValues<'_>) -> Result<()> {
    let Some(staging) = &instance.downloads[index] else { return Ok(()) };
    let downloads = &shared.plan.segments[index].downloads;
    let bytes = downloads.iter().map(|t| t.bytes()).sum::<u64>();
    staging.mapped(bytes.max(4), |bytes| {
        let mut start = 0;
        for t in downloads {
            let end = start + t.bytes() as usize;
            values.insert(t.value, narrow(&t.ty, t.scalar, &bytes[start..end])?);
            start = end;
        }
        Ok(())
    })?
}
