//! Some of the examples of a dataset.

use super::dataset::{Dataset, Shuffle};
use super::fingerprint::{Fingerprint, derived};
use super::order::shuffled;
use crate::error::{Error, Result};
use crate::tensor::Tensor;
use std::sync::Arc;

/// Some of the examples of a dataset, by their numbers there.
///
/// ```
/// use gristmill::Tensor;
/// use gristmill::train::{Dataset, Examples, Subset};
///
/// let examples = Examples::new(vec![("x".into(), Tensor::vector(&[0i64, 1, 2, 3, 4]))])?;
/// let [training, held_out] = Subset::split(examples, 2, 7)?;
/// assert_eq!((training.count(), held_out.count()), (3, 2));
/// # Ok::<(), gristmill::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Subset<D> {
    data: D,
    numbers: Vec<usize>,
}

impl<D: Dataset> Subset<D> {
    /// The examples of these numbers, in this order.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for a number that the data have not, and when there is none.
    pub fn new(data: D, numbers: Vec<usize>) -> Result<Self> {
        if numbers.is_empty() {
            return Err(Error::invalid_argument("a part of the examples has none"));
        }
        match numbers.iter().find(|number| **number >= data.count()) {
            Some(number) => Err(Error::invalid_argument(format!("there is no example {number}, but {}", data.count()))),
            None => Ok(Subset { data, numbers }),
        }
    }

    /// Two parts that share no example: what is for training, and `held_out` examples that a seed draws. Both keep the order of the data.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) where one of the parts would be empty.
    pub fn split(data: D, held_out: usize, seed: u32) -> Result<[Subset<Arc<D>>; 2]> {
        let data = Arc::new(data);
        let mut first = shuffled(data.count(), Shuffle { seed, epoch: 0 });
        if held_out == 0 || held_out >= first.len() {
            let message = format!("{held_out} of {} examples cannot be held out: both parts need one or more", first.len());
            return Err(Error::invalid_argument(message));
        }
        let mut second = first.split_off(first.len() - held_out);
        first.sort_unstable();
        second.sort_unstable();
        Ok([Subset::new(data.clone(), first)?, Subset::new(data, second)?])
    }

    fn number(&self, number: usize) -> Result<usize> {
        let found = self.numbers.get(number).copied();
        found.ok_or_else(|| Error::invalid_argument(format!("there is no example {number}, but {}", self.numbers.len())))
    }
}

impl<D: Dataset> Dataset for Subset<D> {
    fn count(&self) -> usize {
        self.numbers.len()
    }

    fn example(&self, number: usize) -> Result<Vec<(String, Tensor)>> {
        self.data.example(self.number(number)?)
    }

    fn length(&self, number: usize) -> usize {
        self.number(number).map_or(0, |number| self.data.length(number))
    }

    fn fingerprint(&self) -> Option<String> {
        let add = |hash: Fingerprint, number: &usize| hash.and(&(*number as u64).to_le_bytes());
        let numbers = self.numbers.iter().fold(Fingerprint::default(), add);
        derived(self.data.fingerprint(), &format!("some {}", numbers.text()))
    }
}
