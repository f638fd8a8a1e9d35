//! A model that is served, with what is counted of it.

use super::recent::Recent;
use crate::failure::Code;
use crate::repository::LoadedModel;
use crate::schedule::LaneId;
use bytes::Bytes;
use gristmill::DType;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// A model that is served.
pub struct Served {
    /// The model.
    pub model: Arc<LoadedModel>,
    /// What the scheduler knows it by.
    pub lane: LaneId,
    statistics: Mutex<Statistics>,
}

/// How often something happened, and how long it took, all together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// How often.
    pub count: u64,
    /// How long.
    pub time: Duration,
}

/// What is counted of a model since it was loaded.
#[derive(Clone, Debug, Default)]
pub struct Statistics {
    /// Rows that were computed for requests.
    pub rows: u64,
    /// Batches that were computed.
    pub batches: u64,
    /// The last time that a request came, if one did.
    pub last: Option<SystemTime>,
    /// Requests that were answered.
    pub succeeded: Counted,
    /// Requests that failed, by kind.
    pub failed: BTreeMap<&'static str, Counted>,
    /// Time in the queue, of requests that left it to be computed.
    pub queued: Counted,
    /// Time of joining inputs.
    pub joining: Counted,
    /// Time of the device.
    pub computing: Counted,
    /// Time of taking outputs apart.
    pub parting: Counted,
    /// The device's time, by the number of rows of a batch.
    pub by_rows: BTreeMap<usize, Counted>,
    /// The last answers.
    pub recent: Recent,
}

/// How long the parts of a batch took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// Joining inputs.
    pub joining: Duration,
    /// The device.
    pub computing: Duration,
    /// Taking outputs apart.
    pub parting: Duration,
}

/// What a run gave for one request.
#[derive(Clone, Debug)]
pub struct Done {
    /// All outputs of the model: name, type, shape, elements.
    pub outputs: Vec<(String, DType, Vec<usize>, Bytes)>,
    /// How long the request waited.
    pub queued: Duration,
    /// How long its batch took.
    pub computed: Duration,
    /// What of that was what.
    pub parts: Parts,
    /// The rows of its batch.
    pub rows: usize,
}

impl Counted {
    /// Counts one more.
    pub fn add(&mut self, time: Duration) {
        self.count += 1;
        self.time += time;
    }
}

impl Served {
    pub(super) fn new(model: Arc<LoadedModel>, lane: LaneId) -> Self {
        Served { model, lane, statistics: Mutex::default() }
    }

    /// What is counted so far.
    pub fn statistics(&self) -> Statistics {
        self.statistics.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes what is counted.
    pub(crate) fn count(&self, change: impl FnOnce(&mut Statistics)) {
        change(&mut self.statistics.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Counts a request that was answered, or failed by a code.
    pub(crate) fn count_answer(&self, code: Option<Code>, time: Duration) {
        self.count(|statistics| match code {
            None => {
                statistics.succeeded.add(time);
                statistics.recent.add(Instant::now(), time);
            }
            Some(code) => statistics.failed.entry(code.name()).or_default().add(time),
        });
    }
}
