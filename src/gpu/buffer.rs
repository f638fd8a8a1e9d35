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

/// Part of a buffer.
#[derive(Clone, Copy)]
pub(crate) struct Range<'a> {
    pub buffer: &'a GpuBuffer,
    pub offset: u64,
    pub bytes: u64,
}

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
