//! Sequences of requests: turns, ends, and what is refused.

use super::bench::{lane_limits, limits};
use super::request;
use gristmill_serve::schedule::{Batch, Gone, LaneLimits, Limits, Part, Refusal, RequestId, Scheduler, Time, Waiting};
use proptest::prelude::*;

fn of(id: RequestId, key: &str, start: bool, end: bool) -> Waiting<u8> {
    Waiting { sequence: Some(Part { key: key.into(), start, end }), ..request(id, 0) }
}

fn scheduler(sequences: usize, instances: usize) -> Scheduler<u8> {
    let mut scheduler = Scheduler::new(Limits { requests: 1_000, bytes: 1_000, ..limits() });
    scheduler.open(0, LaneLimits { sequences, instances, requests: 1_000, bytes: 1_000, ..lane_limits(0) });
    scheduler
}

fn next(scheduler: &mut Scheduler<u8>, now: Time) -> Option<Batch> {
    scheduler.step(now, 0).batch
}

/// The requests in the order in which they are computed, each for a while.
fn order(scheduler: &mut Scheduler<u8>, mut now: Time) -> Vec<RequestId> {
    let mut order = Vec::new();
    while let Some(batch) = next(scheduler, now) {
        now += 7;
        scheduler.finish(now, &batch, 7);
        order.extend(batch.requests);
    }
    order
}

proptest! {
    #[test]
    fn sequences_take_turns(lengths in prop::collection::vec(1..9usize, 1..5), takes in 0..9u64) {
        let mut scheduler = scheduler(8, 1);
        let mut next_id = 0;
        // One after another, each with all of its requests.
        for (sequence, length) in lengths.iter().enumerate() {
            for k in 0..*length {
                scheduler.offer(0, of(next_id, &sequence.to_string(), k == 0, false)).expect("there is room");
                next_id += 1;
            }
        }
        let (mut now, mut had) = (0, vec![0usize; lengths.len()]);
        while let Some(batch) = next(&mut scheduler, now) {
            now += takes;
            scheduler.finish(now, &batch, takes);
            let turn = batch.turn.expect("it is of a sequence");
            had[turn.key.parse::<usize>().expect("a number")] += 1;
            let left = (0..had.len()).filter(|k| had[*k] < lengths[*k]).map(|k| had[k]);
            let (least, most) = (left.clone().min(), left.max());
            prop_assert!(least.zip(most).is_none_or(|(least, most)| most - least <= 1), "{had:?} of {lengths:?}");
        }
        prop_assert_eq!(had, lengths);
    }
}

#[test]
fn one_sequence_waits_for_none_that_came_later() {
    let mut scheduler = scheduler(8, 1);
    for (id, key, start) in [(0, "a", true), (1, "a", false), (2, "a", false), (3, "b", true), (4, "b", false)] {
        scheduler.offer(id, of(id, key, start, false)).expect("there is room");
    }
    scheduler.offer(5, request(5, 0)).expect("there is room");
    assert_eq!(order(&mut scheduler, 6), [0, 3, 5, 1, 4, 2]);
}

#[test]
fn a_sequence_is_computed_one_request_at_a_time_and_others_beside_it() {
    let mut scheduler = scheduler(8, 3);
    for (id, key, start) in [(0, "a", true), (1, "a", false), (2, "b", true)] {
        scheduler.offer(0, of(id, key, start, false)).expect("there is room");
    }
    let (a, b) = (next(&mut scheduler, 0).expect("it waits"), next(&mut scheduler, 0).expect("it waits"));
    assert_eq!((&*a.requests, &*b.requests), (&[0][..], &[2][..]));
    assert_eq!(next(&mut scheduler, 0), None, "the next of the sequence waits for the one before");
    scheduler.finish(1, &a, 1);
    assert_eq!(next(&mut scheduler, 1).map(|batch| batch.requests), Some(vec![1]));
}

#[test]
fn what_starts_no_sequence_goes_on_with_one() {
    let mut scheduler = scheduler(1, 1);
    let refused = |scheduler: &mut Scheduler<u8>, now, request| scheduler.offer(now, request).expect_err("it is refused");
    assert_eq!(refused(&mut scheduler, 0, of(0, "a", false, false)), Refusal::NoSequence(None));
    scheduler.offer(0, of(1, "a", true, false)).expect("there is room");
    assert_eq!(refused(&mut scheduler, 0, of(2, "b", true, false)), Refusal::Sequences(1));
    scheduler.offer(0, of(3, "a", false, true)).expect("it runs");
    assert_eq!(refused(&mut scheduler, 0, of(4, "a", false, false)), Refusal::NoSequence(Some(Gone::Ended)));
    assert_eq!(order(&mut scheduler, 0), [1, 3]);
    assert_eq!((scheduler.take_ended().len(), scheduler.sequences(0).running), (1, 0));
    assert_eq!(refused(&mut scheduler, 20, of(5, "a", false, false)), Refusal::NoSequence(Some(Gone::Ended)));
    scheduler.offer(20, of(6, "b", true, false)).expect("there is room again");
    assert_eq!(order(&mut scheduler, 20), [6]);
    let idle = lane_limits(0).idle;
    // Its request was done at 27.
    assert_eq!(scheduler.step(26 + idle, 0).wake, Some(27 + idle));
    assert_eq!(scheduler.take_ended(), [0; 0]);
    scheduler.step(27 + idle, 0);
    assert_eq!(scheduler.take_ended().len(), 1);
    assert_eq!(refused(&mut scheduler, 400, of(7, "b", false, false)), Refusal::NoSequence(Some(Gone::Idle)));
    assert_eq!(scheduler.sequences(0).idle, 1);
}

#[test]
fn a_start_of_one_that_runs_begins_anew_after_it() {
    let mut scheduler = scheduler(1, 1);
    for (id, start) in [(0, true), (1, false), (2, true), (3, false)] {
        scheduler.offer(0, of(id, "a", start, false)).expect("there is room");
    }
    let mut turns = Vec::new();
    while let Some(batch) = next(&mut scheduler, 0) {
        let turn = batch.turn.clone().expect("it is of a sequence");
        turns.push((batch.requests[0], turn.run, turn.begun));
        scheduler.finish(0, &batch, 1);
    }
    let (first, second) = (turns[0].1, turns[2].1);
    assert_ne!(first, second);
    assert_eq!(turns, [(0, first, false), (1, first, true), (2, second, false), (3, second, true)]);
    assert_eq!(scheduler.take_ended(), [first]);
}

#[test]
fn what_is_late_or_left_changes_nothing_for_the_others() {
    let mut scheduler = scheduler(2, 1);
    let late = Waiting { deadline: Some(5), ..of(1, "a", false, false) };
    scheduler.offer(0, of(0, "a", true, false)).expect("there is room");
    scheduler.offer(0, late).expect("there is room");
    scheduler.offer(0, of(2, "a", false, false)).expect("there is room");
    scheduler.offer(0, of(3, "a", false, true)).expect("there is room");
    let batch = next(&mut scheduler, 0).expect("it waits");
    let step = scheduler.step(6, 0);
    assert_eq!((step.expired, step.batch), (vec![1], None));
    scheduler.finish(7, &batch, 7);
    assert!(scheduler.cancel(7, 2));
    assert_eq!(order(&mut scheduler, 8), [3]);
    assert_eq!(scheduler.take_ended().len(), 1, "its last request ends it");
    // A start that is never computed leaves a sequence at its beginning.
    scheduler.offer(20, of(4, "a", true, false)).expect("there is room");
    assert!(scheduler.cancel(20, 4));
    scheduler.offer(21, of(5, "a", false, false)).expect("it runs");
    let batch = next(&mut scheduler, 21).expect("it waits");
    assert_eq!(batch.turn.map(|turn| turn.begun), Some(false));
}

#[test]
fn a_sequence_whose_contents_are_lost_ends_with_what_waits_for_it() {
    let mut scheduler = scheduler(2, 1);
    for (id, start) in [(0, true), (1, false), (2, false), (3, true)] {
        scheduler.offer(0, of(id, "a", start, false)).expect("there is room");
    }
    let batch = next(&mut scheduler, 0).expect("it waits");
    let turn = batch.turn.clone().expect("it is of a sequence");
    assert_eq!(scheduler.lose(1, 0, &turn), [1, 2]);
    scheduler.finish(1, &batch, 1);
    assert_eq!(scheduler.take_ended(), [turn.run]);
    let batch = next(&mut scheduler, 1).expect("the one that was started anew goes on");
    assert_eq!(batch.requests, [3]);
    assert_eq!(scheduler.lose(2, 0, &batch.turn.clone().expect("it is of a sequence")), [0; 0]);
    scheduler.finish(2, &batch, 1);
    let refused = scheduler.offer(3, of(4, "a", false, false)).expect_err("it is gone");
    assert_eq!((refused, scheduler.sequences(0).lost), (Refusal::NoSequence(Some(Gone::Lost)), 2));
}

#[test]
fn a_closed_model_serves_what_waits_and_ends_its_sequences() {
    let mut scheduler = scheduler(4, 1);
    for (id, key) in [(0, "a"), (1, "b")] {
        scheduler.offer(0, of(id, key, true, false)).expect("there is room");
    }
    assert_eq!(order(&mut scheduler, 0), [0, 1]);
    scheduler.offer(20, of(2, "a", false, false)).expect("it runs");
    let running = scheduler.close(0);
    assert_eq!(running.iter().map(|key| &**key).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(scheduler.take_ended(), [0; 0]);
    assert_eq!(scheduler.offer(20, of(3, "a", false, false)), Err(Refusal::Closed));
    assert_eq!(order(&mut scheduler, 20), [2]);
    assert_eq!((scheduler.take_ended().len(), scheduler.waiting(0)), (2, None));
}
