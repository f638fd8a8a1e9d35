//! Sequences made token by token, each step beside what the steps before left: what comes out is what the same network makes of the
//! whole sequence at once.

mod gpt;
mod spelling;

use crate::cases::Tolerance;
use crate::support::{difference, gpu};
use gpt::{HEADS, SIZE, VOCABULARY};
use gristmill::{Model, Options, Session, Tensor, TensorView};

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

/// Sequences on their way, side by side.
struct Generation {
    session: Session,
    caches: Vec<(String, Tensor)>,
    sequences: Vec<Sequence>,
}

impl Generation {
    /// What caches hold where nothing is written yet does not matter.
    fn new(session: Session, first: &[i64]) -> Self {
        let shape = [first.len(), HEADS, CAPACITY, SIZE];
        let stale = Tensor::new(shape, &vec![f32::NAN; shape.iter().product()]).expect("as many elements");
        let caches = gpt::caches().into_iter().map(|(_, name)| (name, stale.clone())).collect();
        Generation { session, caches, sequences: first.iter().map(|token| Sequence::new(*token)).collect() }
    }

    fn step(&mut self) {
        let batch = self.sequences.len();
        let last: Vec<i64> = self.sequences.iter().filter_map(|sequence| sequence.tokens.last().copied()).collect();
        let places: Vec<i64> = self.sequences.iter().map(|sequence| sequence.steps() as i64).collect();
        let (token, position) = (numbers([batch, 1], &last), Tensor::vector(&places));
        let mut inputs: Vec<(&str, TensorView<'_>)> = vec![("token", token.view()), ("position", position.view())];
        inputs.extend(self.caches.iter().map(|(name, tensor)| (name.as_str(), tensor.view())));
        let outputs = self.session.run_blocking(&inputs).expect("the step runs");
        self.caches = gpt::caches().into_iter().map(|(output, input)| (input, outputs[output.as_str()].clone())).collect();
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

fn check(open: fn(&Model) -> Session) {
    let mut generation = Generation::new(open(&gpt::step(CAPACITY)), &[0, 42]);
    generation.step();
    let before = generation.session.counters();
    (1..RESTART).for_each(|_| generation.step());
    let mut sequences = vec![std::mem::replace(&mut generation.sequences[1], Sequence::new(17))];
    (RESTART..TOKENS).for_each(|_| generation.step());
    assert_eq!(generation.session.counters(), before, "one plan serves every position");
    sequences.append(&mut generation.sequences);
    assert_eq!(sequences.iter().map(Sequence::steps).collect::<Vec<_>>(), [RESTART, TOKENS, TOKENS - RESTART]);
    let whole = open(&gpt::whole(CAPACITY));
    sequences.iter().for_each(|sequence| check_whole(&whole, sequence));
}

#[test]
fn tokens_beside_a_cache_are_those_of_whole_sequences() {
    check(on_device);
}

#[test]
fn tokens_beside_a_cache_are_those_of_whole_sequences_by_references() {
    check(on_cpu);
}
