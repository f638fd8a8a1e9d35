//! The laws of the scheduler, for random requests under a virtual clock.

mod bench;
mod sequences;

use bench::{Bench, LANES, LEVEL, events, lane_limits, limits};
use gristmill_serve::schedule::{LaneId, LaneLimits, Limits, RequestId, Scheduler, Waiting};
use proptest::prelude::*;

/// A small request of the first level.
fn request(id: RequestId, lane: LaneId) -> Waiting<u8> {
    Waiting { id, lane, form: 0, rows: 1, tokens: 1, bytes: 1, priority: 1, deadline: None, sequence: None }
}

/// Takes the next batch, and is done with it at once, after so long; its model and its requests.
fn compute(scheduler: &mut Scheduler<u8>, now: u64, takes: u64) -> (LaneId, Vec<RequestId>) {
    let batch = scheduler.step(now, 0).batch.expect("something waits");
    scheduler.finish(now + takes, &batch, takes);
    (batch.lane, batch.requests)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn each_request_is_answered_once_and_bounds_hold(events in events()) {
        let mut bench = Bench::new();
        events.into_iter().for_each(|event| bench.apply(event));
        bench.run_dry();
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
        let request = |id, priority| Waiting { priority, ..request(id, 0) };
        let (mut now, mut next) = (0, 1);
        scheduler.offer(now, request(0, priority)).expect("there is room");
        let latest = LEVEL * u64::from(priority - 1);
        loop {
            // There is always one that goes first.
            while scheduler.len() < 3 {
                scheduler.offer(now, request(next, 1)).expect("there is room");
                next += 1;
            }
            if compute(&mut scheduler, now, takes).1 == [0] {
                break;
            }
            now += takes;
            prop_assert!(now <= latest + 4 * takes, "it waits for {now}");
        }
        prop_assert!(now + takes >= latest, "it went before those of the first level");
    }

    #[test]
    fn models_share_the_device_by_their_weights(costs in prop::array::uniform3(1..90u64)) {
        let mut scheduler = Scheduler::new(Limits { requests: 1_000, bytes: 1_000, level: LEVEL });
        let mut next = 0;
        let mut had = [0u64; 3];
        (0..LANES).for_each(|lane| scheduler.open(lane, LaneLimits { device: 0, rows: 1, delay: 0, ..lane_limits(lane) }));
        for now in 0..2_000 {
            for lane in 0..LANES {
                while scheduler.waiting(lane).is_some_and(|(count, _)| count < 2) {
                    scheduler.offer(now, request(next, lane)).expect("there is room");
                    next += 1;
                }
            }
            let batch = scheduler.step(now, 0).batch.expect("something waits");
            let cost = costs[batch.lane as usize];
            had[batch.lane as usize] += cost;
            scheduler.finish(now, &batch, cost);
        }
        let shares: Vec<f64> = (0..3).map(|lane| had[lane] as f64 / (lane + 1) as f64).collect();
        let (least, most) = (shares.iter().copied().fold(f64::MAX, f64::min), shares.iter().copied().fold(0.0, f64::max));
        prop_assert!(most - least <= 2.0 * 90.0, "{shares:?}");
    }
}

#[test]
fn a_model_that_was_idle_does_not_catch_up() {
    let mut scheduler = Scheduler::new(Limits { requests: 1_000, bytes: 1_000, level: LEVEL });
    let wide = LaneLimits { device: 0, requests: 500, bytes: 900, rows: 1, delay: 0, tokens: 1, weight: 1, ..lane_limits(0) };
    (0..2).for_each(|lane| scheduler.open(lane, wide.clone()));
    let mut next = 0;
    let mut offer = |scheduler: &mut Scheduler<u8>, lane| {
        scheduler.offer(0, request(next, lane)).expect("there is room");
        next += 1;
    };
    for _ in 0..100 {
        offer(&mut scheduler, 0);
        compute(&mut scheduler, 0, 50);
    }
    for _ in 0..20 {
        offer(&mut scheduler, 0);
        offer(&mut scheduler, 1);
    }
    let mut of_first = 0;
    for _ in 0..20 {
        of_first += u32::from(compute(&mut scheduler, 0, 50).0 == 0);
    }
    assert!((9..=11).contains(&of_first), "the model that was busy had {of_first} of 20 batches");
}

#[test]
fn a_batch_waits_for_others_until_it_is_full_or_due() {
    let mut scheduler = Scheduler::new(limits());
    scheduler.open(1, LaneLimits { device: 0, ..lane_limits(1) });
    let request = |id| Waiting { rows: 2, ..request(id, 1) };
    scheduler.offer(10, request(0)).expect("there is room");
    let step = scheduler.step(10, 0);
    assert_eq!((step.batch, step.wake), (None, Some(60)));
    scheduler.offer(20, request(1)).expect("there is room");
    assert_eq!(compute(&mut scheduler, 20, 1).1, [0, 1]);
    scheduler.offer(30, request(2)).expect("there is room");
    assert_eq!(scheduler.step(79, 0).batch, None);
    assert_eq!(compute(&mut scheduler, 80, 1).1, [2]);
    scheduler.offer(90, request(3)).expect("there is room");
    scheduler.hurry();
    assert_eq!(compute(&mut scheduler, 90, 1).1, [3]);
}

#[test]
fn instances_run_side_by_side_and_devices_each_for_themselves() {
    let mut scheduler = Scheduler::new(limits());
    for (lane, device, instances) in [(0, 0, 2), (1, 0, 1), (2, 1, 1)] {
        scheduler.open(lane, LaneLimits { device, instances, rows: 1, delay: 0, ..lane_limits(0) });
    }
    assert_eq!((scheduler.instances(0), scheduler.instances(1)), ((2, 3), (1, 1)));
    for (id, lane) in [(0, 0), (1, 0), (2, 0), (3, 1), (4, 2), (5, 2)] {
        scheduler.offer(0, request(id, lane)).expect("there is room");
    }
    let mut step = |device| scheduler.step(0, device).batch;
    let batches: Vec<_> = (0..3).filter_map(|_| step(0)).collect();
    // What a batch will cost is not known before the first is done.
    assert_eq!(batches.iter().map(|batch| batch.requests[0]).collect::<Vec<_>>(), [0, 1, 3]);
    assert_eq!(step(0), None, "as many are computed as may be");
    assert_eq!(step(1).map(|batch| batch.requests), Some(vec![4]));
    assert_eq!(step(1), None);
    scheduler.finish(9, &batches[0], 9);
    assert_eq!(scheduler.step(9, 0).batch.map(|batch| batch.requests), Some(vec![2]));
}
