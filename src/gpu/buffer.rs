//! Buffers on the device, and the mapped bytes of those that the host writes and reads.

use crate::error::{Error, Result};

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

impl GpuBuffer {
    /// Whether both are one buffer.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.buffer == other.buffer
    }
}

/// Part of a buffer.
#[derive(Clone, Copy)]
pub(crate) struct Range<'a> {
    pub buffer: &'a GpuBuffer,
    pub offset: u64,
    pub bytes: u64,
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

impl Role {
    pub(super) fn usage(self) -> wgpu::BufferUsages {
        use wgpu::BufferUsages as Usage;
        match self {
            Role::Storage => Usage::STORAGE | Usage::COPY_SRC | Usage::COPY_DST,
            Role::Uniform => Usage::UNIFORM | Usage::COPY_DST,
            Role::Upload => Usage::MAP_WRITE | Usage::COPY_SRC,
            Role::Download => Usage::MAP_READ | Usage::COPY_DST,
        }
    }
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

    /// Its first bytes.
    pub(crate) fn range(&self, bytes: u64) -> Range<'_> {
        Range { buffer: self, offset: 0, bytes }
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
