//! Making buffers and textures, and filling them from the host.

use super::buffer::{GpuBuffer, Role};
use super::counters::Tally;
use super::device::Gpu;
use super::lent::Lent;
use super::texture::{GpuTexture, ROW, TEXTURE_FORMAT};
use crate::error::Result;
use crate::kernel::TEXTURE_WIDTH;

impl Gpu {
    /// Makes several buffers at once: label, size and role of each.
    pub(crate) async fn buffers(&self, wanted: &[(&str, u64, Role)], tally: &Tally) -> Result<Vec<GpuBuffer>> {
        let make = || wanted.iter().map(|(label, size, role)| self.make_buffer(label, *size, *role, tally)).collect();
        self.guarded("making buffers", make).await
    }

    /// Makes one buffer.
    pub(crate) async fn buffer(&self, label: &str, size: u64, role: Role, tally: &Tally) -> Result<GpuBuffer> {
        self.guarded("making buffers", || self.make_buffer(label, size, role, tally)).await
    }

    fn make_buffer(&self, label: &str, size: u64, role: Role, tally: &Tally) -> GpuBuffer {
        Tally::add(&tally.buffers);
        let mapped_at_creation = role == Role::Upload;
        let descriptor = wgpu::BufferDescriptor { label: Some(label), size, usage: role.usage(), mapped_at_creation };
        GpuBuffer { buffer: self.device().create_buffer(&descriptor) }
    }

    /// Lends a buffer, making one where none is idle.
    pub(crate) async fn lend(&self, label: &str, size: u64, role: Role, tally: &Tally) -> Result<Lent> {
        let size = size.max(16).next_power_of_two();
        let buffer = match self.idle().take(size, role) {
            Some(buffer) => buffer,
            None => self.buffer(label, size, role, tally).await?,
        };
        Ok(Lent::new(buffer, role, self.idle().clone()))
    }

    /// Makes textures: label and size in bytes of each.
    pub(crate) async fn textures(&self, wanted: &[(&str, u64)], tally: &Tally) -> Result<Vec<GpuTexture>> {
        let make = || wanted.iter().map(|(label, bytes)| self.make_texture(label, *bytes, tally)).collect();
        self.guarded("making textures", make).await
    }

    /// Makes one texture.
    pub(crate) async fn texture(&self, label: &str, bytes: u64, tally: &Tally) -> Result<GpuTexture> {
        self.guarded("making textures", || self.make_texture(label, bytes, tally)).await
    }

    fn make_texture(&self, label: &str, bytes: u64, tally: &Tally) -> GpuTexture {
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

    /// Writes bytes into a buffer, before whatever is submitted next.
    pub(crate) fn write(&self, buffer: &GpuBuffer, offset: u64, bytes: &[u8]) {
        self.queue().write_buffer(&buffer.buffer, offset, bytes);
    }

    /// Writes bytes into a texture from its start, and zeros to the end of the last row that they reach.
    pub(crate) fn write_texture(&self, texture: &GpuTexture, mut bytes: Vec<u8>) {
        bytes.resize(bytes.len().next_multiple_of(ROW as usize), 0);
        let rows = bytes.len() as u32 / ROW;
        let layout = wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(ROW), rows_per_image: Some(rows) };
        let size = wgpu::Extent3d { width: TEXTURE_WIDTH, height: rows, depth_or_array_layers: 1 };
        self.queue().write_texture(texture.texture.as_image_copy(), &bytes, layout, size);
    }
}
