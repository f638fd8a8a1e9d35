//! What was planned for a graph, by what is known of its inputs.

use super::ancestors::sources;
use super::key::{MAX_VALUE_ELEMENTS, PlanKey};
use crate::graph::{Graph, Structure, ValueId};
use crate::session::data::held::Held;
use futures_intrusive::sync::MutexGuard as AsyncGuard;
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The most entries that are kept; the one whose last use is longest ago is dropped.
const MAX_PLANS: usize = 16;

/// What a graph is run by: a plan, or stages.
pub(crate) struct PlanCache<T> {
    /// In the order of their last use.
    entries: Mutex<Vec<(PlanKey, T)>>,
    /// Inputs that some shape was found to depend on: their contents are part of the key.
    by_value: Mutex<BTreeSet<usize>>,
    /// Held while an entry is made, so that it is made once.
    planning: futures_intrusive::sync::Mutex<()>,
}

impl<T> Default for PlanCache<T> {
    fn default() -> Self {
        let planning = futures_intrusive::sync::Mutex::new((), true);
        PlanCache { entries: Mutex::default(), by_value: Mutex::default(), planning }
    }
}

impl<T: Clone> PlanCache<T> {
    fn entries(&self) -> MutexGuard<'_, Vec<(PlanKey, T)>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn by_value(&self) -> MutexGuard<'_, BTreeSet<usize>> {
        self.by_value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until no other thread plans for this graph. Look for an entry again afterwards: the other thread may have made it.
    pub(crate) async fn planning(&self) -> AsyncGuard<'_, ()> {
        self.planning.lock().await
    }

    pub(crate) fn key(&self, inputs: &[Structure<Held<'_>>]) -> PlanKey {
        PlanKey::new(inputs, &self.by_value())
    }

    /// The inputs whose contents are part of the key.
    pub(crate) fn values(&self) -> Vec<usize> {
        self.by_value().iter().copied().collect()
    }

    pub(crate) fn find(&self, key: &PlanKey) -> Option<T> {
        let mut entries = self.entries();
        let index = entries.iter().position(|(k, _)| k == key)?;
        let found = entries.remove(index);
        let entry = found.1.clone();
        entries.push(found);
        Some(entry)
    }

    pub(crate) fn insert(&self, key: PlanKey, entry: T) {
        let mut entries = self.entries();
        if entries.len() >= MAX_PLANS {
            entries.remove(0);
        }
        entries.push((key, entry));
    }

    pub(crate) fn clear(&self) {
        self.entries().clear();
    }

    /// Makes the contents of these inputs part of the key; false when they are already, or not small.
    pub(crate) fn take_values(&self, places: BTreeSet<usize>, inputs: &[Structure<Held<'_>>]) -> bool {
        let elements = |k: &usize| match &inputs[*k] {
            Structure::Tensor(held) => held.ty().elements(),
            // How many tensors there are is part of the key; what they hold is not.
            Structure::Sequence(_) => MAX_VALUE_ELEMENTS + 1,
            Structure::Absent => 0,
        };
        let small = places.iter().map(elements).sum::<usize>() <= MAX_VALUE_ELEMENTS;
        let mut by_value = self.by_value();
        let before = by_value.len();
        if small {
            by_value.extend(places);
        }
        by_value.len() > before
    }

    /// Makes the contents of the inputs that `value` depends on part of the key; false when they are already, or not small.
    pub(crate) fn key_by_value(&self, graph: &Graph, value: ValueId, inputs: &[Structure<Held<'_>>]) -> bool {
        self.take_values(sources(graph, value), inputs)
    }
}
