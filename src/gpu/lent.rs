//! Buffers that are lent for a part of a run, and go back to the device.

use super::buffer::{GpuBuffer, Role};
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The most buffers that a device keeps for later.
const MAX_IDLE: usize = 16;

/// Buffers that nobody has.
#[derive(Default)]
pub(super) struct Idle(Mutex<Vec<(Role, GpuBuffer)>>);

/// A buffer of at least the size that was asked for, with what an earlier holder left in it. Work that was submitted with it is done
/// before work that the next holder submits.
pub(crate) struct Lent {
    buffer: GpuBuffer,
    role: Role,
    idle: Arc<Idle>,
    spoilt: bool,
}

impl Idle {
    fn buffers(&self) -> MutexGuard<'_, Vec<(Role, GpuBuffer)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The smallest that holds `size`, and is not much larger.
    pub(super) fn take(&self, size: u64, role: Role) -> Option<GpuBuffer> {
        let mut buffers = self.buffers();
        let fits = |(kind, buffer): &(Role, GpuBuffer)| *kind == role && (size..=size.saturating_mul(4)).contains(&buffer.size());
        let fitting = buffers.iter().enumerate().filter(|(_, entry)| fits(entry));
        let (index, _) = fitting.min_by_key(|(_, (_, buffer))| buffer.size())?;
        Some(buffers.swap_remove(index).1)
    }

    /// Drops all of them.
    pub(super) fn trim(&self) {
        self.buffers().clear();
    }
}

impl Lent {
    pub(super) fn new(buffer: GpuBuffer, role: Role, idle: Arc<Idle>) -> Self {
        Lent { buffer, role, idle, spoilt: false }
    }
    /// Nobody gets the buffer after this holder.
    pub(crate) fn spoil(&mut self) {
        self.spoilt = true;
    }
}

impl Deref for Lent {
    type Target = GpuBuffer;

    fn deref(&self) -> &GpuBuffer {
        &self.buffer
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut buffers = self.idle.buffers();
        if self.spoilt {
            return;
        }
        if buffers.len() >= MAX_IDLE {
            buffers.remove(0);
        }
        buffers.push((self.role, self.buffer.clone()));
    }
}
