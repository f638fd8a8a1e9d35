//! Loaders: what order examples come in, what batches hold, and that a loader goes on from any place.

use gristmill::train::{Dataset, Examples, Loader, LoaderOptions, Padding, Place};
use gristmill::{ErrorKind, Result, Tensor};
use std::collections::BTreeSet;

/// Example `n` is `1 + n * 5 % 7` times its number, beside that length.
struct Sequences(usize);

impl Dataset for Sequences {
    fn count(&self) -> usize {
        self.0
    }

    fn example(&self, number: usize) -> Result<Vec<(String, Tensor)>> {
        let length = self.length(number);
        let tokens = Tensor::vector(&vec![number as i64; length]);
        Ok(vec![("tokens".into(), tokens), ("length".into(), Tensor::scalar(length as i64))])
    }

    fn length(&self, number: usize) -> usize {
        1 + number * 5 % 7
    }
}

fn numbers(count: usize) -> Examples {
    let numbers: Vec<i64> = (0..count as i64).collect();
    Examples::new(vec![("n".into(), Tensor::vector(&numbers))]).expect("some examples")
}

/// The examples of all batches of the epoch that the loader is at the beginning of.
fn epoch(loader: &mut Loader) -> Vec<Vec<usize>> {
    (0..loader.batches()).map(|_| loader.next_batch().expect("a batch").examples).collect()
}

#[test]
fn training_data_come_in_an_order_of_each_epoch_and_seed() {
    let order = |seed, epochs: u64| {
        let options = LoaderOptions { shuffle: true, seed, ..LoaderOptions::new(7) };
        let mut loader = Loader::new(numbers(50), options).expect("a loader");
        (0..epochs).map(|_| epoch(&mut loader).concat()).collect::<Vec<_>>()
    };
    let found = order(1, 3);
    for epoch in &found {
        assert_eq!(epoch.iter().copied().collect::<BTreeSet<_>>(), (0..50).collect(), "each example once");
    }
    let all: BTreeSet<&Vec<usize>> = found.iter().collect();
    assert!(all.len() == 3 && !all.contains(&(0..50).collect::<Vec<_>>()), "{found:?}");
    assert_eq!(found, order(1, 3));
    assert_ne!(found[0], order(2, 1)[0]);
    assert_eq!(&found[0][..8], FIRST, "checkpoints of earlier versions rely on this order");
    // Each of five numbers stands in each place about as often as in any other.
    let options = LoaderOptions { shuffle: true, seed: 3, ..LoaderOptions::new(5) };
    let mut loader = Loader::new(numbers(5), options).expect("a loader");
    let mut counts = [[0u32; 5]; 5];
    for _ in 0..2000 {
        epoch(&mut loader)[0].iter().enumerate().for_each(|(place, number)| counts[place][*number] += 1);
    }
    assert!(counts.as_flattened().iter().all(|count| (310..490).contains(count)), "{counts:?}");
}

const FIRST: &[usize] = &[39, 35, 10, 41, 37, 22, 26, 44];

#[test]
fn training_data_are_cut_into_batches() {
    let make = |drop_last| Loader::new(numbers(10), LoaderOptions { drop_last, ..LoaderOptions::new(4) }).expect("a loader");
    let (mut kept, mut dropped) = (make(false), make(true));
    assert_eq!(epoch(&mut kept), [vec![0, 1, 2, 3], vec![4, 5, 6, 7], vec![8, 9]]);
    assert_eq!(epoch(&mut dropped), [[0, 1, 2, 3], [4, 5, 6, 7]]);
    assert_eq!((kept.place(), dropped.place()), (Place { epoch: 1, batch: 0 }, Place { epoch: 1, batch: 0 }));
    let batch = kept.next_batch().expect("a batch");
    assert_eq!((batch.place, batch.inputs), (Place { epoch: 1, batch: 0 }, vec![("n".into(), Tensor::vector(&[0i64, 1, 2, 3]))]));
}

#[test]
fn training_data_of_like_lengths_share_batches_and_are_padded() {
    let padding = vec![Padding { input: "tokens".into(), value: -1.0, multiple: 2 }];
    let options = LoaderOptions { shuffle: true, buckets: vec![2, 4], padding, ..LoaderOptions::new(3) };
    let mut loader = Loader::new(Sequences(20), options).expect("a loader");
    let mut seen = BTreeSet::new();
    for _ in 0..loader.batches() {
        let batch = loader.next_batch().expect("a batch");
        let lengths: Vec<usize> = batch.get("length").expect("lengths").to_i64().iter().map(|n| *n as usize).collect();
        let bucket = |length: usize| [2, 4].iter().filter(|end| length > **end).count();
        assert!(lengths.iter().all(|length| bucket(*length) == bucket(lengths[0])), "{lengths:?}");
        let width = lengths.iter().max().expect("a length").next_multiple_of(2);
        let tokens = batch.get("tokens").expect("tokens");
        assert_eq!(**tokens.shape(), [lengths.len(), width]);
        for ((row, number), length) in tokens.to_i64().chunks(width).zip(&batch.examples).zip(&lengths) {
            assert!(row[..*length].iter().all(|token| *token == *number as i64), "{row:?}");
            assert!(row[*length..].iter().all(|token| *token == -1), "{row:?}");
            assert!(seen.insert(*number));
        }
    }
    assert_eq!(seen.len(), 20);
}

#[test]
fn training_data_go_on_from_any_place() {
    let padding = vec![Padding { input: "tokens".into(), value: 0.0, multiple: 1 }];
    for drop_last in [false, true] {
        let options = LoaderOptions {
            shuffle: true,
            seed: 9,
            drop_last,
            buckets: vec![3],
            padding: padding.clone(),
            ..LoaderOptions::new(4)
        };
        let make = || Loader::new(Sequences(23), options.clone()).expect("a loader");
        let mut whole = make();
        for _ in 0..20 {
            let mut other = make();
            other.go_to(whole.place()).expect("it is a place");
            let (a, b) = (whole.next_batch().expect("a batch"), other.next_batch().expect("a batch"));
            assert_eq!((a.place, a.examples, a.inputs), (b.place, b.examples, b.inputs));
            assert_eq!(whole.place(), other.place());
        }
    }
}

#[test]
fn training_data_name_what_is_wrong() {
    let fails = |found: Result<Loader>, word: &str| {
        let error = found.expect_err(word);
        assert!(error.kind() == ErrorKind::InvalidArgument && error.to_string().contains(word), "{error}");
    };
    fails(Loader::new(numbers(3), LoaderOptions::new(0)), "one example");
    fails(Loader::new(numbers(3), LoaderOptions { drop_last: true, ..LoaderOptions::new(4) }), "no whole batch of 4");
    fails(Loader::new(Sequences(0), LoaderOptions::new(1)), "0 examples");
    fails(Loader::new(numbers(3), LoaderOptions { buckets: vec![4, 4], ..LoaderOptions::new(1) }), "[4, 4]");
    let error = Loader::new(numbers(3), LoaderOptions::new(2)).expect("a loader").go_to(Place { epoch: 3, batch: 2 });
    assert!(error.expect_err("two batches").to_string().contains("no batch 2"));
    let error = Loader::new(Sequences(3), LoaderOptions::new(2)).expect("a loader").next_batch().expect_err("unlike lengths");
    assert!(error.to_string().contains("`tokens`") && error.to_string().contains("padding"), "{error}");
    let uneven = vec![("x".into(), Tensor::vector(&[0.0f32; 3])), ("y".into(), Tensor::vector(&[0i64; 2]))];
    assert!(Examples::new(uneven).expect_err("unlike counts").to_string().contains("`y`"));
    assert!(numbers(3).example(3).expect_err("three").to_string().contains('3'));
}
