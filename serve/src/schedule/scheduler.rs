//! The queues of all models, and which batch is next.
//!
//! Models share a device by the time that they had of it: the batch is of the model that had the least, by its weight. One that had nothing
//! to do is counted as if it had been served as much as the others, so that it does not catch up on time that nobody kept it from.

use super::lane::{Lane, LaneId, LaneLimits};
use super::request::{Refusal, RequestId, Time, Waiting};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What bounds all models together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most requests that wait.
    pub requests: usize,
    /// The most bytes that they hold.
    pub bytes: usize,
    /// How much later a request of the next level may have come and still go first, in microseconds.
    pub level: Time,
}

/// Requests that are computed together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The model.
    pub lane: LaneId,
    /// The requests, in the order of their rows.
    pub requests: Vec<RequestId>,
    /// Their rows, all together.
    pub rows: usize,
}

/// What is to be done now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Requests whose deadline passed; they wait no longer.
    pub expired: Vec<RequestId>,
    /// What to compute.
    pub batch: Option<Batch>,
    /// Where there is nothing to compute: when to ask again, unless a request comes before that.
    pub wake: Option<Time>,
}

/// The queues of all models.
#[derive(Debug)]
pub struct Scheduler<F> {
    limits: Limits,
    lanes: BTreeMap<LaneId, Lane<F>>,
    lane_of: HashMap<RequestId, LaneId>,
    deadlines: BTreeSet<(Time, RequestId)>,
    bytes: usize,
    /// What the model had that was served last, when it was chosen.
    clock: u128,
    hurry: bool,
}

impl<F: Ord + Clone> Scheduler<F> {
    /// A scheduler without models.
    pub fn new(limits: Limits) -> Self {
        Scheduler {
            limits,
            lanes: BTreeMap::new(),
            lane_of: HashMap::new(),
            deadlines: BTreeSet::new(),
            bytes: 0,
            clock: 0,
            hurry: false,
        }
    }

    /// Takes requests for a model from now on.
    pub fn open(&mut self, lane: LaneId, limits: LaneLimits) {
        self.lanes.insert(lane, Lane::new(limits, self.clock));
    }

    /// Takes no more requests for a model; those that wait are served.
    pub fn close(&mut self, lane: LaneId) {
        if let Some(found) = self.lanes.get_mut(&lane) {
            found.closing = true;
        }
        self.sweep(lane);
    }

    /// No batch waits for more requests from now on.
    pub fn hurry(&mut self) {
        self.hurry = true;
    }

    /// How many requests wait.
    pub fn len(&self) -> usize {
        self.lane_of.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.lane_of.is_empty()
    }

    /// The bytes that waiting requests hold.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many requests wait for a model, and the bytes that they hold; none once it is closed and empty.
    pub fn waiting(&self, lane: LaneId) -> Option<(usize, usize)> {
        self.lanes.get(&lane).map(|lane| (lane.len(), lane.bytes()))
    }

    /// Takes a request, or says why not.
    ///
    /// # Errors
    /// The bound that it exceeds, or that its deadline has passed.
    pub fn offer(&mut self, now: Time, request: Waiting<F>) -> Result<(), Refusal> {
        let Some(lane) = self.lanes.get_mut(&request.lane) else { return Err(Refusal::Closed) };
        lane.admits(&request)?;
        if request.deadline.is_some_and(|deadline| deadline <= now) {
            return Err(Refusal::Expired);
        }
        if self.lane_of.len() >= self.limits.requests {
            return Err(Refusal::Requests(self.limits.requests));
        }
        let bytes = self.bytes.checked_add(request.bytes).filter(|bytes| *bytes <= self.limits.bytes);
        self.bytes = bytes.ok_or(Refusal::Bytes(self.limits.bytes))?;
        if lane.len() == 0 {
            lane.served = lane.served.max(self.clock);
        }
        self.lane_of.insert(request.id, request.lane);
        self.deadlines.extend(request.deadline.map(|deadline| (deadline, request.id)));
        lane.insert(now, self.limits.level, request);
        Ok(())
    }

    /// Forgets a request that waits; false where it does not.
    pub fn cancel(&mut self, id: RequestId) -> bool {
        let Some(lane) = self.lane_of.get(&id).copied() else { return false };
        let removed = self.lanes.get_mut(&lane).and_then(|lane| lane.remove(id));
        let found = removed.is_some();
        removed.into_iter().for_each(|request| self.forget(&request));
        self.sweep(lane);
        found
    }

    /// What is to be done now, for a device that is free.
    pub fn step(&mut self, now: Time) -> Step {
        let mut expired = Vec::new();
        while let Some((deadline, id)) = self.deadlines.first().copied().filter(|(deadline, _)| *deadline <= now) {
            self.deadlines.remove(&(deadline, id));
            expired.extend(self.cancel(id).then_some(id));
        }
        let ready = self.lanes.iter().filter_map(|(id, lane)| Some((lane.served, *id, lane.ready(now, self.hurry)?)));
        let Some((served, id, form)) = ready.min_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1))) else {
            let due = self.lanes.values().filter_map(Lane::next_due).min();
            let deadline = self.deadlines.first().map(|(deadline, _)| *deadline);
            return Step { expired, batch: None, wake: due.into_iter().chain(deadline).min() };
        };
        self.clock = self.clock.max(served);
        let taken = self.lanes.get_mut(&id).map(|lane| lane.take(&form)).unwrap_or_default();
        taken.iter().for_each(|request| self.forget(request));
        let rows = taken.iter().map(|request| request.rows).sum();
        let requests = taken.iter().map(|request| request.id).collect();
        Step { expired, batch: Some(Batch { lane: id, requests, rows }), wake: None }
    }

    /// What a batch of a model took of the device, in microseconds.
    pub fn charge(&mut self, lane: LaneId, time: Time) {
        if let Some(found) = self.lanes.get_mut(&lane) {
            // In parts of a microsecond, so that weights keep their proportions; at least one, so that others get their turn.
            found.served += (u128::from(time.max(1)) << 16) / u128::from(found.limits.weight.max(1));
        }
        self.sweep(lane);
    }

    fn forget(&mut self, request: &Waiting<F>) {
        self.lane_of.remove(&request.id);
        self.bytes -= request.bytes;
        if let Some(deadline) = request.deadline {
            self.deadlines.remove(&(deadline, request.id));
        }
    }

    /// Drops a closed model that nobody waits for.
    fn sweep(&mut self, lane: LaneId) {
        if self.lanes.get(&lane).is_some_and(|lane| lane.closing && lane.len() == 0) {
            self.lanes.remove(&lane);
        }
    }
}
