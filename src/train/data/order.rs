//! The order of examples in an epoch: a function of the seed and the epoch.

use super::dataset::Shuffle;
use crate::ops::dropout::threefry::threefry;

/// A place in the data: the batch that comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// How often all examples have been through.
    pub epoch: u64,
    /// How many batches of this epoch have been.
    pub batch: usize,
}

/// Gives numbers an order of their own for each seed and epoch (Fisher and Yates, by a generator that counts, so that the order of an epoch
/// needs none before it).
pub(super) fn shuffle(numbers: &mut [usize], by: Shuffle) {
    for last in (1..numbers.len()).rev() {
        let other = below(last as u64 + 1, by, last as u64);
        numbers.swap(last, other as usize);
    }
}

/// The numbers below `count` in an order of their own for each seed and epoch.
pub(super) fn shuffled(count: usize, by: Shuffle) -> Vec<usize> {
    let mut numbers: Vec<usize> = (0..count).collect();
    shuffle(&mut numbers, by);
    numbers
}

/// A random number below a bound: the upper half of its product with 64 random bits, which no number gets more often than another by more
/// than the bound in 2^64.
pub(super) fn below(bound: u64, Shuffle { seed, epoch }: Shuffle, draw: u64) -> u64 {
    let words = threefry([seed, epoch as u32], [draw as u32, (draw >> 32) as u32 ^ (epoch >> 32) as u32]);
    let bits = (u64::from(words[0]) << 32) | u64::from(words[1]);
    ((u128::from(bits) * u128::from(bound)) >> 64) as u64
}

/// Batches of examples in this order, each of examples of one bucket. Buckets end at these lengths; what is longer is in one more. A batch
/// comes when it is full; those that never are come last, unless they are dropped.
pub(super) fn batches(
    order: &[usize],
    length: impl Fn(usize) -> usize,
    ends: &[usize],
    size: usize,
    drop_last: bool,
) -> Vec<Vec<usize>> {
    let mut open: Vec<Vec<usize>> = vec![Vec::new(); ends.len() + 1];
    let mut batches = Vec::new();
    for example in order {
        let bucket = match ends.is_empty() {
            true => 0,
            false => ends.partition_point(|end| *end < length(*example)),
        };
        open[bucket].push(*example);
        if open[bucket].len() == size {
            batches.push(std::mem::take(&mut open[bucket]));
        }
    }
    if !drop_last {
        batches.extend(open.into_iter().filter(|batch| !batch.is_empty()));
    }
    batches
}
