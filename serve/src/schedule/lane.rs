//! The requests that wait for one model.

use super::request::{Refusal, RequestId, Time, Waiting};
use super::sequences::{Entry, RunNumber, SequenceKey, Sequences, Turn};
use std::collections::{BTreeMap, HashMap};

/// What the scheduler knows a model by.
pub type LaneId = u64;

/// What the scheduler knows a device by.
pub type DeviceId = u32;

/// How requests of a model wait and are joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneLimits {
    /// The device that computes them.
    pub device: DeviceId,
    /// The most batches that are computed at a time.
    pub instances: usize,
    /// The most requests that wait.
    pub requests: usize,
    /// The most bytes that they hold.
    pub bytes: usize,
    /// The most rows of a batch; 1 joins nothing.
    pub rows: usize,
    /// The most tokens of a batch of several requests.
    pub tokens: usize,
    /// How long the first of a batch waits for more, in microseconds.
    pub delay: Time,
    /// The model's share of the device beside others.
    pub weight: u32,
    /// The most sequences that run at a time.
    pub sequences: usize,
    /// How long a sequence may be without a request, in microseconds.
    pub idle: Time,
}

/// Where a request stands among those that it can be computed with: by the time from which on it was ready, put off by its level, then in the order
/// of becoming so.
type Place = (Time, u64);

/// What can be computed together: requests of one form, or one of a sequence.
type Kind<F> = (F, Option<RunNumber>);

/// Requests of one kind.
type Group<F> = BTreeMap<Place, Entry<F>>;

/// Where to find a request.
#[derive(Debug)]
enum Standing<F> {
    /// In a group.
    Ready(Kind<F>, Place),
    /// Behind others of its sequence.
    Behind(SequenceKey),
}

#[derive(Debug)]
pub(super) struct Lane<F> {
    pub(super) limits: LaneLimits,
    /// Takes no more requests, and goes when it is empty.
    pub(super) closing: bool,
    /// Time of the device that it had, by its weight; see [`Scheduler`](super::Scheduler).
    pub(super) served: u128,
    /// Batches that are being computed.
    pub(super) computing: usize,
    pub(super) sequences: Sequences<F>,
    /// What the last batch added to `served`.
    last: u128,
    groups: BTreeMap<Kind<F>, Group<F>>,
    standing: HashMap<RequestId, Standing<F>>,
    bytes: usize,
    /// How many requests became ready so far.
    order: u64,
}

impl<F: Ord + Clone> Lane<F> {
    pub(super) fn new(limits: LaneLimits, served: u128) -> Self {
        Lane {
            limits,
            closing: false,
            served,
            computing: 0,
            sequences: Sequences::new(),
            last: 0,
            groups: BTreeMap::new(),
            standing: HashMap::new(),
            bytes: 0,
            order: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.standing.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// What it had of the device, with what its batches that are being computed are likely to add.
    pub(super) fn weighed(&self) -> u128 {
        self.served.saturating_add(self.last.saturating_mul(self.computing as u128))
    }

    /// Whether a request can wait here.
    pub(super) fn admits(&self, request: &Waiting<F>) -> Result<(), Refusal> {
        if self.closing {
            return Err(Refusal::Closed);
        }
        if request.rows > self.limits.rows.max(1) {
            return Err(Refusal::Rows(self.limits.rows.max(1)));
        }
        if let Some(part) = &request.sequence {
            self.sequences.admits(part, self.limits.sequences)?;
        }
        if self.len() >= self.limits.requests {
            return Err(Refusal::Requests(self.limits.requests));
        }
        match self.bytes.checked_add(request.bytes).filter(|bytes| *bytes <= self.limits.bytes) {
            Some(_) => Ok(()),
            None => Err(Refusal::Bytes(self.limits.bytes)),
        }
    }

    /// Takes a request; `run` is the number of a run that it starts.
    pub(super) fn insert(&mut self, now: Time, level: Time, request: Waiting<F>, run: RunNumber) {
        self.bytes += request.bytes;
        let entry = Entry { request, arrival: now };
        match entry.request.sequence.clone() {
            None => self.make_ready(now, level, None, entry),
            Some(part) => {
                self.standing.insert(entry.request.id, Standing::Behind(part.key.clone()));
                self.sequences.push(&part, entry, run);
                self.advance(now, level, &part.key);
            }
        }
    }

    fn make_ready(&mut self, now: Time, level: Time, run: Option<RunNumber>, entry: Entry<F>) {
        let put_off = level.saturating_mul(entry.request.priority.saturating_sub(1).into());
        let place = (now.saturating_add(put_off), self.order);
        self.order += 1;
        let kind = (entry.request.form.clone(), run);
        self.standing.insert(entry.request.id, Standing::Ready(kind.clone(), place));
        self.groups.entry(kind).or_default().insert(place, entry);
    }

    /// Lets the next of a sequence be ready, if its turn has come.
    fn advance(&mut self, now: Time, level: Time, key: &SequenceKey) {
        if let Some((run, entry)) = self.sequences.next(now, key, self.limits.sequences) {
            self.make_ready(now, level, Some(run), entry);
        }
    }

    /// Takes out a request that will not be computed.
    pub(super) fn remove(&mut self, now: Time, level: Time, id: RequestId) -> Option<Waiting<F>> {
        if let Some(Standing::Behind(key)) = self.standing.get(&id) {
            let request = self.sequences.remove(key, id)?.request;
            self.standing.remove(&id);
            self.bytes -= request.bytes;
            return Some(request);
        }
        let (request, run) = self.pull(id)?;
        if let Some((part, run)) = request.sequence.as_ref().zip(run) {
            self.sequences.free(&part.key, run);
            self.advance(now, level, &part.key);
        }
        Some(request)
    }

    /// Takes a request out of its group.
    fn pull(&mut self, id: RequestId) -> Option<(Waiting<F>, Option<RunNumber>)> {
        let Standing::Ready(kind, place) = self.standing.remove(&id)? else { return None };
        let group = self.groups.get_mut(&kind)?;
        let entry = group.remove(&place)?;
        if group.is_empty() {
            self.groups.remove(&kind);
        }
        self.bytes -= entry.request.bytes;
        Some((entry.request, kind.1))
    }

    /// The kind whose first request is next, of those whose batch is full or has waited long enough.
    pub(super) fn ready(&self, now: Time, hurry: bool) -> Option<Kind<F>> {
        if self.computing >= self.limits.instances.max(1) {
            return None;
        }
        let first = |group: &Group<F>| group.keys().next().copied();
        let due = |(kind, group): &(&Kind<F>, &Group<F>)| hurry || self.due(kind, group).is_some_and(|due| due <= now);
        let ready = self.groups.iter().filter(due).min_by_key(|(_, group)| first(group));
        ready.map(|(kind, _)| kind.clone())
    }

    /// When the next batch will have waited long enough; none while as many are computed as may.
    pub(super) fn next_due(&self) -> Option<Time> {
        let free = self.computing < self.limits.instances.max(1);
        self.groups.iter().filter(|_| free).filter_map(|(kind, group)| self.due(kind, group)).min()
    }

    /// When a group is computed at the latest, if the device is free: at once where it fills a batch.
    fn due(&self, kind: &Kind<F>, group: &Group<F>) -> Option<Time> {
        let first = group.values().next()?;
        let alone = self.limits.delay == 0 || kind.1.is_some();
        let full = alone || self.fitting(group).len() < group.len() || self.is_full(group);
        Some(if full { 0 } else { first.arrival.saturating_add(self.limits.delay) })
    }

    fn is_full(&self, group: &Group<F>) -> bool {
        let rows: usize = group.values().map(|entry| entry.request.rows).sum();
        rows >= self.limits.rows
    }

    /// The requests of a group, in their order, that fit in a batch: the first does in any case.
    fn fitting(&self, group: &Group<F>) -> Vec<RequestId> {
        let (mut rows, mut tokens, mut ids) = (0usize, 0usize, Vec::new());
        for Entry { request, .. } in group.values() {
            rows = rows.saturating_add(request.rows);
            tokens = tokens.saturating_add(request.tokens);
            if !ids.is_empty() && (rows > self.limits.rows || tokens > self.limits.tokens) {
                break;
            }
            ids.push(request.id);
        }
        ids
    }

    /// Takes the next batch of a kind, which is being computed from now on.
    pub(super) fn take(&mut self, kind: &Kind<F>) -> (Vec<Waiting<F>>, Option<Turn>) {
        let ids = self.groups.get(kind).map(|group| self.fitting(group)).unwrap_or_default();
        let taken: Vec<Waiting<F>> = ids.into_iter().filter_map(|id| self.pull(id)).map(|(request, _)| request).collect();
        let part = taken.first().and_then(|request| request.sequence.as_ref());
        let turn = part.zip(kind.1).map(|(part, run)| {
            let begun = self.sequences.begin(&part.key, run);
            Turn { key: part.key.clone(), run, begun }
        });
        self.computing += 1;
        (taken, turn)
    }

    /// A batch is computed no longer, which took this much of the device, by the model's weight.
    pub(super) fn finish(&mut self, now: Time, level: Time, turn: Option<&Turn>, cost: u128) {
        self.computing = self.computing.saturating_sub(1);
        self.served = self.served.saturating_add(cost);
        self.last = cost;
        if let Some(turn) = turn {
            self.sequences.free(&turn.key, turn.run);
            self.advance(now, level, &turn.key);
        }
    }

    /// Ends a run of a sequence whose contents are lost, and gives its requests that wait.
    pub(super) fn lose(&mut self, now: Time, level: Time, turn: &Turn) -> Vec<Waiting<F>> {
        let behind = self.sequences.lose(&turn.key, turn.run, self.limits.sequences);
        for entry in &behind {
            self.standing.remove(&entry.request.id);
            self.bytes -= entry.request.bytes;
        }
        self.advance(now, level, &turn.key);
        behind.into_iter().map(|entry| entry.request).collect()
    }
}
