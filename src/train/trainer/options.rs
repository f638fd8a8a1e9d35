//! What a run of training is told.

use crate::error::{Error, Result};
use crate::train::checkpoint::CheckpointFolder;
use crate::train::data::Loader;
use crate::train::metrics::Metric;
use crate::train::schedule::Schedule;

/// How long a run of training goes on, and what goes on beside its steps. A step is an update here: of several batches where their gradients are
/// summed.
pub struct FitOptions {
    /// The number of steps at which training ends, with those that were made before.
    pub steps: u64,
    /// How the learning rates of all groups change.
    pub schedule: Schedule,
    /// How many steps lie between two logs. The loss is read for logs and checkpoints only, and whether all batches were finite for these and
    /// evaluations: reading waits for the device.
    pub log_every: u64,
    /// How many steps lie between two evaluations; the last step is followed by one in any case.
    pub evaluate_every: u64,
    /// What is evaluated.
    pub evaluation: Option<Evaluation>,
    /// When evaluations end the run.
    pub early_stop: Option<EarlyStop>,
    /// Where checkpoints are saved.
    pub folder: Option<CheckpointFolder>,
    /// How many steps lie between two checkpoints; the last step is followed by one in any case. 0: by no other.
    pub save_every: u64,
    /// Whether the run goes on from the last checkpoint of the folder, if there is one.
    pub resume: bool,
}

/// What is evaluated, and on which data: one epoch of them, from their beginning.
pub struct Evaluation {
    /// Batches that nothing is learned from.
    pub data: Loader,
    /// What is computed.
    pub metrics: Vec<Box<dyn Metric>>,
}

/// An end of the run where evaluations get no better.
#[derive(Clone, Debug, PartialEq)]
pub struct EarlyStop {
    /// The name of the metric.
    pub metric: String,
    /// Whether more of it is better.
    pub more_is_better: bool,
    /// How many evaluations in a row may be no better than the best one before the run ends.
    pub patience: u64,
    /// By how much a better one differs.
    pub least_difference: f64,
}

impl FitOptions {
    /// Steps at the optimizers' own rates, logged every ten of them, and nothing beside.
    pub fn new(steps: u64) -> Self {
        FitOptions {
            steps,
            schedule: Schedule::Constant,
            log_every: 10,
            evaluate_every: 0,
            evaluation: None,
            early_stop: None,
            folder: None,
            save_every: 0,
            resume: false,
        }
    }

    /// Whether something is told or saved after a step, so that all before it must be well.
    pub(super) fn looks_after(&self, step: u64) -> bool {
        let every = |number: u64| number > 0 && step.is_multiple_of(number);
        every(self.log_every) || (self.evaluation.is_some() && every(self.evaluate_every)) || every(self.save_every)
    }

    /// Checks what does not depend on a step.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) naming what is wrong.
    pub(super) fn check(&self) -> Result<()> {
        let wrong = |what: &str| Err(Error::invalid_argument(what.to_string()));
        self.schedule.check()?;
        if self.log_every == 0 {
            return wrong("one step or more lie between two logs");
        }
        if self.evaluation.is_some() && self.evaluate_every == 0 {
            return wrong("one step or more lie between two evaluations");
        }
        if self.folder.is_none() && (self.resume || self.save_every > 0) {
            return wrong("checkpoints need a folder");
        }
        let Some(stop) = &self.early_stop else { return Ok(()) };
        let metrics = self.evaluation.iter().flat_map(|evaluation| &evaluation.metrics);
        if !metrics.into_iter().any(|metric| metric.name() == stop.metric) {
            return Err(Error::invalid_argument(format!("no evaluation has the metric `{}` of the early stop", stop.metric)));
        }
        match stop.least_difference.is_finite() && stop.least_difference >= 0.0 {
            true => Ok(()),
            false => wrong("the least difference of an early stop is a number of at least 0"),
        }
    }
}

impl EarlyStop {
    /// Ends a run whose metric, of which less is better, gets no better in so many evaluations.
    pub fn new(metric: impl Into<String>, patience: u64) -> Self {
        EarlyStop { metric: metric.into(), more_is_better: false, patience, least_difference: 0.0 }
    }

    /// Whether a value is better than the best one before; one that is no number never is.
    pub(super) fn is_better(&self, value: f64, best: Option<f64>) -> bool {
        match best {
            None => !value.is_nan(),
            Some(best) if self.more_is_better => value > best + self.least_difference,
            Some(best) => value < best - self.least_difference,
        }
    }
}
