//! The scheduler beside what must be so.

use gristmill_serve::schedule::{
    Batch, Gone, LaneId, LaneLimits, Limits, Part, Refusal, RequestId, RunNumber, Scheduler, Time, Waiting,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

pub const LANES: u64 = 3;
pub const LEVEL: Time = 1_000;
const DEVICES: u32 = 2;

/// A sequence by its number, and whether the request is its first and its last.
type Place = (u8, bool, bool);

/// What happens, one after another.
#[derive(Clone, Debug)]
pub enum Event {
    Pass(Time),
    Offer {
        lane: u64,
        form: u8,
        rows: usize,
        tokens: usize,
        bytes: usize,
        priority: u32,
        deadline: Option<Time>,
        sequence: Option<Place>,
    },
    Cancel(prop::sample::Index),
    /// A device is free and asks.
    Step(u32),
    /// A batch is done.
    Finish {
        batch: prop::sample::Index,
        took: Time,
        lost: bool,
    },
    Close(u64),
}

pub fn events() -> impl Strategy<Value = Vec<Event>> {
    let sequence = prop::option::of((0..4u8, prop::bool::weighted(0.3), prop::bool::weighted(0.2)));
    let offer = (0..LANES + 1, 0..3u8, 0..6usize, 0..40usize, 0..60usize, 0..5u32, prop::option::of(0..400u64), sequence);
    let offer = offer.prop_map(|(lane, form, rows, tokens, bytes, priority, deadline, sequence)| Event::Offer {
        lane,
        form,
        rows,
        tokens,
        bytes,
        priority,
        deadline,
        sequence,
    });
    let finish = (any::<prop::sample::Index>(), 0..80u64, prop::bool::weighted(0.1));
    let event = prop_oneof![
        2 => (0..120u64).prop_map(Event::Pass),
        8 => offer,
        1 => any::<prop::sample::Index>().prop_map(Event::Cancel),
        4 => (0..DEVICES).prop_map(Event::Step),
        4 => finish.prop_map(|(batch, took, lost)| Event::Finish { batch, took, lost }),
        1 => (0..LANES * 10).prop_map(Event::Close),
    ];
    prop::collection::vec(event, 0..200)
}

pub fn lane_limits(lane: u64) -> LaneLimits {
    LaneLimits {
        device: lane as u32 % DEVICES,
        instances: [1, 2, 3][lane as usize % 3],
        requests: 6,
        bytes: 150,
        rows: [1, 4, 5][lane as usize % 3],
        tokens: 60,
        delay: [0, 50, 200][lane as usize % 3],
        weight: 1 + lane as u32,
        sequences: 2,
        idle: 300,
    }
}

pub fn limits() -> Limits {
    Limits { requests: 12, bytes: 300, level: LEVEL }
}

/// What must be so of a sequence.
#[derive(Debug, Default)]
struct Sequence {
    /// Its request that started it last.
    start: RequestId,
    open: bool,
    /// Requests that wait or are computed.
    outstanding: BTreeSet<RequestId>,
    /// When the last of them left.
    left: Time,
    /// The last one that was computed.
    computed: Option<RequestId>,
}

impl Sequence {
    fn runs(&self, now: Time) -> bool {
        !self.outstanding.is_empty() || self.open && now < self.left + lane_limits(0).idle
    }
}

pub struct Bench {
    scheduler: Scheduler<u8>,
    now: Time,
    waiting: BTreeMap<RequestId, Waiting<u8>>,
    pub answered: BTreeSet<RequestId>,
    computing: Vec<(Batch, Vec<Waiting<u8>>)>,
    closed: BTreeSet<u64>,
    next: RequestId,
    sequences: BTreeMap<(LaneId, String), Sequence>,
    /// For each request of a sequence the one that started it.
    starts: BTreeMap<RequestId, RequestId>,
    /// For each request that started a sequence its run, once one of its requests was computed.
    runs: BTreeMap<RequestId, RunNumber>,
    ended: BTreeSet<RunNumber>,
}

impl Bench {
    pub fn new() -> Self {
        let mut scheduler = Scheduler::new(limits());
        (0..LANES).for_each(|lane| scheduler.open(lane, lane_limits(lane)));
        Bench {
            scheduler,
            now: 0,
            waiting: BTreeMap::new(),
            answered: BTreeSet::new(),
            computing: Vec::new(),
            closed: BTreeSet::new(),
            next: 0,
            sequences: BTreeMap::new(),
            starts: BTreeMap::new(),
            runs: BTreeMap::new(),
            ended: BTreeSet::new(),
        }
    }

    fn answer(&mut self, id: RequestId) -> Waiting<u8> {
        assert!(self.answered.insert(id), "request {id} is answered twice");
        self.waiting.remove(&id).expect("it was waiting")
    }

    fn sequence(&mut self, request: &Waiting<u8>) -> Option<&mut Sequence> {
        let part = request.sequence.as_ref()?;
        Some(self.sequences.entry((request.lane, part.key.to_string())).or_default())
    }

    /// A request neither waits nor is computed any more.
    fn left(&mut self, request: &Waiting<u8>) {
        let now = self.now;
        if let Some(sequence) = self.sequence(request) {
            sequence.outstanding.remove(&request.id);
            sequence.left = now;
        }
    }

    /// What the scheduler must say of a request's sequence.
    fn expected_of_sequence(&self, request: &Waiting<u8>) -> Result<(), Refusal> {
        let Some(part) = &request.sequence else { return Ok(()) };
        let running = self.sequences.iter().filter(|((lane, _), found)| *lane == request.lane && found.runs(self.now));
        let found = self.sequences.get(&(request.lane, part.key.to_string())).filter(|found| found.runs(self.now));
        match found {
            Some(found) if found.open || part.start => Ok(()),
            Some(_) => Err(Refusal::NoSequence(Some(Gone::Ended))),
            None if !part.start => Err(Refusal::NoSequence(None)),
            None if running.count() >= lane_limits(request.lane).sequences => Err(Refusal::Sequences(2)),
            None => Ok(()),
        }
    }

    fn offer(&mut self, request: Waiting<u8>) {
        let id = request.id;
        let of_lane = self.waiting.values().filter(|other| other.lane == request.lane);
        let (count, bytes) = of_lane.fold((0, 0), |(count, bytes), other| (count + 1, bytes + other.bytes));
        let all: usize = self.waiting.values().map(|other| other.bytes).sum();
        let lane = lane_limits(request.lane);
        let fits = count < lane.requests && bytes + request.bytes <= lane.bytes;
        let fits_all = self.waiting.len() < limits().requests && all + request.bytes <= limits().bytes;
        let expected = self.expected_of_sequence(&request);
        let result = self.scheduler.offer(self.now, request.clone());
        if request.lane >= LANES || self.closed.contains(&request.lane) {
            assert_eq!(result, Err(Refusal::Closed));
        } else if request.rows > lane.rows {
            assert_eq!(result, Err(Refusal::Rows(lane.rows)));
        } else if let Err(expected) = expected {
            match (result, expected) {
                (Err(Refusal::NoSequence(_)), Refusal::NoSequence(None)) => {}
                _ => assert_eq!(result, Err(expected)),
            }
        } else if !fits {
            assert!(matches!(result, Err(Refusal::Requests(_) | Refusal::Bytes(_))), "{result:?}");
        } else if request.deadline.is_some_and(|deadline| deadline <= self.now) {
            assert_eq!(result, Err(Refusal::Expired));
        } else {
            assert_eq!(result.is_ok(), fits_all, "{result:?}");
        }
        if result.is_err() {
            self.answered.insert(id);
            return;
        }
        let now = self.now;
        if let Some(part) = request.sequence.clone() {
            let Some(sequence) = self.sequence(&request) else { return };
            if part.start {
                (sequence.start, sequence.open) = (id, true);
            }
            sequence.open &= !part.end;
            sequence.outstanding.insert(id);
            sequence.left = now;
            let start = sequence.start;
            self.starts.insert(id, start);
        }
        self.waiting.insert(id, request);
    }

    /// The laws of the requests of a batch that belongs to a sequence.
    fn check_turn(&mut self, batch: &Batch, requests: &[Waiting<u8>]) {
        let with_sequence = requests.iter().filter(|request| request.sequence.is_some()).count();
        assert_eq!(with_sequence, usize::from(batch.turn.is_some()));
        let Some(turn) = &batch.turn else { return };
        assert_eq!(requests.len(), 1, "a request of a sequence is computed alone");
        let id = requests[0].id;
        let other = self
            .computing
            .iter()
            .find(|(other, _)| other.lane == batch.lane && other.turn.as_ref().is_some_and(|other| other.key == turn.key));
        assert!(other.is_none(), "two requests of one sequence are computed at a time");
        let sequence = self.sequence(&requests[0]).expect("it is one");
        assert!(sequence.computed.is_none_or(|before| before < id), "request {id} is computed out of its order");
        sequence.computed = Some(id);
        assert!(!self.ended.contains(&turn.run), "its run has ended");
        let start = self.starts[&id];
        assert_eq!(turn.begun, self.runs.contains_key(&start));
        let run = *self.runs.entry(start).or_insert(turn.run);
        assert_eq!(run, turn.run, "requests of one start are of one run");
        let same = self.runs.values().filter(|other| **other == run).count();
        assert_eq!(same, 1, "each start begins a run of its own");
    }

    fn step(&mut self, device: u32) -> (bool, Option<Time>) {
        let step = self.scheduler.step(self.now, device);
        for id in step.expired {
            let request = self.answer(id);
            assert!(request.deadline.is_some_and(|deadline| deadline <= self.now), "it expired before its deadline");
            self.left(&request);
        }
        let Some(batch) = step.batch else {
            assert!(step.wake.is_none_or(|wake| wake > self.now), "it would wake at once");
            return (false, step.wake);
        };
        let requests: Vec<Waiting<u8>> = batch.requests.iter().map(|id| self.answer(*id)).collect();
        let limits = lane_limits(batch.lane);
        let first = requests.first().expect("a batch has requests");
        let rows: usize = requests.iter().map(|request| request.rows).sum();
        let tokens: usize = requests.iter().map(|request| request.tokens).sum();
        assert_eq!((rows, limits.device), (batch.rows, device));
        assert!(rows <= limits.rows, "{rows} rows");
        assert!(requests.len() == 1 || tokens <= limits.tokens, "{tokens} tokens");
        for request in &requests {
            assert_eq!((request.lane, request.form), (batch.lane, first.form));
            assert!(request.deadline.is_none_or(|deadline| deadline > self.now), "it is past its deadline");
        }
        let beside = self.computing.iter().filter(|(other, _)| other.lane == batch.lane).count();
        assert!(beside < limits.instances, "more batches are computed than may be");
        self.check_turn(&batch, &requests);
        self.computing.push((batch, requests));
        (true, None)
    }

    fn finish(&mut self, place: usize, took: Time, lost: bool) {
        let (batch, requests) = self.computing.remove(place);
        self.now += took;
        if let Some(turn) = batch.turn.as_ref().filter(|_| lost) {
            let start = self.starts[&requests[0].id];
            let starts = &self.starts;
            let expected =
                self.waiting.values().filter(|request| request.lane == batch.lane && starts.get(&request.id) == Some(&start));
            let expected: Vec<RequestId> = expected.map(|request| request.id).collect();
            let found = self.scheduler.lose(self.now, batch.lane, turn);
            assert_eq!(found, expected, "those of the run that wait");
            for id in found {
                let request = self.answer(id);
                self.left(&request);
            }
            let sequence = self.sequence(&requests[0]).expect("it is one");
            sequence.open &= sequence.start != start;
        }
        self.scheduler.finish(self.now, &batch, took);
        requests.iter().for_each(|request| self.left(request));
    }

    /// Runs that the scheduler says have ended: each once, and none of which a request is still to be computed.
    fn collect_ended(&mut self) {
        for run in self.scheduler.take_ended() {
            assert!(self.ended.insert(run), "run {run} ends twice");
            let start = self.runs.iter().find(|(_, other)| **other == run).map(|(start, _)| *start);
            let of_run = |id: &RequestId| start.is_some() && self.starts.get(id) == start.as_ref();
            assert!(!self.waiting.keys().any(of_run), "run {run} ends while requests wait for it");
            let computing = self.computing.iter().any(|(batch, _)| batch.turn.as_ref().is_some_and(|turn| turn.run == run));
            assert!(!computing, "run {run} ends while it is computed");
        }
    }

    pub fn apply(&mut self, event: Event) {
        match event {
            Event::Pass(time) => self.now += time,
            Event::Offer { lane, form, rows, tokens, bytes, priority, deadline, sequence } => {
                let (id, deadline) = (self.next, deadline.map(|after| (self.now + after).saturating_sub(20)));
                self.next += 1;
                let part = |(key, start, end): Place| Part { key: key.to_string().into(), start, end };
                let sequence = sequence.map(part);
                self.offer(Waiting { id, lane, form, rows, tokens, bytes, priority, deadline, sequence });
            }
            Event::Cancel(index) if self.next > 0 => {
                let id = index.index(self.next as usize) as u64;
                assert_eq!(self.scheduler.cancel(self.now, id), self.waiting.contains_key(&id));
                if self.waiting.contains_key(&id) {
                    let request = self.answer(id);
                    self.left(&request);
                }
            }
            Event::Cancel(_) => {}
            Event::Step(device) => {
                self.step(device);
            }
            Event::Finish { batch, took, lost } if !self.computing.is_empty() => {
                self.finish(batch.index(self.computing.len()), took, lost);
            }
            Event::Finish { .. } => {}
            Event::Close(lane) if lane < LANES => {
                self.scheduler.close(lane);
                self.closed.insert(lane);
            }
            Event::Close(_) => {}
        }
        let bytes: usize = self.waiting.values().map(|request| request.bytes).sum();
        assert_eq!((self.scheduler.len(), self.scheduler.bytes()), (self.waiting.len(), bytes));
        self.collect_ended();
        for lane in (0..LANES).filter(|lane| !self.closed.contains(lane)) {
            let runs = |((of, _), sequence): &(&(u64, String), &Sequence)| *of == lane && sequence.runs(self.now);
            let (least, found) = (self.sequences.iter().filter(runs).count(), self.scheduler.sequences(lane));
            assert!(found.running >= least, "{found:?}, and at least {least} run");
        }
    }

    /// Nothing new comes: each step, or the time that a step asks for, brings the end nearer.
    pub fn run_dry(&mut self) {
        for _ in 0..2_000 {
            while !self.computing.is_empty() {
                self.finish(0, 10, false);
            }
            let steps: Vec<_> = (0..DEVICES).map(|device| self.step(device)).collect();
            if steps.iter().any(|(computes, _)| *computes) {
                continue;
            }
            let Some(wake) = steps.into_iter().filter_map(|(_, wake)| wake).min() else { break };
            self.now = wake;
        }
        self.collect_ended();
        assert!(self.waiting.is_empty() && self.computing.is_empty());
        assert_eq!(self.answered.len() as u64, self.next);
        assert!((0..LANES).all(|lane| self.scheduler.waiting(lane).is_none() == self.closed.contains(&lane)));
        assert!(self.runs.values().all(|run| self.ended.contains(run)), "sequences end, at the latest when they are idle");
        assert!((0..LANES).all(|lane| self.scheduler.sequences(lane).running == 0));
    }
}
