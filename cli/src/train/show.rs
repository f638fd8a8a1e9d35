//! A run as it goes on: a bar where somebody looks at a terminal, lines elsewhere.

use super::interrupt::Interrupt;
use crate::table::number;
use gristmill::Result;
use gristmill::train::{Callback, StepLog};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How much the latest steps count in the speed of a run, beside those before.
const LATEST: f64 = 0.3;

/// Tells of a run, and ends it when that is asked for.
pub(crate) struct Show<'a> {
    out: &'a mut dyn Write,
    /// This bar, and that of kernels that are made ready.
    bars: MultiProgress,
    bar: ProgressBar,
    /// The step that the run ends with.
    steps: u64,
    interrupt: Interrupt,
    /// Steps a second.
    speed: Option<f64>,
    is_warm: bool,
    /// The last loss.
    pub(crate) loss: Option<f64>,
    /// The last checkpoint.
    pub(crate) saved: Option<(u64, PathBuf)>,
    /// What kept the output from being written.
    pub(crate) failed: Option<io::Error>,
}

impl<'a> Show<'a> {
    /// Of a run that ends with this step. Where stderr is no terminal, there is no bar.
    pub(crate) fn new(out: &'a mut dyn Write, bars: &MultiProgress, steps: u64, interrupt: Interrupt) -> Self {
        let bar = bars.add(ProgressBar::new(steps));
        if let Ok(style) = ProgressStyle::with_template("{bar:24} {pos}/{len} {msg}") {
            bar.set_style(style);
        }
        Show { out, bars: bars.clone(), bar, steps, interrupt, speed: None, is_warm: false, loss: None, saved: None, failed: None }
    }

    /// A line, above the bar. A reader that went away ends the run.
    pub(crate) fn line(&mut self, text: &str) {
        if self.failed.is_none() {
            let out = &mut self.out;
            self.failed = self.bars.suspend(|| writeln!(out, "{text}").and_then(|()| out.flush())).err();
        }
    }

    /// Takes the bar away.
    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }

    /// Steps in a second and the time that is left, once they are known.
    fn speed(&mut self, log: &StepLog) -> String {
        let Some(latest) = log.steps_per_second else { return String::new() };
        let speed = self.speed.map_or(latest, |speed| speed + LATEST * (latest - speed));
        // Until the first log a run is mostly planning and compiling.
        self.speed = self.is_warm.then_some(speed);
        self.is_warm = true;
        let left = seconds(self.steps.saturating_sub(log.step) as f64 / speed);
        format!(", {} steps/s, {} left", few(speed), clock(left))
    }
}

impl Callback for Show<'_> {
    fn stepped(&mut self, step: u64) -> Result<()> {
        self.bar.set_position(step);
        Ok(())
    }

    fn logged(&mut self, log: &StepLog) -> Result<()> {
        self.loss = Some(log.loss);
        let rate = log.learning_rates.first().copied().unwrap_or(0.0);
        let norm = log.gradient_norm.map(|norm| format!(", gradient norm {}", number(norm))).unwrap_or_default();
        let text = format!("loss {}, rate {rate:.2e}{norm}{}", number(log.loss), self.speed(log));
        match self.bar.is_hidden() {
            true => self.line(&format!("step {}/{}: {text}", log.step, self.steps)),
            false => self.bar.set_message(text),
        }
        Ok(())
    }

    fn evaluated(&mut self, step: u64, metrics: &[(String, f64)]) -> Result<()> {
        self.line(&format!("step {step}/{}, held out: {}", self.steps, told(metrics)));
        Ok(())
    }

    fn saved(&mut self, step: u64, path: &Path) -> Result<()> {
        self.saved = Some((step, path.to_path_buf()));
        Ok(())
    }

    fn stops(&self) -> bool {
        self.interrupt.is_asked() || self.failed.is_some()
    }
}

/// Metrics in words.
pub(crate) fn told(metrics: &[(String, f64)]) -> String {
    /// These are parts of a whole.
    const PARTS: [&str; 3] = ["accuracy", "exact", "token_error_rate"];
    let one = |(name, value): &(String, f64)| {
        let words = name.replace('_', " ");
        match PARTS.contains(&name.as_str()) {
            true => format!("{words} {:.2} %", value * 100.0),
            false => format!("{words} {}", number(*value)),
        }
    };
    metrics.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// A number of things in a second.
pub(crate) fn few(count: f64) -> String {
    if count >= 100.0 { format!("{count:.0}") } else { format!("{count:.3}").chars().take(4).collect() }
}

/// A time of so many seconds; the longest there is for what is no such number.
pub(crate) fn seconds(count: f64) -> Duration {
    Duration::try_from_secs_f64(count).unwrap_or(Duration::MAX)
}

/// A time as clocks show it.
pub(crate) fn clock(time: Duration) -> String {
    let seconds = time.as_secs_f64().round() as u64;
    match seconds / 3600 {
        0 => format!("{}:{:02}", seconds / 60, seconds % 60),
        hours => format!("{hours}:{:02}:{:02}", seconds / 60 % 60, seconds % 60),
    }
}
