//! Batches, epoch after epoch.

use super::batch::{Batch, Padding, stacked};
use super::dataset::{Dataset, Shuffle};
use super::order::{Place, batches, shuffle};
use crate::error::{Error, Result};

/// How examples become batches.
#[derive(Clone, Debug, PartialEq)]
pub struct LoaderOptions {
    /// How many examples a batch has.
    pub batch_size: usize,
    /// Whether each epoch has an order of its own.
    pub shuffle: bool,
    /// What the orders are drawn from.
    pub seed: u32,
    /// Whether batches of fewer examples at the end of an epoch are left out.
    pub drop_last: bool,
    /// Lengths, rising, at which buckets end: all examples of a batch are of one bucket. None: one bucket for all.
    pub buckets: Vec<usize>,
    /// Inputs that differ in their first axis.
    pub padding: Vec<Padding>,
}

impl LoaderOptions {
    /// Batches of so many examples, in the order of the data, the last one kept.
    pub fn new(batch_size: usize) -> Self {
        LoaderOptions { batch_size, shuffle: false, seed: 0, drop_last: false, buckets: Vec::new(), padding: Vec::new() }
    }
}

/// Batches of a dataset, epoch after epoch, from a place that it knows: a loader that is moved there goes on with the same batches.
///
/// ```
/// use gristmill::Tensor;
/// use gristmill::train::{Examples, Loader, LoaderOptions};
///
/// let examples = Examples::new(vec![("x".into(), Tensor::vector(&[0i64, 1, 2, 3, 4]))])?;
/// let options = LoaderOptions { shuffle: true, seed: 7, ..LoaderOptions::new(2) };
/// let mut loader = Loader::new(examples.clone(), options.clone())?;
/// (0..4).try_for_each(|_| loader.next_batch().map(drop))?;
/// let mut other = Loader::new(examples, options)?;
/// other.go_to(loader.place())?;
/// assert_eq!((other.place().epoch, other.place().batch), (1, 1));
/// assert_eq!(other.next_batch()?.inputs, loader.next_batch()?.inputs);
/// # Ok::<(), gristmill::Error>(())
/// ```
pub struct Loader {
    data: Box<dyn Dataset>,
    options: LoaderOptions,
    place: Place,
    /// The batches of the place's epoch.
    batches: Vec<Vec<usize>>,
}

impl Loader {
    /// A loader at the beginning of its data.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) where there would be no batch, and for buckets that do not rise.
    pub fn new(data: impl Dataset + 'static, options: LoaderOptions) -> Result<Self> {
        if options.batch_size == 0 {
            return Err(Error::invalid_argument("a batch has one example or more"));
        }
        if options.buckets.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(Error::invalid_argument(format!("buckets end at {:?}; expected lengths that rise", options.buckets)));
        }
        let mut loader = Loader { data: Box::new(data), options, place: Place::default(), batches: Vec::new() };
        loader.batches = loader.batches_of(0);
        match loader.batches.is_empty() {
            true => {
                let (count, size) = (loader.data.count(), loader.options.batch_size);
                Err(Error::invalid_argument(format!("{count} examples make no whole batch of {size}")))
            }
            false => Ok(loader),
        }
    }

    /// How its batches are made.
    pub fn options(&self) -> &LoaderOptions {
        &self.options
    }

    /// How many examples there are.
    pub fn count(&self) -> usize {
        self.data.count()
    }

    /// A text that other data do not have: that of the dataset.
    pub fn fingerprint(&self) -> Option<String> {
        self.data.fingerprint()
    }

    /// The batch that comes next.
    pub fn place(&self) -> Place {
        self.place
    }

    /// How many batches this epoch has.
    pub fn batches(&self) -> usize {
        self.batches.len()
    }

    /// Goes on from a place.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for a batch that the epoch has not; the loader stays where it was then.
    pub fn go_to(&mut self, place: Place) -> Result<()> {
        let batches = self.batches_of(place.epoch);
        if place.batch >= batches.len() {
            let message = format!("epoch {} has {} batches, and no batch {}", place.epoch, batches.len(), place.batch);
            return Err(Error::invalid_argument(message));
        }
        (self.place, self.batches) = (place, batches);
        Ok(())
    }

    /// The next batch; after the last one of an epoch comes the first of the next.
    ///
    /// # Errors
    /// Those of the dataset; [`InvalidInput`](crate::ErrorKind::InvalidInput) naming an input whose examples do not fit side by side. The loader
    /// stays where it was then.
    pub fn next_batch(&mut self) -> Result<Batch> {
        let batch = self.batch(self.place)?;
        let next = Place { batch: self.place.batch + 1, ..self.place };
        match next.batch < self.batches.len() {
            true => self.place = next,
            false => self.go_to(Place { epoch: next.epoch + 1, batch: 0 })?,
        }
        Ok(batch)
    }

    fn batch(&self, place: Place) -> Result<Batch> {
        let examples = self.batches.get(place.batch).cloned().unwrap_or_default();
        let read: Vec<_> = examples.iter().map(|number| self.data.example(*number)).collect::<Result<_>>()?;
        Ok(Batch { place, inputs: stacked(&read, &self.options.padding)?, examples })
    }

    /// The examples of all batches of an epoch.
    fn batches_of(&self, epoch: u64) -> Vec<Vec<usize>> {
        let options = &self.options;
        let by = options.shuffle.then_some(Shuffle { seed: options.seed, epoch });
        let mut order = self.data.epoch(by);
        by.iter().for_each(|by| shuffle(&mut order, *by));
        batches(&order, |number| self.data.length(number), &options.buckets, options.batch_size, options.drop_last)
    }
}

impl std::fmt::Debug for Loader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Loader({} examples in batches of {}, at {:?})", self.count(), self.options.batch_size, self.place)
    }
}
