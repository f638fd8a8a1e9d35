//! The tensors of a plan as it is written, and how long each lives.

use super::types::{GRANULE, Place, PlannedTensor};
use crate::error::{Error, Result};
use crate::kernel::Caps;

/// A slot that is not assigned yet.
pub(super) const LATER: Place = Place::Slot { buffer: usize::MAX, offset: 0 };

/// All tensors so far.
pub(super) struct Tensors<'a> {
    caps: &'a Caps,
    pub planned: Vec<PlannedTensor>,
    /// For each tensor, the steps from which and until which it lives.
    pub lifetimes: Vec<(usize, usize)>,
    /// The next step; transfers count as one.
    pub clock: usize,
    pub largest_binding: u64,
}

impl<'a> Tensors<'a> {
    pub(super) fn new(caps: &'a Caps) -> Self {
        Tensors { caps, planned: Vec::new(), lifetimes: Vec::new(), clock: 0, largest_binding: 0 }
    }

    /// A new tensor, after a check against what the adapter can bind.
    pub(super) fn add(&mut self, name: String, bytes: u64, place: Place) -> Result<usize> {
        let bytes = bytes.max(1).next_multiple_of(GRANULE);
        let limit = self.caps.max_storage_binding.min(self.caps.max_buffer);
        if bytes > limit {
            let message = format!(
                "`{name}` takes {bytes} bytes on the GPU, but {} can bind at most {limit}; use smaller inputs, or the CPU",
                self.caps
            );
            return Err(Error::limit(message));
        }
        self.largest_binding = self.largest_binding.max(bytes);
        self.planned.push(PlannedTensor { name, bytes, place });
        self.lifetimes.push((self.clock, self.clock));
        Ok(self.planned.len() - 1)
    }

    /// A step binds a tensor now.
    pub(super) fn bind(&mut self, tensor: usize) {
        self.lifetimes[tensor].1 = self.clock;
        let base = self.base(tensor);
        self.lifetimes[base].1 = self.clock;
    }

    /// The tensor that a tensor lies in, or else itself.
    pub(super) fn base(&self, tensor: usize) -> usize {
        match self.planned[tensor].place {
            Place::Within { tensor, .. } => tensor,
            _ => tensor,
        }
    }

    /// A tensor is filled at an earlier step.
    pub(super) fn begin(&mut self, tensor: usize, step: usize) {
        self.lifetimes[tensor].0 = step;
    }
}
