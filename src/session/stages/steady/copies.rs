//! Copies between the buffers of a turn, with the buffers that they are between.

use crate::gpu::{Copy, GpuBuffer, Range};

/// A copy that has its buffers.
pub(super) struct OwnedCopy {
    from: GpuBuffer,
    start: u64,
    bytes: u64,
    to: GpuBuffer,
    offset: u64,
}

impl OwnedCopy {
    pub(super) fn new(from: Range<'_>, to: Range<'_>) -> Self {
        let bytes = from.bytes.min(to.bytes);
        OwnedCopy { from: from.buffer.clone(), start: from.offset, bytes, to: to.buffer.clone(), offset: to.offset }
    }

    pub(super) fn copy(&self) -> Copy<'_> {
        let from = Range { buffer: &self.from, offset: self.start, bytes: self.bytes };
        Copy { from, to: &self.to, offset: self.offset }
    }
}

/// All copies of a list.
pub(super) fn copies(owned: &[OwnedCopy]) -> Vec<Copy<'_>> {
    owned.iter().map(OwnedCopy::copy).collect()
}
