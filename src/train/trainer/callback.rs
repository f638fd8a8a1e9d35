//! What others do beside the steps of a run.

use crate::error::Result;
use crate::train::data::Place;
use std::path::Path;

/// What is logged of a step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepLog {
    /// How many updates there were, with this one.
    pub step: u64,
    /// The batch that comes next.
    pub place: Place,
    /// The loss of the last batch, before the update.
    pub loss: f64,
    /// Of each group, at this step.
    pub learning_rates: Vec<f64>,
    /// The norm of all gradients, where they are clipped.
    pub gradient_norm: Option<f64>,
    /// Seconds since the run began, with what was evaluated and saved in between; `None` in a browser.
    pub elapsed_seconds: Option<f64>,
    /// How many steps were made in a second since the last log.
    pub steps_per_second: Option<f64>,
}

/// What somebody does beside the steps of a run. An error ends it.
pub trait Callback {
    /// A step was made; `step` counts it.
    ///
    /// # Errors
    /// The callback's own.
    fn stepped(&mut self, step: u64) -> Result<()> {
        let _ = step;
        Ok(())
    }

    /// A step is logged.
    ///
    /// # Errors
    /// The callback's own.
    fn logged(&mut self, log: &StepLog) -> Result<()> {
        let _ = log;
        Ok(())
    }

    /// All metrics were evaluated after a step.
    ///
    /// # Errors
    /// The callback's own.
    fn evaluated(&mut self, step: u64, metrics: &[(String, f64)]) -> Result<()> {
        let _ = (step, metrics);
        Ok(())
    }

    /// All batches of an epoch have been, after a step.
    ///
    /// # Errors
    /// The callback's own.
    fn epoch_ended(&mut self, step: u64, epoch: u64) -> Result<()> {
        let _ = (step, epoch);
        Ok(())
    }

    /// A checkpoint was saved after a step.
    ///
    /// # Errors
    /// The callback's own.
    fn saved(&mut self, step: u64, path: &Path) -> Result<()> {
        let _ = (step, path);
        Ok(())
    }

    /// Whether the run is to end; asked after each step.
    fn stops(&self) -> bool {
        false
    }
}
