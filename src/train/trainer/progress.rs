//! What a run has to know beside its step to go on from a checkpoint.

use super::options::EarlyStop;
use crate::error::{Error, Result};
use crate::train::checkpoint::Saved;
use crate::train::data::{Loader, Place};

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

    /// The texts of a checkpoint: this, the seed of the step, the data and the place in them.
    pub(super) fn texts(&self, seed: u32, data: &Loader) -> Vec<(String, String)> {
        let place = data.place();
        let mut texts = described(seed, data);
        texts.extend([("epoch", place.epoch.to_string()), ("batch", place.batch.to_string())]);
        texts.extend(self.best.map(|best| ("best", best.to_string())));
        texts.push(("waiting", self.waiting.to_string()));
        texts.into_iter().map(|(name, text)| (name.to_string(), text)).collect()
    }

    /// What a checkpoint says, and the place in the data.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) naming what the checkpoint does not say, and what is another seed or other data.
    pub(super) fn read(saved: &Saved, seed: u32, data: &Loader) -> Result<(Progress, Place)> {
        for (name, own) in described(seed, data) {
            match saved.text(name) {
                Some(text) if text == own => {}
                found => {
                    let found = found.unwrap_or("not there");
                    return Err(Error::invalid_input(format!("the checkpoint's `{name}` is {found}; the run has {own}")));
                }
            }
        }
        let place = Place { epoch: saved.number("epoch")?, batch: saved.number("batch")? };
        let best = saved.text("best").map(|_| saved.number("best")).transpose()?;
        Ok((Progress { best, waiting: saved.number("waiting")? }, place))
    }
}

/// What must be alike for a run to go on as if it had never stopped.
fn described(seed: u32, data: &Loader) -> Vec<(&'static str, String)> {
    let options = data.options();
    vec![
        ("seed", seed.to_string()),
        ("data.seed", options.seed.to_string()),
        ("data.shuffle", options.shuffle.to_string()),
        ("data.examples", data.count().to_string()),
        ("data.batch_size", options.batch_size.to_string()),
        ("data.drop_last", options.drop_last.to_string()),
        ("data.buckets", format!("{:?}", options.buckets)),
    ]
}
