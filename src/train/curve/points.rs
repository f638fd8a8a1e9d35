//! What a curve is drawn of: losses and metrics by the numbers of their steps.

use super::draw::{self, Picture};
use crate::error::{Error, Result};
use crate::train::checkpoint::write_whole;
use crate::train::trainer::{Callback, StepLog};
use serde_json::Value as Json;
use std::io::Write;
use std::path::Path;

/// How losses and metrics went, step by step: a callback that collects them, or what the [lines of a log](crate::train::JsonLines) say. Drawn as an SVG,
/// light or dark as the reader has it: the losses of batches with a line through them, the losses of evaluations beside them, and every other
/// metric below.
///
/// ```
/// use gristmill::train::LossCurve;
///
/// let log = r#"{"event":"step","step":1,"loss":2.5}
/// {"event":"step","step":2,"loss":1.5}
/// {"event":"evaluation","step":2,"metrics":{"loss":1.75,"accuracy":0.5}}
/// "#;
/// let curve = LossCurve::from_json_lines(log)?;
/// assert_eq!(curve.losses(), [(1, 2.5), (2, 1.5)]);
/// assert!(curve.to_svg().starts_with("<svg"));
/// # Ok::<(), gristmill::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LossCurve {
    /// What stands above the picture.
    pub title: String,
    losses: Vec<(u64, f64)>,
    metrics: Vec<(String, Vec<(u64, f64)>)>,
}

impl LossCurve {
    /// A curve of nothing yet.
    pub fn new(title: impl Into<String>) -> Self {
        LossCurve { title: title.into(), ..LossCurve::default() }
    }

    /// The curve of a log. A run that went on from an earlier step than its log had come to says anew what came after that step: what
    /// was said last counts. A last line that was broken off is left out.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) with the number of a line that is no such log's.
    pub fn from_json_lines(text: &str) -> Result<Self> {
        let mut curve = LossCurve::default();
        for (number, line) in text.split_inclusive('\n').enumerate() {
            let is_whole = line.ends_with('\n');
            let wrong = |what: &str| Error::invalid_input(format!("line {} of the log {what}", number + 1));
            match serde_json::from_str::<Json>(line) {
                Ok(line) => curve.line(&line).ok_or_else(|| wrong("is no event of a run"))?,
                Err(_) if !is_whole || line.trim().is_empty() => {}
                Err(error) => return Err(wrong(&format!("is no JSON: {error}"))),
            }
        }
        Ok(curve)
    }

    /// One line; `None` where it says no step of no event.
    fn line(&mut self, line: &Json) -> Option<()> {
        let step = line.get("step")?.as_u64()?;
        match line.get("event")?.as_str()? {
            "step" => self.add_loss(step, line.get("loss")?.as_f64().unwrap_or(f64::NAN)),
            "evaluation" => {
                let metrics = line.get("metrics")?.as_object()?;
                let number = |value: &Json| value.as_f64().unwrap_or(f64::NAN);
                metrics.iter().for_each(|(name, value)| self.add_metric(name, step, number(value)));
            }
            _ => {}
        }
        Some(())
    }

    fn add_loss(&mut self, step: u64, loss: f64) {
        add(&mut self.losses, step, loss);
    }

    fn add_metric(&mut self, name: &str, step: u64, value: f64) {
        match self.metrics.iter_mut().find(|(known, _)| known == name) {
            Some((_, points)) => add(points, step, value),
            None => self.metrics.push((name.to_string(), vec![(step, value)])),
        }
    }

    /// The losses of batches by their steps.
    pub fn losses(&self) -> &[(u64, f64)] {
        &self.losses
    }

    /// The values of each metric by the steps of evaluations.
    pub fn metrics(&self) -> &[(String, Vec<(u64, f64)>)] {
        &self.metrics
    }

    /// The picture: the text of an SVG, a function of losses and metrics alone.
    pub fn to_svg(&self) -> String {
        draw::svg(&Picture { title: &self.title, losses: &self.losses, metrics: &self.metrics })
    }

    /// Writes the picture, whole or not at all.
    ///
    /// # Errors
    /// [`Io`](crate::ErrorKind::Io) naming the file.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let svg = self.to_svg();
        write_whole(path.as_ref(), |writer| Ok(writer.write_all(svg.as_bytes())?))
    }
}

/// Adds a point; those of later steps, which a run came to before it went back, are no more.
fn add(points: &mut Vec<(u64, f64)>, step: u64, value: f64) {
    while points.last().is_some_and(|(last, _)| *last >= step) {
        points.pop();
    }
    points.push((step, value));
}

impl Callback for LossCurve {
    fn logged(&mut self, log: &StepLog) -> Result<()> {
        self.add_loss(log.step, log.loss);
        Ok(())
    }

    fn evaluated(&mut self, step: u64, metrics: &[(String, f64)]) -> Result<()> {
        metrics.iter().for_each(|(name, value)| self.add_metric(name, step, *value));
        Ok(())
    }
}
