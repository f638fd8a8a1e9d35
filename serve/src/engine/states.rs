//! What sequences hold between their requests.

use crate::schedule::{RunNumber, SequenceKey};
use gristmill::SessionState;
use std::collections::{BTreeSet, HashMap};

/// What sequences hold between their requests, and which of them went with their model.
#[derive(Default)]
pub(super) struct States {
    held: HashMap<RunNumber, SessionState>,
    /// For each model by name the sequences that ran when it was last closed.
    closed: HashMap<String, BTreeSet<SequenceKey>>,
}

impl States {
    /// What a run of a sequence holds; nothing where none of its requests was computed.
    pub(super) fn take(&mut self, run: RunNumber) -> Option<SessionState> {
        self.held.remove(&run)
    }

    pub(super) fn put(&mut self, run: RunNumber, state: SessionState) {
        self.held.insert(run, state);
    }

    /// Takes out what runs held that ended. It is to be dropped where nobody waits, as the device's memory goes with it.
    pub(super) fn end(&mut self, runs: Vec<RunNumber>) -> Vec<SessionState> {
        runs.into_iter().filter_map(|run| self.held.remove(&run)).collect()
    }

    /// A model is closed, of which these sequences run.
    pub(super) fn close(&mut self, model: &str, running: Vec<SequenceKey>) {
        self.closed.insert(model.to_string(), running.into_iter().collect());
    }

    /// A sequence of a model is started.
    pub(super) fn start(&mut self, model: &str, key: &SequenceKey) {
        if let Some(closed) = self.closed.get_mut(model) {
            closed.remove(key);
        }
    }

    /// Whether a sequence ran when its model was closed.
    pub(super) fn went_with_model(&self, model: &str, key: &SequenceKey) -> bool {
        self.closed.get(model).is_some_and(|closed| closed.contains(key))
    }
}
