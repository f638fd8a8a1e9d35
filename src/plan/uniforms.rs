//! Parameters and numbers of all steps, in one buffer.

use super::types::GRANULE;

/// What steps bind as uniforms.
pub(super) struct Uniforms {
    pub bytes: Vec<u8>,
    /// Of the offsets at which they may be bound.
    alignment: usize,
}

impl Uniforms {
    pub(super) fn new(alignment: u32) -> Self {
        Uniforms { bytes: Vec::new(), alignment: alignment as usize }
    }

    /// Adds what a step binds; returns its offset and size.
    pub(super) fn add(&mut self, contents: &[u8]) -> (u32, u32) {
        let offset = self.bytes.len();
        let size = contents.len().max(1).next_multiple_of(GRANULE as usize);
        self.bytes.extend(contents);
        self.bytes.resize((offset + size).next_multiple_of(self.alignment), 0);
        (offset as u32, size as u32)
    }
}
