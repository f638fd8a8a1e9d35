//! Textures on the device: arrays of groups of four floats, row after row.

use super::buffer::Range;
use crate::kernel::TEXTURE_WIDTH;

/// How textures hold floats.
pub(super) const TEXTURE_FORMAT: wgpu::TextureFormat = wgpu::TextureFormat::Rgba32Float;

/// Bytes of a row of a texture.
pub(super) const ROW: u32 = TEXTURE_WIDTH * 16;

/// A texture on the device that holds an array of groups of four floats.
#[derive(Clone, Debug)]
pub(crate) struct GpuTexture {
    pub(super) texture: wgpu::Texture,
    pub(super) view: wgpu::TextureView,
}

impl GpuTexture {
    /// Records a copy of whole groups of four floats from a buffer to the start of the texture.
    pub(super) fn copy_from(&self, encoder: &mut wgpu::CommandEncoder, from: Range<'_>) {
        let mut copy = |offset: u64, y: u32, width: u32, height: u32| {
            if width == 0 || height == 0 {
                return;
            }
            let layout =
                wgpu::TexelCopyBufferLayout { offset: from.offset + offset, bytes_per_row: Some(ROW), rows_per_image: None };
            let source = wgpu::TexelCopyBufferInfo { buffer: &from.buffer.buffer, layout };
            let origin = wgpu::Origin3d { x: 0, y, z: 0 };
            let target = wgpu::TexelCopyTextureInfo { origin, ..self.texture.as_image_copy() };
            encoder.copy_buffer_to_texture(source, target, wgpu::Extent3d { width, height, depth_or_array_layers: 1 });
        };
        let row = u64::from(ROW);
        // A texture holds at most 2^32 rows, and a row has fewer groups than 2^32.
        let (rows, rest) = ((from.bytes / row) as u32, (from.bytes % row / 16) as u32);
        copy(0, 0, TEXTURE_WIDTH, rows);
        copy(u64::from(rows) * row, rows, rest, 1);
    }
}
