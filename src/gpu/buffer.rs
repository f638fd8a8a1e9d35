//! Buffers and the bytes that go in and out of them.

use super::fault::Scopes;
use super::{Gpu, Tally};
use crate::error::{Error, Result};
use crate::kernel::TEXTURE_WIDTH;

/// What a buffer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Tensors that kernels bind.
    Storage,
    /// Parameters of kernels.
    Uniform,
    /// Bytes on their way to the device. Mapped when made, and again after every run.
    Upload,
    /// Bytes on their way to the host.
    Download,
}

/// A buffer on the device.
#[derive(Clone, Debug)]
pub struct GpuBuffer {
    pub(super) buffer: wgpu::Buffer,
}

/// How textures hold floats.
pub(super) const TEXTURE_FORMAT: wgpu::TextureFormat = wgpu::TextureFormat::Rgba32Float;

/// Part of a buffer.
#[derive(Clone, Copy)]
pub(crate) struct Range<'a> {
    pub buffer: &'a GpuBuffer,
    pub offset: u64,
    pub bytes: u64,
}

/// A texture on the device that holds an array of groups of four floats.
#[derive(Clone, Debug)]
pub(crate) struct GpuTexture {
    pub(super) texture: wgpu::Texture,
    pub(super) view: wgpu::TextureView,
}

/// What a kernel binds.
#[derive(Clone, Copy)]
pub(crate) enum Bound<'a> {
    Buffer(Range<'a>),
    Texture(&'a GpuTexture),
}

impl Bound<'_> {
    pub(super) fn resource(&self) -> wgpu::BindingResource<'_> {
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

/// Bytes of a row of a texture.
const ROW: u32 = TEXTURE_WIDTH * 16;

impl GpuBuffer {
    pub(crate) fn range(&self, bytes: u64) -> Range<'_> {
        Range { buffer: self, offset: 0, bytes }
    }
}

/// A tensor in a buffer of the caller's, made on the session's device with `COPY_SRC` usage: row-major elements of four
/// bytes (f32; i32 for signed integers; u32 for unsigned ones and bool).
#[derive(Clone, Copy, Debug)]
pub struct GpuInput<'a> {
    /// The buffer; the tensor starts at its start.
    pub buffer: &'a wgpu::Buffer,
    /// The extents.
    pub shape: &'a [usize],
}

impl GpuInput<'_> {
    /// The buffer, after a check that it can be copied and holds `bytes`.
    pub(crate) fn checked(&self, name: &str, bytes: u64) -> Result<GpuBuffer> {
        if !self.buffer.usage().contains(wgpu::BufferUsages::COPY_SRC) {
            return Err(Error::invalid_input(format!(
                "input `{name}`: expected a buffer of usage COPY_SRC, found {:?}",
                self.buffer.usage()
            )));
        }
        if self.buffer.size() < bytes {
            let found = self.buffer.size();
            return Err(Error::invalid_input(format!(
                "input `{name}`: expected a buffer of at least {bytes} bytes, found {found}"
            )));
        }
        Ok(GpuBuffer { buffer: self.buffer.clone() })
    }
}

impl GpuBuffer {
    /// The buffer itself, to bind or copy. What this crate hands out is read only to the caller.
    pub fn wgpu(&self) -> &wgpu::Buffer {
        &self.buffer
    }

    pub(crate) fn size(&self) -> u64 {
        self.buffer.size()
    }

    /// Writes bytes into an upload buffer while it is mapped; `offset` is a multiple of eight, their number one of four.
    pub(crate) fn fill(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let range = self.buffer.get_mapped_range_mut(offset..offset + bytes.len() as u64);
        range.map_err(|e| Error::internal("an upload buffer cannot be written").caused_by(e))?.copy_from_slice(bytes);
        Ok(())
    }

    /// The bytes of a download buffer, once the work that fills it is done and it is mapped.
    pub(crate) fn mapped<T>(&self, bytes: u64, read: impl FnOnce(&[u8]) -> T) -> Result<T> {
        let range = self.buffer.get_mapped_range(0..bytes).map_err(|e| Error::internal("a buffer cannot be read").caused_by(e))?;
        let result = read(&range);
        drop(range);
        self.buffer.unmap();
        Ok(result)
    }
}

impl Gpu {
    /// Makes several buffers at once: label, size and role of each.
    pub(crate) async fn buffers(&self, wanted: &[(&str, u64, Role)], tally: &Tally) -> Result<Vec<GpuBuffer>> {
        let (buffers, fault) = {
            let scopes = Scopes::open(self.device());
            let buffers = wanted.iter().map(|(label, size, role)| self.buffer(label, *size, *role, tally)).collect();
            (buffers, scopes.close("making buffers"))
        };
        fault.await?;
        Ok(buffers)
    }

    fn buffer(&self, label: &str, size: u64, role: Role, tally: &Tally) -> GpuBuffer {
        use wgpu::BufferUsages as Usage;
        let usage = match role {
            Role::Storage => Usage::STORAGE | Usage::COPY_SRC | Usage::COPY_DST,
            Role::Uniform => Usage::UNIFORM | Usage::COPY_DST,
            Role::Upload => Usage::MAP_WRITE | Usage::COPY_SRC,
            Role::Download => Usage::MAP_READ | Usage::COPY_DST,
        };
        Tally::add(&tally.buffers);
        let descriptor = wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: role == Role::Upload };
        GpuBuffer { buffer: self.device().create_buffer(&descriptor) }
    }

    /// Makes textures: label and size in bytes of each.
    pub(crate) async fn textures(&self, wanted: &[(&str, u64)], tally: &Tally) -> Result<Vec<GpuTexture>> {
        let make = || wanted.iter().map(|(label, bytes)| self.texture(label, *bytes, tally)).collect();
        self.guarded("making textures", make).await
    }

    fn texture(&self, label: &str, bytes: u64, tally: &Tally) -> GpuTexture {
        Tally::add(&tally.buffers);
        let rows = bytes.div_ceil(u64::from(ROW)).max(1) as u32;
        let texture = self.device().create_texture(&wgpu::TextureDescriptor {
            label: Some(label),
            size: wgpu::Extent3d { width: TEXTURE_WIDTH, height: rows, depth_or_array_layers: 1 },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: TEXTURE_FORMAT,
            usage: wgpu::TextureUsages::STORAGE_BINDING | wgpu::TextureUsages::COPY_DST,
            view_formats: &[],
        });
        let view = texture.create_view(&wgpu::TextureViewDescriptor::default());
        GpuTexture { texture, view }
    }

    /// Writes bytes into a texture from its start, and zeros to the end of the last row that they reach.
    pub(crate) fn write_texture(&self, texture: &GpuTexture, mut bytes: Vec<u8>) {
        bytes.resize(bytes.len().next_multiple_of(ROW as usize), 0);
        let rows = bytes.len() as u32 / ROW;
        let layout = wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(ROW), rows_per_image: Some(rows) };
        let size = wgpu::Extent3d { width: TEXTURE_WIDTH, height: rows, depth_or_array_layers: 1 };
        self.queue().write_texture(texture.texture.as_image_copy(), &bytes, layout, size);
    }

    /// The same on the device, from whole groups of four floats of a buffer.
    pub(super) fn copy_to_texture(encoder: &mut wgpu::CommandEncoder, from: Range<'_>, texture: &wgpu::Texture) {
        let mut copy = |offset: u64, y: u32, width: u32, height: u32| {
            if width == 0 || height == 0 {
                return;
            }
            let layout =
                wgpu::TexelCopyBufferLayout { offset: from.offset + offset, bytes_per_row: Some(ROW), rows_per_image: None };
            let source = wgpu::TexelCopyBufferInfo { buffer: &from.buffer.buffer, layout };
            let target = wgpu::TexelCopyTextureInfo { origin: wgpu::Origin3d { x: 0, y, z: 0 }, ..texture.as_image_copy() };
            encoder.copy_buffer_to_texture(source, target, wgpu::Extent3d { width, height, depth_or_array_layers: 1 });
        };
        let row = u64::from(ROW);
        // A texture holds at most 2^32 rows, and a row has fewer groups than 2^32.
        let (rows, rest) = ((from.bytes / row) as u32, (from.bytes % row / 16) as u32);
        copy(0, 0, TEXTURE_WIDTH, rows);
        copy(u64::from(rows) * row, rows, rest, 1);
    }

    /// The first bytes of a buffer.
    pub(crate) async fn read(&self, buffer: &GpuBuffer, bytes: u64, tally: &Tally) -> Result<Vec<u8>> {
        let staging = self.buffers(&[("download", bytes.max(4), Role::Download)], tally).await?.swap_remove(0);
        let after = [super::Copy { from: buffer.range(bytes), to: &staging, offset: 0 }];
        self.run(&super::Recording { after: &after, map: Some(&staging), ..Default::default() }).await?;
        staging.mapped(bytes.max(4), |mapped| mapped[..bytes as usize].to_vec())
    }

    /// Writes bytes into a buffer, before whatever is submitted next.
    pub(crate) fn write(&self, buffer: &GpuBuffer, offset: u64, bytes: &[u8]) {
        self.queue().write_buffer(&buffer.buffer, offset, bytes);
    }
}
