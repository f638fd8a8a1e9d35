//! What one submission does, and how it is written down for the device.

use super::buffer::{GpuBuffer, Range};
use super::counters::Tally;
use super::device::Gpu;
use super::pipeline::Pipeline;
use super::texture::GpuTexture;
use super::timestamps::Timestamps;
use crate::kernel::Grid;
use std::sync::Arc;

/// What a kernel binds.
#[derive(Clone, Copy)]
pub(crate) enum Bound<'a> {
    Buffer(Range<'a>),
    Texture(&'a GpuTexture),
}

/// What dispatches bind that differ at most in where their parameters stand.
#[derive(Clone)]
pub(crate) struct BindGroup(wgpu::BindGroup);

/// A dispatch with everything bound, made once and run many times.
#[derive(Clone)]
pub(crate) struct Command {
    pipeline: Arc<Pipeline>,
    group: BindGroup,
    /// Where its parameters start.
    params: u32,
    grid: Grid,
    /// Textures that are filled before it.
    fills: Vec<TextureFill>,
}

/// Groups of four floats in a buffer, and the texture they are copied to.
#[derive(Clone)]
struct TextureFill {
    from: GpuBuffer,
    offset: u64,
    bytes: u64,
    to: GpuTexture,
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

impl Bound<'_> {
    fn resource(&self) -> wgpu::BindingResource<'_> {
        match self {
            Bound::Buffer(range) => wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                buffer: &range.buffer.buffer,
                offset: range.offset,
                size: wgpu::BufferSize::new(range.bytes),
            }),
            Bound::Texture(texture) => wgpu::BindingResource::TextureView(&texture.view),
        }
    }
}

impl Command {
    /// A dispatch of a pipeline with what it binds; its parameters start at `params` in their buffer.
    pub(crate) fn new(pipeline: &Arc<Pipeline>, group: &BindGroup, params: u32, grid: Grid) -> Self {
        Command { pipeline: pipeline.clone(), group: group.clone(), params, grid, fills: vec![] }
    }

    /// This command behind a copy of a range, whole groups of four floats, to a texture.
    pub(crate) fn filling(mut self, to: &GpuTexture, from: Range<'_>) -> Self {
        let Range { buffer, offset, bytes } = from;
        self.fills.push(TextureFill { from: buffer.clone(), offset, bytes, to: to.clone() });
        self
    }
}

impl TextureFill {
    fn record(&self, encoder: &mut wgpu::CommandEncoder) {
        self.to.copy_from(encoder, Range { buffer: &self.from, offset: self.offset, bytes: self.bytes });
    }
}

impl Gpu {
    /// Binds what dispatches work on: parameters, whose buffer begins with those of this size, then storage.
    pub(crate) fn bind_group(&self, pipeline: &Pipeline, params: Range<'_>, storage: &[Bound<'_>], tally: &Tally) -> BindGroup {
        let params = Bound::Buffer(params);
        let all = std::iter::once(&params).chain(storage);
        let entries: Vec<wgpu::BindGroupEntry> =
            all.zip(0..).map(|(bound, binding)| wgpu::BindGroupEntry { binding, resource: bound.resource() }).collect();
        Tally::add(&tally.bind_groups);
        let descriptor = wgpu::BindGroupDescriptor { label: None, layout: &pipeline.layout, entries: &entries };
        BindGroup(self.device().create_bind_group(&descriptor))
    }

    pub(super) fn record(&self, recordings: &[Recording<'_>]) -> wgpu::CommandBuffer {
        let mut encoder = self.device().create_command_encoder(&wgpu::CommandEncoderDescriptor { label: None });
        let mut rest = recordings;
        while let Some(first) = rest.first() {
            // Those with nothing to copy in between share a pass.
            let apart = |k: &usize| !rest[*k - 1].after.is_empty() || !rest[*k].before.is_empty() || first.timestamps.is_some();
            let (together, others) = rest.split_at((1..rest.len()).find(apart).unwrap_or(rest.len()));
            copy(&mut encoder, first.before);
            dispatch(&mut encoder, together);
            copy(&mut encoder, together[together.len() - 1].after);
            if let Some(timestamps) = first.timestamps {
                timestamps.resolve(&mut encoder);
            }
            rest = others;
        }
        encoder.finish()
    }
}

fn copy(encoder: &mut wgpu::CommandEncoder, copies: &[Copy<'_>]) {
    for c in copies.iter().filter(|c| c.from.bytes > 0) {
        encoder.copy_buffer_to_buffer(&c.from.buffer.buffer, c.from.offset, &c.to.buffer, c.offset, c.from.bytes);
    }
}

/// The one dispatch loop.
fn dispatch(encoder: &mut wgpu::CommandEncoder, recordings: &[Recording<'_>]) {
    if recordings.iter().all(|recording| recording.commands.is_empty()) {
        return;
    }
    let timestamps = recordings.first().and_then(|recording| recording.timestamps);
    let stamp = |pass: &mut wgpu::ComputePass, index: usize| {
        if let Some(timestamps) = timestamps {
            timestamps.stamp(pass, index);
        }
    };
    let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
    stamp(&mut pass, 0);
    let mut current: Option<&Arc<Pipeline>> = None;
    let rounds = recordings.iter().flat_map(|recording| std::iter::repeat_n(recording.commands, recording.repeat + 1)).flatten();
    for (index, command) in rounds.enumerate() {
        if !command.fills.is_empty() {
            drop(pass);
            command.fills.iter().for_each(|fill| fill.record(encoder));
            pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            current = None;
        }
        if !current.is_some_and(|pipeline| Arc::ptr_eq(pipeline, &command.pipeline)) {
            pass.set_pipeline(&command.pipeline.pipeline);
            current = Some(&command.pipeline);
        }
        pass.set_bind_group(0, &command.group.0, &[command.params]);
        let [x, y, z] = command.grid;
        pass.dispatch_workgroups(x, y, z);
        stamp(&mut pass, index + 1);
    }
}
