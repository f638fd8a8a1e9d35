//! Logs as lines of JSON.

use super::callback::{Callback, StepLog};
use crate::error::{Error, Result};
use serde_json::{Value as Json, json};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

/// A log as lines of JSON: one for each step that is logged, each evaluation, each epoch's end and each checkpoint, told apart by `event`. Numbers
/// that JSON has no word for are null. [`LossCurve`](crate::train::LossCurve) draws it.
#[derive(Debug)]
pub struct JsonLines<W: Write> {
    writer: W,
}

impl JsonLines<File> {
    /// A log that goes on at the end of a file, which is made where there is none. A last line that was broken off, as by a process that was
    /// ended while it wrote, is removed.
    ///
    /// # Errors
    /// [`Io`](crate::ErrorKind::Io) naming the file.
    pub fn append(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let open = || -> std::io::Result<File> {
            let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
            let whole = whole_lines(&mut file)?;
            file.set_len(whole)?;
            file.seek(SeekFrom::End(0))?;
            Ok(file)
        };
        match open() {
            Ok(file) => Ok(JsonLines::new(file)),
            Err(error) => Err(Error::new(crate::error::ErrorKind::Io, format!("{}: {error}", path.display()))),
        }
    }
}

/// How many bytes of a file are lines with their ends.
fn whole_lines(file: &mut File) -> std::io::Result<u64> {
    let mut end = file.seek(SeekFrom::End(0))?;
    let mut block = [0; 4096];
    while end > 0 {
        let start = end.saturating_sub(block.len() as u64);
        let part = block.get_mut(..(end - start) as usize).unwrap_or_default();
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(part)?;
        if let Some(place) = part.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + place as u64 + 1);
        }
        end = start;
    }
    Ok(0)
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
        let StepLog { step, place, loss, learning_rates, .. } = log;
        let (epoch, batch) = (place.epoch, place.batch);
        let mut line = json!({
            "event": "step", "step": step, "epoch": epoch, "batch": batch, "loss": loss, "learning_rates": learning_rates,
        });
        let numbers = [
            ("gradient_norm", log.gradient_norm),
            ("elapsed_seconds", log.elapsed_seconds),
            ("steps_per_second", log.steps_per_second),
        ];
        if let Some(members) = line.as_object_mut() {
            let known = numbers.iter().filter_map(|(name, number)| Some((*name, (*number)?)));
            known.for_each(|(name, number)| drop(members.insert(name.into(), json!(number))));
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
