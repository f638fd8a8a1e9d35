//! What a run is, as its checkpoints say it, and what another must have alike to go on from them.

use super::fit::Trainer;
use super::options::FitOptions;
use crate::error::{Error, Result};
use crate::train::checkpoint::Saved;
use crate::train::data::Loader;
use crate::train::optimizer::Optimizer;

/// One thing that is said of a run.
struct Line {
    name: String,
    text: String,
    /// Whether a run may go on where it has another.
    may_change: bool,
}

/// What is said of a run.
pub(super) struct Record(Vec<Line>);

impl Record {
    fn fixed(&mut self, name: impl Into<String>, text: impl ToString) {
        self.0.push(Line { name: name.into(), text: text.to_string(), may_change: false });
    }

    fn free(&mut self, name: impl Into<String>, text: impl ToString) {
        self.0.push(Line { name: name.into(), text: text.to_string(), may_change: true });
    }

    /// Names and texts.
    pub(super) fn texts(&self) -> impl Iterator<Item = (String, String)> {
        self.0.iter().map(|Line { name, text, .. }| (name.clone(), text.clone()))
    }

    /// Holds a run against one that was saved. Returns what is another now.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) naming what must be alike and is not.
    pub(super) fn compared(&self, saved: &Saved) -> Result<Vec<String>> {
        let mut changes = Vec::new();
        for Line { name, text, may_change } in &self.0 {
            match saved.text(name) {
                Some(before) if before == text => {}
                Some(before) if *may_change => changes.push(format!("`{name}` was {before} and is {text}")),
                // What data are is not always known.
                None if *may_change || name == FINGERPRINT => {}
                found => {
                    let found = found.unwrap_or("not there");
                    return Err(Error::invalid_input(format!("the checkpoint's `{name}` is {found}; the run has {text}")));
                }
            }
        }
        Ok(changes)
    }
}

const FINGERPRINT: &str = "data.fingerprint";

impl Trainer {
    /// What this run is.
    pub(super) fn record(&self, data: &Loader, options: &FitOptions) -> Record {
        let mut record = Record(Vec::new());
        let (step, batches) = (self.step().options(), data.options());
        record.fixed("seed", step.seed);
        record.fixed("data.seed", batches.seed);
        record.fixed("data.shuffle", DebugText(&batches.shuffle));
        record.fixed("data.examples", data.count());
        if let Some(fingerprint) = data.fingerprint() {
            record.fixed(FINGERPRINT, fingerprint);
        }
        record.fixed("data.batch_size", batches.batch_size);
        record.fixed("data.drop_last", batches.drop_last);
        record.fixed("data.buckets", DebugText(&batches.buckets));
        record.fixed("loss", &step.loss);
        record.fixed("accumulate", step.accumulate);
        record.fixed("groups", step.groups.len());
        for (number, (group, base)) in step.groups.iter().zip(self.bases()).enumerate() {
            record.fixed(format!("groups.{number}.optimizer"), kind(&group.optimizer));
            record.free(format!("groups.{number}.learning_rate"), base);
            for (name, value) in numbers(&group.optimizer) {
                record.free(format!("groups.{number}.{name}"), value);
            }
        }
        record.free("schedule", DebugText(&options.schedule));
        record.free("clip_norm", step.clip_norm.map_or("none".into(), |norm| norm.to_string()));
        record.free("guard", DebugText(&step.guard));
        record.free("adapter", self.step().adapter());
        record.free("tuning", DebugText(&step.session.tuning));
        record.free("variants", self.step().measured_variants());
        record
    }
}

/// A value as its source code names it.
struct DebugText<'a, T>(&'a T);

impl<T: std::fmt::Debug> std::fmt::Display for DebugText<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// What decides which numbers an optimizer remembers, and how it reads them.
fn kind(optimizer: &Optimizer) -> String {
    let (name, parts) = match optimizer {
        Optimizer::Sgd(sgd) => ("sgd", vec![("momentum", sgd.momentum != 0.0), ("nesterov", sgd.nesterov)]),
        Optimizer::Adam(adam) if adam.decoupled => ("adamw", vec![]),
        Optimizer::Adam(_) => ("adam", vec![]),
        Optimizer::RmsProp(rms) => ("rmsprop", vec![("momentum", rms.momentum != 0.0), ("centered", rms.centered)]),
    };
    let parts = parts.into_iter().filter(|(_, is_on)| *is_on).map(|(part, _)| format!(", {part}"));
    std::iter::once(name.to_string()).chain(parts).collect()
}

/// The numbers of an optimizer beside its learning rate.
fn numbers(optimizer: &Optimizer) -> Vec<(&'static str, f64)> {
    match optimizer {
        Optimizer::Sgd(sgd) => {
            vec![("momentum", sgd.momentum), ("dampening", sgd.dampening), ("weight_decay", sgd.weight_decay)]
        }
        Optimizer::Adam(adam) => {
            vec![("beta1", adam.betas.0), ("beta2", adam.betas.1), ("epsilon", adam.epsilon), ("weight_decay", adam.weight_decay)]
        }
        Optimizer::RmsProp(rms) => {
            vec![("alpha", rms.alpha), ("epsilon", rms.epsilon), ("weight_decay", rms.weight_decay), ("momentum", rms.momentum)]
        }
    }
}
