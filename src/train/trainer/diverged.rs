//! What a run does where a batch is not finite: it goes back to before that batch, and says what went wrong.

use super::fit::Trainer;
use super::recent::Recent;
use crate::error::{Error, Result};
use crate::train::data::{Batch, Loader};
use crate::train::step::NonFinite;
use std::fmt::Write;

/// How many examples of a batch are named.
const NAMED: usize = 16;

impl Trainer {
    /// Looks whether all recent batches were learned from.
    ///
    /// # Errors
    /// [`Diverged`](crate::ErrorKind::Diverged) where they were not; step and data stand before the first of those, then.
    pub(super) async fn look(&mut self, data: &mut Loader, inputs: &[String], recent: &mut Recent) -> Result<()> {
        if recent.are_none() {
            return Ok(());
        }
        let batches = self.step().held_back().await?;
        if batches == 0 {
            recent.clear();
            return Ok(());
        }
        let place = recent.before(batches);
        self.step_mut().go_back().await?;
        let step = self.step().steps() + 1;
        let Some(place) = place else {
            return Err(Error::diverged(format!("step {step}, before this run, had a loss or gradients that are not finite")));
        };
        data.go_to(place)?;
        let batch = data.next_batch();
        data.go_to(place)?;
        let batch = batch?;
        let found = self.step().find_non_finite(&batch.views(inputs)).await;
        Err(diverged(step, &batch, found))
    }
}

/// What went wrong in a step with a batch.
fn diverged(step: u64, batch: &Batch, found: Result<Option<NonFinite>>) -> Error {
    let mut text = format!(
        "the loss or the gradients of step {step} are not finite, by batch {} of epoch {} (examples {}): ",
        batch.place.batch,
        batch.place.epoch,
        named(&batch.examples)
    );
    let found = match found {
        Ok(Some(found)) => found,
        Ok(None) => {
            text += "computed again, node by node, they are; what fuses nodes, or rounds otherwise, makes the difference";
            return Error::diverged(text);
        }
        Err(error) => {
            let _ = write!(text, "which value it is cannot be said: {error}");
            return Error::diverged(text);
        }
    };
    let _ = write!(text, "{found}");
    if !found.rows.is_empty() && found.ty.shape.first() == Some(&batch.examples.len()) {
        let examples: Vec<usize> = found.rows.iter().filter_map(|row| batch.examples.get(*row).copied()).collect();
        let _ = write!(text, "; these are of examples {}", named(&examples));
    }
    text += "; the step holds what it held before that batch";
    let error = Error::diverged(text);
    match found.node {
        Some(node) => error.at(node),
        None => error,
    }
}

/// The first of some numbers.
fn named(numbers: &[usize]) -> String {
    let first: Vec<String> = numbers.iter().take(NAMED).map(ToString::to_string).collect();
    match numbers.len().checked_sub(NAMED) {
        Some(rest) if rest > 0 => format!("{} and {rest} more", first.join(", ")),
        _ => first.join(", "),
    }
}
