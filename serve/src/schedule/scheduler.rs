//! The queues of all models, and which batch is next.
//!
//! Models share a device by the time that they had of it: the batch is of the model that had the least, by its weight. One that had nothing
//! to do is counted as if it had been served as much as the others, so that it does not catch up on time that nobody kept it from.

use super::lane::{DeviceId, Lane, LaneId, LaneLimits};
use super::request::{Refusal, RequestId, Time, Waiting};
use super::sequences::{RunNumber, SequenceCounts, SequenceKey, Turn};
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
    /// The sequence that the one request belongs to, if it does.
    pub turn: Option<Turn>,
}

/// What is to be done now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Requests whose deadline passed; they wait no longer.
    pub expired: Vec<RequestId>,
    /// What to compute; [`Scheduler::finish`] says when that is done.
    pub batch: Option<Batch>,
    /// Where there is nothing to compute: when to ask again, unless a request comes or a batch is done before that.
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
    /// For each device what the model had that was served last, when it was chosen.
    clocks: BTreeMap<DeviceId, u128>,
    /// Runs of sequences that ended.
    ended: Vec<RunNumber>,
    next_run: RunNumber,
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
            clocks: BTreeMap::new(),
            ended: Vec::new(),
            next_run: 0,
            hurry: false,
        }
    }

    fn clock(&self, device: DeviceId) -> u128 {
        self.clocks.get(&device).copied().unwrap_or_default()
    }

    /// Takes requests for a model from now on.
    pub fn open(&mut self, lane: LaneId, limits: LaneLimits) {
        let clock = self.clock(limits.device);
        self.lanes.insert(lane, Lane::new(limits, clock));
    }

    /// Takes no more requests for a model; those that wait are served, and then its sequences end. Gives those that run.
    pub fn close(&mut self, lane: LaneId) -> Vec<SequenceKey> {
        let found = self.lanes.get_mut(&lane);
        let running = found.map(|found| {
            found.closing = true;
            found.sequences.keys().cloned().collect()
        });
        self.sweep(lane);
        running.unwrap_or_default()
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

    /// The sequences of a model.
    pub fn sequences(&self, lane: LaneId) -> SequenceCounts {
        self.lanes.get(&lane).map(|lane| lane.sequences.counts()).unwrap_or_default()
    }

    /// How many batches a device may compute at a time, by its models: the most that one of them may, and their sum.
    pub fn instances(&self, device: DeviceId) -> (usize, usize) {
        let of = self.lanes.values().filter(|lane| lane.limits.device == device && !lane.closing);
        of.fold((0, 0), |(most, sum), lane| (most.max(lane.limits.instances), sum.saturating_add(lane.limits.instances)))
    }

    /// Runs of sequences that ended since this was last asked: nothing will be computed for them any more.
    pub fn take_ended(&mut self) -> Vec<RunNumber> {
        std::mem::take(&mut self.ended)
    }

    /// Takes a request, or says why not.
    ///
    /// # Errors
    /// The bound that it exceeds, that its deadline has passed, or that its sequence does not run.
    pub fn offer(&mut self, now: Time, request: Waiting<F>) -> Result<(), Refusal> {
        let (id, clocks) = (request.lane, &self.clocks);
        let Some(lane) = self.lanes.get_mut(&id) else { return Err(Refusal::Closed) };
        lane.sequences.expire(now, lane.limits.idle, lane.limits.sequences);
        self.ended.append(&mut lane.sequences.ended);
        lane.admits(&request)?;
        if request.deadline.is_some_and(|deadline| deadline <= now) {
            return Err(Refusal::Expired);
        }
        if self.lane_of.len() >= self.limits.requests {
            return Err(Refusal::Requests(self.limits.requests));
        }
        let bytes = self.bytes.checked_add(request.bytes).filter(|bytes| *bytes <= self.limits.bytes);
        self.bytes = bytes.ok_or(Refusal::Bytes(self.limits.bytes))?;
        if lane.len() == 0 && lane.computing == 0 {
            lane.served = lane.served.max(clocks.get(&lane.limits.device).copied().unwrap_or_default());
        }
        self.lane_of.insert(request.id, id);
        self.deadlines.extend(request.deadline.map(|deadline| (deadline, request.id)));
        lane.insert(now, self.limits.level, request, self.next_run);
        self.next_run += 1;
        self.sweep(id);
        Ok(())
    }

    /// Forgets a request that waits; false where it does not.
    pub fn cancel(&mut self, now: Time, id: RequestId) -> bool {
        let Some(lane) = self.lane_of.get(&id).copied() else { return false };
        let level = self.limits.level;
        let removed = self.lanes.get_mut(&lane).and_then(|lane| lane.remove(now, level, id));
        let found = removed.is_some();
        removed.into_iter().for_each(|request| self.forget(&request));
        self.sweep(lane);
        found
    }

    /// What is to be done now, for a device that is free.
    pub fn step(&mut self, now: Time, device: DeviceId) -> Step {
        let mut expired = Vec::new();
        while let Some((deadline, id)) = self.deadlines.first().copied().filter(|(deadline, _)| *deadline <= now) {
            self.deadlines.remove(&(deadline, id));
            expired.extend(self.cancel(now, id).then_some(id));
        }
        for lane in self.lanes.values_mut() {
            lane.sequences.expire(now, lane.limits.idle, lane.limits.sequences);
            self.ended.append(&mut lane.sequences.ended);
        }
        let of_device = || self.lanes.iter().filter(|(_, lane)| lane.limits.device == device);
        let ready = of_device().filter_map(|(id, lane)| Some((lane.weighed(), *id, lane.ready(now, self.hurry)?)));
        let Some((_, id, kind)) = ready.min_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1))) else {
            let due = of_device().filter_map(|(_, lane)| lane.next_due()).min();
            let deadline = self.deadlines.first().map(|(deadline, _)| *deadline);
            let idle = self.lanes.values().filter_map(|lane| lane.sequences.next_expiry(lane.limits.idle)).min();
            return Step { expired, batch: None, wake: [due, deadline, idle].into_iter().flatten().min() };
        };
        let batch = self.take(id, device, &kind);
        Step { expired, batch, wake: None }
    }

    fn take(&mut self, id: LaneId, device: DeviceId, kind: &(F, Option<RunNumber>)) -> Option<Batch> {
        let lane = self.lanes.get_mut(&id)?;
        let clock = self.clocks.entry(device).or_default();
        *clock = (*clock).max(lane.served);
        let (taken, turn) = lane.take(kind);
        taken.iter().for_each(|request| self.forget(request));
        let rows = taken.iter().map(|request| request.rows).sum();
        let requests = taken.iter().map(|request| request.id).collect();
        Some(Batch { lane: id, requests, rows, turn })
    }

    /// A batch is computed, which took so much of the device, in microseconds.
    pub fn finish(&mut self, now: Time, batch: &Batch, time: Time) {
        if let Some(lane) = self.lanes.get_mut(&batch.lane) {
            // In parts of a microsecond, so that weights keep their proportions; at least one, so that others get their turn.
            let cost = (u128::from(time.max(1)) << 16) / u128::from(lane.limits.weight.max(1));
            lane.finish(now, self.limits.level, batch.turn.as_ref(), cost);
        }
        self.sweep(batch.lane);
    }

    /// Ends the run of a sequence whose contents are lost, and gives its requests that wait; they wait no longer. Its batch is still to be
    /// [finished](Self::finish).
    pub fn lose(&mut self, now: Time, lane: LaneId, turn: &Turn) -> Vec<RequestId> {
        let level = self.limits.level;
        let lost = self.lanes.get_mut(&lane).map(|lane| lane.lose(now, level, turn)).unwrap_or_default();
        lost.iter().for_each(|request| self.forget(request));
        self.sweep(lane);
        lost.iter().map(|request| request.id).collect()
    }

    fn forget(&mut self, request: &Waiting<F>) {
        self.lane_of.remove(&request.id);
        self.bytes -= request.bytes;
        if let Some(deadline) = request.deadline {
            self.deadlines.remove(&(deadline, request.id));
        }
    }

    /// Takes note of runs that ended, and drops a closed model that nobody waits for.
    fn sweep(&mut self, lane: LaneId) {
        let Some(found) = self.lanes.get_mut(&lane) else { return };
        let over = found.closing && found.len() == 0 && found.computing == 0;
        if over {
            found.sequences.clear();
        }
        self.ended.append(&mut found.sequences.ended);
        if over {
            self.lanes.remove(&lane);
        }
    }
}
