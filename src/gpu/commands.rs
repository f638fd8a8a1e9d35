//! Recording and running dispatches.

use super::fault::Scopes;
use super::{Bound, Gpu, GpuBuffer, GpuTexture, Pipeline, Range, Tally};
use crate::error::{Error, Result};
use crate::kernel::Grid;
use std::sync::Arc;

/// A dispatch with everything bound, made once and run many times.
pub(crate) struct Command {
    pipeline: Arc<Pipeline>,
    group: wgpu::BindGroup,
    grid: Grid,
    /// Textures that are filled before it.
    copies: Vec<TextureCopy>,
}

/// Groups of four floats in a buffer, and the texture they are copied to.
struct TextureCopy {
    from: GpuBuffer,
    offset: u64,
    bytes: u64,
    to: wgpu::Texture,
}

/// Bytes copied from one buffer into another.
pub(crate) struct Copy<'a> {
    pub from: Range<'a>,
    pub to: &'a GpuBuffer,
    /// Where in `to` they go.
    pub offset: u64,
}

/// What one submission does: copies in, one compute pass, interrupted where a dispatch wants textures filled, copies out.
#[derive(Default)]
pub(crate) struct Recording<'a> {
    /// An upload buffer that `before` copies from: unmapped for the submission, and mapped again when all is done.
    pub upload: Option<&'a GpuBuffer>,
    pub before: &'a [Copy<'a>],
    pub commands: &'a [Command],
    /// How often the commands are run over again after the first time.
    pub repeat: usize,
    pub after: &'a [Copy<'a>],
    pub timestamps: Option<&'a Timestamps>,
    /// A download buffer to map when all is done.
    pub map: Option<&'a GpuBuffer>,
}

/// A query set for the times between dispatches.
#[derive(Debug)]
pub(crate) struct Timestamps {
    set: wgpu::QuerySet,
    resolved: wgpu::Buffer,
    staging: GpuBuffer,
    count: u32,
}

impl Command {
    /// The same after a copy of a range, whole groups of four floats, to a texture.
    pub(crate) fn after(mut self, from: Range<'_>, to: &GpuTexture) -> Self {
        let Range { buffer, offset, bytes } = from;
        self.copies.push(TextureCopy { from: buffer.clone(), offset, bytes, to: to.texture.clone() });
        self
    }
}

impl Gpu {
    /// Binds what a dispatch works on: parameters, then storage.
    pub(crate) fn command(
        &self,
        pipeline: &Arc<Pipeline>,
        params: Range<'_>,
        storage: &[Bound<'_>],
        grid: Grid,
        tally: &Tally,
    ) -> Command {
        let params = Bound::Buffer(params);
        let all = std::iter::once(&params).chain(storage);
        let entries: Vec<wgpu::BindGroupEntry> =
            all.zip(0..).map(|(bound, binding)| wgpu::BindGroupEntry { binding, resource: bound.resource() }).collect();
        Tally::add(&tally.bind_groups);
        let descriptor = wgpu::BindGroupDescriptor { label: None, layout: &pipeline.layout, entries: &entries };
        Command { pipeline: pipeline.clone(), group: self.device().create_bind_group(&descriptor), grid, copies: vec![] }
    }

    /// Runs `make` and reports what the device says to it.
    pub(crate) async fn guarded<T>(&self, doing: &'static str, make: impl FnOnce() -> T) -> Result<T> {
        let (made, fault) = {
            let scopes = Scopes::open(self.device());
            (make(), scopes.close(doing))
        };
        fault.await?;
        Ok(made)
    }

    /// Submits a recording; the device does it in its own time.
    pub(crate) async fn submit(&self, recording: &Recording<'_>) -> Result<()> {
        self.guarded("running a plan", || self.queue().submit([self.record(recording)])).await.map(|_| ())
    }

    /// Submits a recording and waits until it is done, and until `map` is mapped.
    pub(crate) async fn run(&self, recording: &Recording<'_>) -> Result<()> {
        let submit = || {
            if let Some(upload) = recording.upload {
                upload.buffer.unmap();
            }
            let submission = self.queue().submit([self.record(recording)]);
            let mapped = [(recording.map, wgpu::MapMode::Read), (recording.upload, wgpu::MapMode::Write)].map(|(buffer, mode)| {
                let (sender, receiver) = futures_intrusive::channel::shared::oneshot_channel();
                buffer.map(|buffer| {
                    buffer.buffer.map_async(mode, .., move |result| drop(sender.send(result)));
                    receiver
                })
            });
            (submission, mapped)
        };
        let (submission, mapped) = self.guarded("running a plan", submit).await?;
        self.wait(submission)?;
        for receiver in mapped.into_iter().flatten() {
            match receiver.receive().await {
                Some(Ok(())) => {}
                Some(Err(e)) => return Err(Error::internal("a buffer cannot be mapped").caused_by(e)),
                None => return Err(Error::internal("a buffer was never mapped")),
            }
        }
        Ok(())
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn wait(&self, submission: wgpu::SubmissionIndex) -> Result<()> {
        let wait = wgpu::PollType::Wait { submission_index: Some(submission), timeout: None };
        self.device().poll(wait).map(|_| ()).map_err(|e| Error::internal("waiting for the device failed").caused_by(e))
    }

    /// A browser runs callbacks by itself.
    #[cfg(target_arch = "wasm32")]
    fn wait(&self, _: wgpu::SubmissionIndex) -> Result<()> {
        Ok(())
    }

    /// Records and forgets.
    pub(crate) fn rehearse(&self, recording: &Recording<'_>) {
        drop(self.record(recording));
    }

    fn record(&self, recording: &Recording<'_>) -> wgpu::CommandBuffer {
        let mut encoder = self.device().create_command_encoder(&wgpu::CommandEncoderDescriptor { label: None });
        copy(&mut encoder, recording.before);
        if !recording.commands.is_empty() {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            let stamp = |pass: &mut wgpu::ComputePass, index: usize| {
                if let Some(timestamps) = recording.timestamps {
                    pass.write_timestamp(&timestamps.set, index as u32);
                }
            };
            stamp(&mut pass, 0);
            let mut current: Option<&Arc<Pipeline>> = None;
            let rounds = std::iter::repeat_n(recording.commands, recording.repeat + 1).flatten();
            for (index, command) in rounds.enumerate() {
                if !command.copies.is_empty() {
                    drop(pass);
                    for c in &command.copies {
                        let from = Range { buffer: &c.from, offset: c.offset, bytes: c.bytes };
                        Gpu::copy_to_texture(&mut encoder, from, &c.to);
                    }
                    pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
                    current = None;
                }
                if !current.is_some_and(|pipeline| Arc::ptr_eq(pipeline, &command.pipeline)) {
                    pass.set_pipeline(&command.pipeline.pipeline);
                    current = Some(&command.pipeline);
                }
                pass.set_bind_group(0, &command.group, &[]);
                let [x, y, z] = command.grid;
                pass.dispatch_workgroups(x, y, z);
                stamp(&mut pass, index + 1);
            }
        }
        copy(&mut encoder, recording.after);
        if let Some(t) = recording.timestamps {
            encoder.resolve_query_set(&t.set, 0..t.count, &t.resolved, 0);
            encoder.copy_buffer_to_buffer(&t.resolved, 0, &t.staging.buffer, 0, t.staging.size());
        }
        encoder.finish()
    }

    /// Room for a timestamp before each of `dispatches` dispatches and one after the last.
    pub(crate) async fn timestamps(&self, dispatches: usize, tally: &Tally) -> Result<Timestamps> {
        if dispatches >= wgpu::QUERY_SET_MAX_QUERIES as usize {
            let limit = wgpu::QUERY_SET_MAX_QUERIES;
            return Err(Error::limit(format!(
                "{dispatches} dispatches cannot be timed at once: a device takes at most {limit} timestamps"
            )));
        }
        let count = dispatches as u32 + 1;
        let size = u64::from(count) * 8;
        let staging = self.buffers(&[("timestamps", size, super::Role::Download)], tally).await?.swap_remove(0);
        self.guarded("making a query set", || {
            let descriptor = wgpu::QuerySetDescriptor { label: None, ty: wgpu::QueryType::Timestamp, count };
            let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
            let resolved = wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false };
            let (device, staging) = (self.device(), staging);
            Timestamps { set: device.create_query_set(&descriptor), resolved: device.create_buffer(&resolved), staging, count }
        })
        .await
    }

    /// Microseconds of each dispatch of the last recording that wrote these.
    pub(crate) async fn elapsed(&self, timestamps: &Timestamps) -> Result<Vec<f64>> {
        let ticks = self.ticks(timestamps).await?;
        Ok(ticks.windows(2).map(|w| w[1].saturating_sub(w[0]) as f64 * self.microseconds_per_tick()).collect())
    }

    /// Microseconds from before the first dispatch to after the last one; negative when the clock ran backwards in between.
    pub(crate) async fn span(&self, timestamps: &Timestamps) -> Result<f64> {
        let ticks = self.ticks(timestamps).await?;
        let ends = ticks.first().zip(ticks.last());
        // Ticks count modulo 2^64, so that the difference is right as a signed number.
        Ok(ends.map_or(0.0, |(first, last)| last.wrapping_sub(*first).cast_signed() as f64 * self.microseconds_per_tick()))
    }

    fn microseconds_per_tick(&self) -> f64 {
        f64::from(self.queue().get_timestamp_period()) / 1000.0
    }

    async fn ticks(&self, timestamps: &Timestamps) -> Result<Vec<u64>> {
        self.run(&Recording { map: Some(&timestamps.staging), ..Recording::default() }).await?;
        timestamps.staging.mapped(timestamps.staging.size(), |bytes| {
            bytes.chunks_exact(8).map(|b| b.try_into().map_or(0, u64::from_ne_bytes)).collect()
        })
    }
}

fn copy(encoder: &mut wgpu::CommandEncoder, copies: &[Copy<'_>]) {
    for c in copies.iter().filter(|c| c.from.bytes > 0) {
        encoder.copy_buffer_to_buffer(&c.from.buffer.buffer, c.from.offset, &c.to.buffer, c.offset, c.from.bytes);
    }
}
