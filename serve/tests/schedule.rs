//! The laws of the scheduler, for random requests under a virtual clock.

use gristmill_serve::schedule::{LaneLimits, Limits, Refusal, RequestId, Scheduler, Time, Waiting};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const LANES: u64 = 3;
const LEVEL: Time = 1_000;

/// What happens, one after another.
#[derive(Clone, Debug)]
enum Event {
    Pass(Time),
    Offer {
        lane: u64,
        form: u8,
        rows: usize,
        tokens: usize,
        bytes: usize,
        priority: u32,
        deadline: Option<Time>,
    },
    Cancel(prop::sample::Index),
    /// The device is free and asks.
    Step {
        takes: Time,
    },
    Close(u64),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let offer = (0..LANES + 1, 0..3u8, 0..6usize, 0..40usize, 0..60usize, 0..5u32, prop::option::of(0..400u64));
    let offer = offer.prop_map(|(lane, form, rows, tokens, bytes, priority, deadline)| Event::Offer {
        lane,
        form,
        rows,
        tokens,
        bytes,
        priority,
        deadline,
    });
    let event = prop_oneof![
        2 => (0..120u64).prop_map(Event::Pass),
        6 => offer,
        1 => any::<prop::sample::Index>().prop_map(Event::Cancel),
        3 => (0..80u64).prop_map(|takes| Event::Step { takes }),
        1 => (0..LANES * 8).prop_map(Event::Close),
    ];
    prop::collection::vec(event, 0..160)
}

fn lane_limits(lane: u64) -> LaneLimits {
    LaneLimits {
        requests: 6,
        bytes: 150,
        rows: [1, 4, 5][lane as usize % 3],
        tokens: 60,
        delay: [0, 50, 200][lane as usize % 3],
        weight: 1 + lane as u32,
    }
}

fn limits() -> Limits {
    Limits { requests: 12, bytes: 300, level: LEVEL }
}

/// The scheduler beside what must be so.
struct Bench {
    scheduler: Scheduler<u8>,
    now: Time,
    waiting: BTreeMap<RequestId, Waiting<u8>>,
    answered: BTreeSet<RequestId>,
    closed: BTreeSet<u64>,
    next: RequestId,
}

impl Bench {
    fn new() -> Self {
        let mut scheduler = Scheduler::new(limits());
        (0..LANES).for_each(|lane| scheduler.open(lane, lane_limits(lane)));
        let (waiting, answered, closed) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
        Bench { scheduler, now: 0, waiting, answered, closed, next: 0 }
    }

    fn answer(&mut self, id: RequestId) -> Waiting<u8> {
        assert!(self.answered.insert(id), "request {id} is answered twice");
        self.waiting.remove(&id).expect("it was waiting")
    }

    fn offer(&mut self, request: Waiting<u8>) {
        let id = request.id;
        let of_lane = self.waiting.values().filter(|other| other.lane == request.lane);
        let (count, bytes) = of_lane.fold((0, 0), |(count, bytes), other| (count + 1, bytes + other.bytes));
        let all: usize = self.waiting.values().map(|other| other.bytes).sum();
        let lane = lane_limits(request.lane);
        let fits = count < lane.requests && bytes + request.bytes <= lane.bytes;
        let fits_all = self.waiting.len() < limits().requests && all + request.bytes <= limits().bytes;
        let result = self.scheduler.offer(self.now, request.clone());
        if request.lane >= LANES || self.closed.contains(&request.lane) {
            assert_eq!(result, Err(Refusal::Closed));
        } else if request.rows > lane.rows {
            assert_eq!(result, Err(Refusal::Rows(lane.rows)));
        } else if !fits {
            assert!(matches!(result, Err(Refusal::Requests(_) | Refusal::Bytes(_))), "{result:?}");
        } else if request.deadline.is_some_and(|deadline| deadline <= self.now) {
            assert_eq!(result, Err(Refusal::Expired));
        } else {
            assert_eq!(result.is_ok(), fits_all, "{result:?}");
        }
        if result.is_ok() {
            self.waiting.insert(id, request);
        } else {
            self.answered.insert(id);
        }
    }

    fn step(&mut self, takes: Time) -> bool {
        let step = self.scheduler.step(self.now);
        for id in step.expired {
            let request = self.answer(id);
            assert!(request.deadline.is_some_and(|deadline| deadline <= self.now), "it expired before its deadline");
        }
        let Some(batch) = step.batch else {
            assert!(step.wake.is_none_or(|wake| wake > self.now), "it would wake at once");
            assert_eq!(step.wake.is_none(), self.waiting.is_empty() || self.only_undated_in_no_lane());
            return false;
        };
        let requests: Vec<Waiting<u8>> = batch.requests.iter().map(|id| self.answer(*id)).collect();
        let limits = lane_limits(batch.lane);
        let first = requests.first().expect("a batch has requests");
        let rows: usize = requests.iter().map(|request| request.rows).sum();
        let tokens: usize = requests.iter().map(|request| request.tokens).sum();
        assert_eq!(rows, batch.rows);
        assert!(rows <= limits.rows, "{rows} rows");
        assert!(requests.len() == 1 || tokens <= limits.tokens, "{tokens} tokens");
        for request in &requests {
            assert_eq!((request.lane, request.form), (batch.lane, first.form));
            assert!(request.deadline.is_none_or(|deadline| deadline > self.now), "it is past its deadline");
        }
        self.now += takes;
        self.scheduler.charge(batch.lane, takes);
        true
    }

    fn only_undated_in_no_lane(&self) -> bool {
        self.waiting.values().all(|request| request.deadline.is_none() && request.lane >= LANES)
    }

    fn apply(&mut self, event: Event) {
        match event {
            Event::Pass(time) => self.now += time,
            Event::Offer { lane, form, rows, tokens, bytes, priority, deadline } => {
                let (id, deadline) = (self.next, deadline.map(|after| (self.now + after).saturating_sub(20)));
                self.next += 1;
                self.offer(Waiting { id, lane, form, rows, tokens, bytes, priority, deadline });
            }
            Event::Cancel(index) if self.next > 0 => {
                let id = index.index(self.next as usize) as u64;
                assert_eq!(self.scheduler.cancel(id), self.waiting.contains_key(&id));
                if self.waiting.contains_key(&id) {
                    self.answer(id);
                }
            }
            Event::Cancel(_) => {}
            Event::Step { takes } => {
                self.step(takes);
            }
            Event::Close(lane) if lane < LANES => {
                self.scheduler.close(lane);
                self.closed.insert(lane);
            }
            Event::Close(_) => {}
        }
        let bytes: usize = self.waiting.values().map(|request| request.bytes).sum();
        assert_eq!((self.scheduler.len(), self.scheduler.bytes()), (self.waiting.len(), bytes));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn each_request_is_answered_once_and_bounds_hold(events in events()) {
        let mut bench = Bench::new();
        events.into_iter().for_each(|event| bench.apply(event));
        // Nothing new comes: each step, or the time that a step asks for, brings the end nearer.
        for _ in 0..1_000 {
            if bench.waiting.is_empty() {
                break;
            }
            if !bench.step(10) {
                bench.now = bench.scheduler.step(bench.now).wake.unwrap_or(bench.now);
            }
        }
        prop_assert!(bench.waiting.is_empty());
        prop_assert_eq!(bench.answered.len() as u64, bench.next);
        prop_assert!((0..LANES).all(|lane| bench.scheduler.waiting(lane).is_none() == bench.closed.contains(&lane)));
    }

    #[test]
    fn equal_calls_give_equal_decisions(events in events()) {
        let (mut one, mut two) = (Bench::new(), Bench::new());
        for event in events {
            one.apply(event.clone());
            two.apply(event);
            prop_assert_eq!(&one.answered, &two.answered);
        }
    }

    #[test]
    fn a_low_level_waits_no_longer_than_its_levels_are_worth(priority in 2..6u32, takes in 1..50u64) {
        let mut scheduler = Scheduler::new(limits());
        scheduler.open(0, LaneLimits { rows: 1, delay: 0, ..lane_limits(0) });
        let request = |id, priority| Waiting { id, lane: 0, form: 0u8, rows: 1, tokens: 1, bytes: 1, priority, deadline: None };
        let (mut now, mut next) = (0, 1);
        scheduler.offer(now, request(0, priority)).expect("there is room");
        let latest = LEVEL * u64::from(priority - 1);
        loop {
            // There is always one that goes first.
            while scheduler.len() < 3 {
                scheduler.offer(now, request(next, 1)).expect("there is room");
                next += 1;
            }
            let batch = scheduler.step(now).batch.expect("something waits");
            if batch.requests == [0] {
                break;
            }
            now += takes;
            scheduler.charge(0, takes);
            prop_assert!(now <= latest + 4 * takes, "it waits for {now}");
        }
        prop_assert!(now + takes >= latest, "it went before those of the first level");
    }

    #[test]
    fn models_share_the_device_by_their_weights(costs in prop::array::uniform3(1..90u64)) {
        let mut scheduler = Scheduler::new(Limits { requests: 1_000, bytes: 1_000, level: LEVEL });
        let mut next = 0;
        let mut had = [0u64; 3];
        (0..LANES).for_each(|lane| scheduler.open(lane, LaneLimits { rows: 1, delay: 0, ..lane_limits(lane) }));
        for now in 0..2_000 {
            for lane in 0..LANES {
                while scheduler.waiting(lane).is_some_and(|(count, _)| count < 2) {
                    let request = Waiting { id: next, lane, form: 0u8, rows: 1, tokens: 1, bytes: 1, priority: 1, deadline: None };
                    scheduler.offer(now, request).expect("there is room");
                    next += 1;
                }
            }
            let lane = scheduler.step(now).batch.expect("something waits").lane;
            had[lane as usize] += costs[lane as usize];
            scheduler.charge(lane, costs[lane as usize]);
        }
        let shares: Vec<f64> = (0..3).map(|lane| had[lane] as f64 / (lane + 1) as f64).collect();
        let (least, most) = (shares.iter().copied().fold(f64::MAX, f64::min), shares.iter().copied().fold(0.0, f64::max));
        prop_assert!(most - least <= 2.0 * 90.0, "{shares:?}");
    }
}

#[test]
fn a_model_that_was_idle_does_not_catch_up() {
    let mut scheduler = Scheduler::new(Limits { requests: 1_000, bytes: 1_000, level: LEVEL });
    let request = |id, lane| Waiting { id, lane, form: 0u8, rows: 1, tokens: 1, bytes: 1, priority: 1, deadline: None };
    (0..2).for_each(|lane| scheduler.open(lane, LaneLimits { requests: 500, bytes: 900, rows: 1, delay: 0, tokens: 1, weight: 1 }));
    let mut next = 0;
    let mut offer = |scheduler: &mut Scheduler<u8>, lane| {
        scheduler.offer(0, request(next, lane)).expect("there is room");
        next += 1;
    };
    for _ in 0..100 {
        offer(&mut scheduler, 0);
        scheduler.step(0);
        scheduler.charge(0, 50);
    }
    for _ in 0..20 {
        offer(&mut scheduler, 0);
        offer(&mut scheduler, 1);
    }
    let mut of_first = 0;
    for _ in 0..20 {
        let lane = scheduler.step(0).batch.expect("something waits").lane;
        of_first += u32::from(lane == 0);
        scheduler.charge(lane, 50);
    }
    assert!((9..=11).contains(&of_first), "the model that was busy had {of_first} of 20 batches");
}

#[test]
fn a_batch_waits_for_others_until_it_is_full_or_due() {
    let mut scheduler = Scheduler::new(limits());
    scheduler.open(1, lane_limits(1));
    let request = |id| Waiting { id, lane: 1, form: 0u8, rows: 2, tokens: 1, bytes: 1, priority: 1, deadline: None };
    scheduler.offer(10, request(0)).expect("there is room");
    let step = scheduler.step(10);
    assert_eq!((step.batch, step.wake), (None, Some(60)));
    scheduler.offer(20, request(1)).expect("there is room");
    assert_eq!(scheduler.step(20).batch.expect("it is full").requests, [0, 1]);
    scheduler.offer(30, request(2)).expect("there is room");
    assert_eq!(scheduler.step(79).batch, None);
    assert_eq!(scheduler.step(80).batch.expect("it is due").requests, [2]);
    scheduler.offer(90, request(3)).expect("there is room");
    scheduler.hurry();
    assert_eq!(scheduler.step(90).batch.expect("nothing waits any more").requests, [3]);
}
