//! Examples by their numbers.

use crate::error::Result;
use crate::tensor::Tensor;
use std::sync::Arc;

/// What the order of an epoch is drawn from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shuffle {
    /// The loader's seed.
    pub seed: u32,
    /// The epoch, from 0.
    pub epoch: u64,
}

/// Examples to learn from.
pub trait Dataset: Send + Sync {
    /// How many there are.
    fn count(&self) -> usize;

    /// The inputs of an example by their names, each without the axis of the batch.
    ///
    /// # Errors
    /// Those of reading it.
    fn example(&self, number: usize) -> Result<Vec<(String, Tensor)>>;

    /// How long an example is, for batches of examples of like lengths.
    fn length(&self, number: usize) -> usize {
        let _ = number;
        0
    }

    /// The numbers of the examples of an epoch, which the loader then shuffles where `shuffle` is given. All of them, unless a dataset has more
    /// than go through an epoch. A function of its argument alone, as many for each epoch, so that a run goes on from any place.
    fn epoch(&self, shuffle: Option<Shuffle>) -> Vec<usize> {
        let _ = shuffle;
        (0..self.count()).collect()
    }

    /// A text that other data do not have, so that a run does not go on from a checkpoint with other examples; none where that is not known.
    fn fingerprint(&self) -> Option<String> {
        None
    }
}

macro_rules! behind {
    ($($pointer:ident),*) => {$(
        impl<D: Dataset + ?Sized> Dataset for $pointer<D> {
            fn count(&self) -> usize {
                self.as_ref().count()
            }

            fn example(&self, number: usize) -> Result<Vec<(String, Tensor)>> {
                self.as_ref().example(number)
            }

            fn length(&self, number: usize) -> usize {
                self.as_ref().length(number)
            }

            fn epoch(&self, shuffle: Option<Shuffle>) -> Vec<usize> {
                self.as_ref().epoch(shuffle)
            }

            fn fingerprint(&self) -> Option<String> {
                self.as_ref().fingerprint()
            }
        }
    )*};
}

behind!(Arc, Box);
