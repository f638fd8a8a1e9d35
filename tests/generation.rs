//! Sequences made token by token, each step beside what the steps before left: what comes out is what the same network makes of the
//! whole sequence at once.

mod gpt;
mod spelling;

use crate::cases::Tolerance;
use crate::support::{difference, gpu, states_on_device};
use gpt::{HEADS, SIZE, VOCABULARY};
use gristmill::internals::plan::Written;
use gristmill::{Model, Options, Session, SessionState, Tensor};
use std::time::Instant;

/// Rows of the caches.
const CAPACITY: usize = 256;

/// Tokens that a sequence gets.
const TOKENS: usize = 200;

/// After how many steps the second sequence begins anew, among rows of the one before it and at other places than the first.
const RESTART: usize = 37;

/// Sums over keys are in another order; logits are a few units large.
const TOLERANCE: Tolerance = Tolerance { relative: 1e-3, absolute: 1e-4 };

pub fn on_device(model: &Model) -> Session {
    Session::new_blocking(gpu(), model, Options { strict_gpu: true, ..Options::default() }).expect("the model is sound")
}

pub fn on_cpu(model: &Model) -> Session {
    Session::cpu(model, Options::default()).expect("the model is sound")
}

pub fn numbers(shape: [usize; 2], numbers: &[i64]) -> Tensor {
    Tensor::new(shape, numbers).expect("as many elements")
}

/// The likeliest entry of a vocabulary.
pub fn likeliest(logits: &[f32]) -> i64 {
    (0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b])).unwrap_or(0) as i64
}

/// Tokens, of which the last is what the next step reads, and what each step made of its own.
struct Sequence {
    tokens: Vec<i64>,
    logits: Vec<f32>,
}

impl Sequence {
    fn new(first: i64) -> Self {
        Sequence { tokens: vec![first], logits: vec![] }
    }

    fn steps(&self) -> usize {
        self.tokens.len() - 1
    }

    fn says_much(&self) -> bool {
        let mut different = self.tokens.clone();
        different.sort_unstable();
        different.dedup();
        different.len() > 15
    }
}

/// Sequences on their way, side by side. Their caches never leave the device.
struct Generation {
    session: Session,
    state: SessionState,
    sequences: Vec<Sequence>,
}

impl Generation {
    /// With caches of a capacity as states; where a step chooses, it also leaves to the next what it reads. What caches hold where nothing
    /// is written yet does not matter.
    fn new(open: fn(&Model) -> Session, capacity: usize, chooses: bool, first: &[i64]) -> Self {
        let caches = gpt::caches();
        let mut states: Vec<(&str, &str)> = caches.iter().map(|(output, input)| (output.as_str(), input.as_str())).collect();
        states.extend(gpt::CHOICE.iter().filter(|_| chooses));
        let session = open(&gpt::step(capacity).with_states(&states).expect("it has them"));
        let mut state = session.state().expect("states");
        let shape = [first.len(), HEADS, capacity, SIZE];
        let stale = Tensor::new(shape, &vec![f32::NAN; shape.iter().product()]).expect("as many elements");
        caches.iter().for_each(|(_, name)| state.set(name, &stale.view()).expect("it may be that"));
        let generation = Generation { session, state, sequences: first.iter().map(|token| Sequence::new(*token)).collect() };
        let [token, position] = generation.given();
        let mut given = vec![("token", token.view()), ("position", position.view())];
        given.extend(caches.iter().map(|(_, name)| (name.as_str(), stale.view())));
        let written = states_on_device(&generation.session, &given);
        assert_eq!(written[..caches.len()], vec![Written::InPlace; caches.len()]);
        generation
    }

    /// What the next step reads, and where.
    fn given(&self) -> [Tensor; 2] {
        let last: Vec<i32> = self.sequences.iter().filter_map(|sequence| Some(*sequence.tokens.last()? as i32)).collect();
        let places: Vec<i32> = self.sequences.iter().map(|sequence| sequence.steps() as i32).collect();
        [Tensor::new([last.len(), 1], &last).expect("as many elements"), Tensor::vector(&places)]
    }

    /// Gives the next step what it reads, as states.
    fn choose(&mut self) {
        for (tensor, (_, input)) in self.given().iter().zip(gpt::CHOICE) {
            self.state.set(input, &tensor.view()).expect("it may be that");
        }
    }

    fn step(&mut self) {
        let chooses = self.session.inputs().is_empty();
        let [token, position] = self.given();
        let given = [("token", token.view()), ("position", position.view())];
        let inputs = if chooses { &[][..] } else { &given };
        let outputs = self.session.run_with_blocking(&mut self.state, inputs).expect("the step runs");
        let logits: &[f32] = outputs["logits"].as_slice().expect("they are floats");
        for (sequence, logits) in self.sequences.iter_mut().zip(logits.chunks(VOCABULARY)) {
            sequence.tokens.push(likeliest(logits));
            sequence.logits.extend(logits);
        }
    }
}

/// Holds a sequence against the network without a cache: each token is the one that it finds likeliest after those before.
fn check_whole(session: &Session, sequence: &Sequence) {
    let steps = sequence.steps();
    let places: Vec<i64> = (0..steps as i64).collect();
    let (tokens, positions) = (numbers([1, steps], &sequence.tokens[..steps]), numbers([1, steps], &places));
    let outputs = session.run_blocking(&[("tokens", tokens.view()), ("positions", positions.view())]).expect("it runs");
    let (found, expected) = (Tensor::new([1, steps, VOCABULARY], &sequence.logits).expect("as many elements"), &outputs["logits"]);
    assert_eq!(difference(&found, expected, TOLERANCE), None);
    let logits: &[f32] = expected.as_slice().expect("they are floats");
    let next: Vec<i64> = logits.chunks(VOCABULARY).map(likeliest).collect();
    assert_eq!(next, sequence.tokens[1..]);
    assert!(sequence.says_much(), "{:?}", sequence.tokens);
}

fn check(open: fn(&Model) -> Session, chooses: bool) {
    let mut generation = Generation::new(open, CAPACITY, chooses, &[0, 42]);
    let begin = |generation: &mut Generation| {
        if chooses {
            generation.choose()
        }
    };
    begin(&mut generation);
    // The buffers of a token that a step leaves to the next change their roles from step to step: the second binds the other way.
    let first = if chooses { 2 } else { 1 };
    (0..first).for_each(|_| generation.step());
    let before = generation.session.counters();
    (first..RESTART).for_each(|_| generation.step());
    let mut sequences = vec![std::mem::replace(&mut generation.sequences[1], Sequence::new(17))];
    begin(&mut generation);
    (RESTART..TOKENS).for_each(|_| generation.step());
    assert_eq!(generation.session.counters(), before, "one plan serves every position, and steps make nothing");
    sequences.append(&mut generation.sequences);
    assert_eq!(sequences.iter().map(Sequence::steps).collect::<Vec<_>>(), [RESTART, TOKENS, TOKENS - RESTART]);
    let whole = open(&gpt::whole(CAPACITY));
    sequences.iter().for_each(|sequence| check_whole(&whole, sequence));
}

#[test]
fn tokens_beside_a_cache_are_those_of_whole_sequences() {
    check(on_device, false);
}

#[test]
fn tokens_beside_a_cache_are_those_of_whole_sequences_by_references() {
    check(on_cpu, false);
}

#[test]
fn tokens_that_steps_leave_to_the_next_are_those_of_whole_sequences() {
    check(on_device, true);
}

#[test]
fn tokens_that_steps_leave_to_the_next_are_those_of_whole_sequences_by_references() {
    check(on_cpu, true);
}

/// Milliseconds of a step.
fn time(generation: &mut Generation) -> f64 {
    let start = Instant::now();
    generation.step();
    start.elapsed().as_secs_f64() * 1e3
}

#[test]
#[ignore = "measures time"]
fn a_token_costs_what_stands_before_it_and_not_the_capacity() {
    // A step late in a small cache, and early ones in a small and a large cache, in turn; the fastest of each, since what else the machine
    // does only adds.
    let mut generations = [(CAPACITY, 190), (CAPACITY, 10), (64 * CAPACITY, 10)].map(|(capacity, steps)| {
        let mut generation = Generation::new(on_device, capacity, false, &[0]);
        (0..steps).for_each(|_| generation.step());
        generation
    });
    let times: Vec<[f64; 3]> = (0..21).map(|_| generations.each_mut().map(time)).collect();
    let [late, early, roomy] = [0, 1, 2].map(|k| times.iter().map(|turn| turn[k]).fold(f64::INFINITY, f64::min));
    println!("ms per token: {early:.2} at 20 of {CAPACITY}, {late:.2} at 200, {roomy:.2} at 20 of {}", 64 * CAPACITY);
    assert!(late < 1.5 * early && roomy < 1.5 * early);
}
