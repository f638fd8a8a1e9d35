//! The sequences of a model: whose turn it is in each, and how long each lasts.
//!
//! A sequence is there from the moment a request that starts it is taken. Of its requests one at a time is ready or being computed; the others
//! stand behind it in the order in which they came. One that is late, left or fails changes nothing for the others. A request that
//! starts a sequence whose key is in use waits for the requests of the earlier run, which takes no more from then on.

use super::request::{Refusal, RequestId, Time, Waiting};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// What the caller knows a sequence by.
pub type SequenceKey = Arc<str>;

/// A sequence from its start to its end; later ones have greater numbers, whatever their key.
pub type RunNumber = u64;

/// The place of a request in a sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The sequence.
    pub key: SequenceKey,
    /// Whether it is the first of a sequence.
    pub start: bool,
    /// Whether it is the last.
    pub end: bool,
}

/// The run of a sequence that a batch belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The sequence.
    pub key: SequenceKey,
    /// Its run.
    pub run: RunNumber,
    /// Whether a request of the run went before this one.
    pub begun: bool,
}

/// What became of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// Its last request was answered.
    Ended,
    /// It had no request for longer than it may.
    Idle,
    /// What it held was lost.
    Lost,
}

/// How many sequences of a model there are and were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SequenceCounts {
    /// Those that run.
    pub running: usize,
    /// Those that were started.
    pub started: u64,
    /// Those that ended since they were idle.
    pub idle: u64,
    /// Those whose contents were lost.
    pub lost: u64,
}

/// A request, and when it came.
#[derive(Debug)]
pub(super) struct Entry<F> {
    pub(super) request: Waiting<F>,
    pub(super) arrival: Time,
}

#[derive(Debug)]
struct Run<F> {
    number: RunNumber,
    /// Requests behind the one that is ready or being computed.
    behind: VecDeque<Entry<F>>,
    /// A request of it is ready or being computed.
    busy: bool,
    /// A request of it was handed out.
    begun: bool,
    /// Takes no more requests.
    closed: bool,
    idle_since: Option<Time>,
}

/// The sequences of a model.
#[derive(Debug)]
pub(super) struct Sequences<F> {
    /// For each key its runs, of which all but the last are closed.
    running: BTreeMap<SequenceKey, VecDeque<Run<F>>>,
    /// Since when those are idle that are.
    idle: BTreeSet<(Time, SequenceKey)>,
    /// What became of the last ones.
    gone: VecDeque<(SequenceKey, Gone)>,
    counts: SequenceCounts,
    /// Runs that ended, for the caller to take.
    pub(super) ended: Vec<RunNumber>,
}

impl<F> Sequences<F> {
    pub(super) fn new() -> Self {
        let (running, idle, gone) = (BTreeMap::new(), BTreeSet::new(), VecDeque::new());
        Sequences { running, idle, gone, counts: SequenceCounts::default(), ended: Vec::new() }
    }

    pub(super) fn counts(&self) -> SequenceCounts {
        SequenceCounts { running: self.running.len(), ..self.counts }
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &SequenceKey> {
        self.running.keys()
    }

    /// Whether a request can go on with its sequence, or start one where at most so many run.
    pub(super) fn admits(&self, part: &Part, bound: usize) -> Result<(), Refusal> {
        let runs = self.running.get(&part.key);
        match runs.and_then(VecDeque::back) {
            None if part.start && self.running.len() >= bound => Err(Refusal::Sequences(bound)),
            Some(run) if run.closed && !part.start => Err(Refusal::NoSequence(Some(Gone::Ended))),
            None if !part.start => {
                let found = self.gone.iter().rev().find(|(key, _)| *key == part.key);
                Err(Refusal::NoSequence(found.map(|(_, gone)| *gone)))
            }
            _ => Ok(()),
        }
    }

    /// Puts a request behind those of its sequence; `number` is that of a run that it starts.
    pub(super) fn push(&mut self, part: &Part, entry: Entry<F>, number: RunNumber) {
        let runs = self.running.entry(part.key.clone()).or_default();
        if let Some(since) = runs.back_mut().and_then(|run| run.idle_since.take()) {
            self.idle.remove(&(since, part.key.clone()));
        }
        if part.start {
            runs.iter_mut().for_each(|run| run.closed = true);
            let (behind, busy, begun, closed, idle_since) = (VecDeque::new(), false, false, false, None);
            runs.push_back(Run { number, behind, busy, begun, closed, idle_since });
            self.counts.started += 1;
        }
        if let Some(run) = runs.back_mut() {
            run.closed |= part.end;
            run.behind.push_back(entry);
        }
    }

    /// The request of a sequence that is ready from now on, if one is. Runs that are over end; one that waits for requests is idle.
    pub(super) fn next(&mut self, now: Time, key: &SequenceKey, bound: usize) -> Option<(RunNumber, Entry<F>)> {
        let runs = self.running.get_mut(key)?;
        while let Some(run) = runs.front_mut() {
            if run.busy {
                return None;
            }
            if let Some(entry) = run.behind.pop_front() {
                run.busy = true;
                return Some((run.number, entry));
            }
            if !run.closed {
                if run.idle_since.is_none() {
                    run.idle_since = Some(now);
                    self.idle.insert((now, key.clone()));
                }
                return None;
            }
            self.ended.push(run.number);
            runs.pop_front();
        }
        self.running.remove(key);
        self.remember(key, Gone::Ended, bound);
        None
    }

    /// A request of a run is being computed from now on; whether one was before.
    pub(super) fn begin(&mut self, key: &SequenceKey, number: RunNumber) -> bool {
        let run = self.front(key, number);
        run.is_some_and(|run| std::mem::replace(&mut run.begun, true))
    }

    /// The request of a run that was ready or being computed is so no longer.
    pub(super) fn free(&mut self, key: &SequenceKey, number: RunNumber) {
        if let Some(run) = self.front(key, number) {
            run.busy = false;
        }
    }

    fn front(&mut self, key: &SequenceKey, number: RunNumber) -> Option<&mut Run<F>> {
        self.running.get_mut(key)?.front_mut().filter(|run| run.number == number)
    }

    /// Takes out a request that stands behind others.
    pub(super) fn remove(&mut self, key: &SequenceKey, id: RequestId) -> Option<Entry<F>> {
        let runs = self.running.get_mut(key)?;
        runs.iter_mut().find_map(|run| {
            let place = run.behind.iter().position(|entry| entry.request.id == id)?;
            run.behind.remove(place)
        })
    }

    /// Ends a run whose contents are lost, and gives the requests that stand behind in it.
    pub(super) fn lose(&mut self, key: &SequenceKey, number: RunNumber, bound: usize) -> Vec<Entry<F>> {
        if self.front(key, number).is_none() {
            return Vec::new();
        }
        let runs = self.running.get_mut(key);
        let run = runs.and_then(VecDeque::pop_front);
        if let Some(since) = run.as_ref().and_then(|run| run.idle_since) {
            self.idle.remove(&(since, key.clone()));
        }
        self.counts.lost += 1;
        self.ended.push(number);
        if self.running.get(key).is_some_and(VecDeque::is_empty) {
            self.running.remove(key);
            self.remember(key, Gone::Lost, bound);
        }
        run.map(|run| run.behind.into()).unwrap_or_default()
    }

    /// Ends those that are idle for `limit`.
    pub(super) fn expire(&mut self, now: Time, limit: Time, bound: usize) {
        while let Some((_, key)) = self.idle.first().filter(|(since, _)| since.saturating_add(limit) <= now).cloned() {
            self.idle.pop_first();
            let runs = self.running.remove(&key).unwrap_or_default();
            self.ended.extend(runs.iter().map(|run| run.number));
            self.counts.idle += 1;
            self.remember(&key, Gone::Idle, bound);
        }
    }

    /// When the next is idle for `limit`.
    pub(super) fn next_expiry(&self, limit: Time) -> Option<Time> {
        self.idle.first().map(|(since, _)| since.saturating_add(limit))
    }

    /// Ends all of them.
    pub(super) fn clear(&mut self) {
        let runs = std::mem::take(&mut self.running).into_values().flatten();
        self.ended.extend(runs.map(|run| run.number));
        self.idle.clear();
    }

    fn remember(&mut self, key: &SequenceKey, gone: Gone, bound: usize) {
        self.gone.push_back((key.clone(), gone));
        if self.gone.len() > bound {
            self.gone.pop_front();
        }
    }
}
