//! The commands of instances that bind the buffers of states: made once for each two, and dropped with either.

use crate::gpu::Command;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The commands of a plan, per segment.
pub(crate) type Commands = Arc<Vec<Vec<Command>>>;

/// Which buffers, and which of each two is read.
type Key = (u64, Vec<usize>);

/// The commands of an instance that bind buffers of states.
#[derive(Default)]
pub(super) struct BoundStates(Mutex<HashMap<Key, Commands>>);

/// What a set of buffers is known by, and by whom.
pub(super) struct Bindings {
    id: u64,
    known: Mutex<Vec<Weak<BoundStates>>>,
}

impl Default for Bindings {
    fn default() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Bindings { id: NEXT.fetch_add(1, Ordering::Relaxed), known: Mutex::default() }
    }
}

impl Bindings {
    /// The buffers are others from now on: what binds the old ones is dropped.
    pub(super) fn renew(&mut self) {
        *self = Bindings::default();
    }
}

impl Drop for Bindings {
    fn drop(&mut self) {
        let known = std::mem::take(&mut *self.known.lock().unwrap_or_else(PoisonError::into_inner));
        for bound in known.iter().filter_map(Weak::upgrade) {
            bound.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|(id, _), _| *id != self.id);
        }
    }
}

impl BoundStates {
    /// Whether there are commands that bind these buffers.
    pub(super) fn knows(&self, bindings: &Bindings) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).keys().any(|(id, _)| *id == bindings.id)
    }

    /// The commands that bind these buffers.
    pub(super) fn find(&self, bindings: &Bindings, fronts: &[usize]) -> Option<Commands> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&(bindings.id, fronts.to_vec())).cloned()
    }

    /// Keeps commands for as long as both the buffers and the instance are there.
    pub(super) fn keep(self: &Arc<Self>, bindings: &Bindings, fronts: Vec<usize>, commands: Commands) {
        let mut known = bindings.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|other| other.strong_count() > 0);
        if !known.iter().any(|other| other.as_ptr() == Arc::as_ptr(self)) {
            known.push(Arc::downgrade(self));
        }
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert((bindings.id, fronts), commands);
    }
}
