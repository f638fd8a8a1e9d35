//! Buffers and the bytes that go in and out of them.

use super::fault::Scopes;
use super::{Gpu, Tally};
use crate::error::{Error, Result};

/// What a buffer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Tensors that kernels bind.
    Storage,
    /// Parameters of kernels.
    Uniform,
    /// Bytes on their way to the host.
    Download,
}

/// A buffer on the device.
#[derive(Clone, Debug)]
pub struct GpuBuffer {
    pub(super) buffer: wgpu::Buffer,
}

impl GpuBuffer {
    /// The buffer itself, to bind or copy. What this crate hands out is read only to the caller.
    pub fn wgpu(&self) -> &wgpu::Buffer {
        &self.buffer
    }

    pub(crate) fn size(&self) -> u64 {
        self.buffer.size()
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
            Role::Download => Usage::MAP_READ | Usage::COPY_DST,
        };
        Tally::add(&tally.buffers);
        let descriptor = wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: false };
        GpuBuffer { buffer: self.device().create_buffer(&descriptor) }
    }

    /// Writes bytes to the start of a buffer, before whatever is submitted next.
    pub(crate) fn write(&self, buffer: &GpuBuffer, bytes: &[u8]) {
        self.queue().write_buffer(&buffer.buffer, 0, bytes);
    }
}
