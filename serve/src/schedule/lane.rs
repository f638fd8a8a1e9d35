//! The requests that wait for one model.

use super::request::{Refusal, RequestId, Time, Waiting};
use std::collections::{BTreeMap, HashMap};

/// What the scheduler knows a model by.
pub type LaneId = u64;

/// How requests of a model wait and are joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneLimits {
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
}

/// Where a request stands among those of its form: by its time of arrival, put off by its level, then by its number.
type Place = (Time, RequestId);

/// A request, and when it came.
#[derive(Debug)]
struct Entry<F> {
    request: Waiting<F>,
    arrival: Time,
}

/// Requests of one form.
type Group<F> = BTreeMap<Place, Entry<F>>;

#[derive(Debug)]
pub(super) struct Lane<F> {
    pub(super) limits: LaneLimits,
    /// Takes no more requests, and goes when it is empty.
    pub(super) closing: bool,
    /// Time of the device that it had, by its weight; see [`Scheduler`](super::Scheduler).
    pub(super) served: u128,
    groups: BTreeMap<F, Group<F>>,
    places: HashMap<RequestId, (F, Place)>,
    bytes: usize,
}

impl<F: Ord + Clone> Lane<F> {
    pub(super) fn new(limits: LaneLimits, served: u128) -> Self {
        Lane { limits, closing: false, served, groups: BTreeMap::new(), places: HashMap::new(), bytes: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether a request can wait here.
    pub(super) fn admits(&self, request: &Waiting<F>) -> Result<(), Refusal> {
        if self.closing {
            return Err(Refusal::Closed);
        }
        if request.rows > self.limits.rows.max(1) {
            return Err(Refusal::Rows(self.limits.rows.max(1)));
        }
        if self.len() >= self.limits.requests {
            return Err(Refusal::Requests(self.limits.requests));
        }
        match self.bytes.checked_add(request.bytes).filter(|bytes| *bytes <= self.limits.bytes) {
            Some(_) => Ok(()),
            None => Err(Refusal::Bytes(self.limits.bytes)),
        }
    }

    pub(super) fn insert(&mut self, now: Time, level: Time, request: Waiting<F>) {
        let put_off = level.saturating_mul(request.priority.saturating_sub(1).into());
        let place = (now.saturating_add(put_off), request.id);
        self.bytes += request.bytes;
        self.places.insert(request.id, (request.form.clone(), place));
        self.groups.entry(request.form.clone()).or_default().insert(place, Entry { request, arrival: now });
    }

    pub(super) fn remove(&mut self, id: RequestId) -> Option<Waiting<F>> {
        let (form, place) = self.places.remove(&id)?;
        let group = self.groups.get_mut(&form)?;
        let entry = group.remove(&place)?;
        if group.is_empty() {
            self.groups.remove(&form);
        }
        self.bytes -= entry.request.bytes;
        Some(entry.request)
    }

    /// The form whose first request is next, of those whose batch is full or has waited long enough.
    pub(super) fn ready(&self, now: Time, hurry: bool) -> Option<F> {
        let first = |group: &Group<F>| group.keys().next().copied();
        let due = |group: &&Group<F>| hurry || self.due(group).is_some_and(|due| due <= now);
        let ready = self.groups.iter().filter(|(_, group)| due(group)).min_by_key(|(_, group)| first(group));
        ready.map(|(form, _)| form.clone())
    }

    /// When the next batch will have waited long enough.
    pub(super) fn next_due(&self) -> Option<Time> {
        self.groups.values().filter_map(|group| self.due(group)).min()
    }

    /// When a group is computed at the latest, if the device is free: at once where it fills a batch.
    fn due(&self, group: &Group<F>) -> Option<Time> {
        let first = group.values().next()?;
        let full = self.limits.delay == 0 || self.fitting(group).len() < group.len() || self.is_full(group);
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

    /// Takes the next batch of a form.
    pub(super) fn take(&mut self, form: &F) -> Vec<Waiting<F>> {
        let ids = self.groups.get(form).map(|group| self.fitting(group)).unwrap_or_default();
        ids.into_iter().filter_map(|id| self.remove(id)).collect()
    }
}
