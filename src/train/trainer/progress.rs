//! What a run has to know beside its step to go on from a checkpoint.

use super::options::EarlyStop;
use crate::error::Result;
use crate::train::checkpoint::Saved;
use crate::train::data::Place;

/// What evaluations came to so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Progress {
    /// The best value of the metric that ends the run early.
    best: Option<f64>,
    /// How many evaluations in a row were no better.
    waiting: u64,
}

impl Progress {
    /// Takes note of an evaluation.
    pub(super) fn note(&mut self, stop: &EarlyStop, metrics: &[(String, f64)]) {
        let Some((_, value)) = metrics.iter().find(|(name, _)| *name == stop.metric) else { return };
        match stop.is_better(*value, self.best) {
            true => *self = Progress { best: Some(*value), waiting: 0 },
            false => self.waiting += 1,
        }
    }

    /// Whether the run has waited long enough.
    pub(super) fn is_over(&self, stop: Option<&EarlyStop>) -> bool {
        stop.is_some_and(|stop| self.waiting >= stop.patience.max(1))
    }

    /// The texts of a checkpoint: this, and the place in the data.
    pub(super) fn texts(&self, place: Place) -> impl Iterator<Item = (String, String)> {
        let mut texts = vec![("epoch", place.epoch.to_string()), ("batch", place.batch.to_string())];
        texts.extend(self.best.map(|best| ("best", best.to_string())));
        texts.push(("waiting", self.waiting.to_string()));
        texts.into_iter().map(|(name, text)| (name.to_string(), text))
    }

    /// What a checkpoint says, and the place in the data.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) naming what the checkpoint does not say.
    pub(super) fn read(saved: &Saved) -> Result<(Progress, Place)> {
        let place = Place { epoch: saved.number("epoch")?, batch: saved.number("batch")? };
        let best = saved.text("best").map(|_| saved.number("best")).transpose()?;
        Ok((Progress { best, waiting: saved.number("waiting")? }, place))
    }
}
