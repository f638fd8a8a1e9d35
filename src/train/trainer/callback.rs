//! What others do beside the steps of a run.

use crate::error::Result;
use crate::train::data::Place;
use serde_json::{Value as Json, json};
use std::io::Write;
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

/// A log as lines of JSON: one for each step that is logged, each evaluation, each epoch's end and each checkpoint, told apart by `event`. Numbers
/// that JSON has no word for are null.
#[derive(Debug)]
pub struct JsonLines<W: Write> {
    writer: W,
}

impl<W: Write> JsonLines<W> {
    /// A log that is written here, and flushed after each line.
    pub fn new(writer: W) -> Self {
        JsonLines { writer }
    }

    /// What it was written to.
    pub fn into_inner(self) -> W {
        self.writer
    }

    fn line(&mut self, line: &Json) -> Result<()> {
        writeln!(self.writer, "{line}")?;
        Ok(self.writer.flush()?)
    }
}

impl<W: Write> Callback for JsonLines<W> {
    fn logged(&mut self, log: &StepLog) -> Result<()> {
        let StepLog { step, place, loss, learning_rates, gradient_norm } = log;
        let (epoch, batch) = (place.epoch, place.batch);
        let mut line = json!({
            "event": "step", "step": step, "epoch": epoch, "batch": batch, "loss": loss, "learning_rates": learning_rates,
        });
        if let (Some(norm), Some(members)) = (gradient_norm, line.as_object_mut()) {
            members.insert("gradient_norm".into(), json!(norm));
        }
        self.line(&line)
    }

    fn evaluated(&mut self, step: u64, metrics: &[(String, f64)]) -> Result<()> {
        let metrics: serde_json::Map<String, Json> = metrics.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        self.line(&json!({ "event": "evaluation", "step": step, "metrics": metrics }))
    }

    fn epoch_ended(&mut self, step: u64, epoch: u64) -> Result<()> {
        self.line(&json!({ "event": "epoch", "step": step, "epoch": epoch }))
    }

    fn saved(&mut self, step: u64, path: &Path) -> Result<()> {
        self.line(&json!({ "event": "checkpoint", "step": step, "path": path.display().to_string() }))
    }
}
