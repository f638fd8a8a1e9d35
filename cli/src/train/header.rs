//! What a run is, in a few lines before it begins.

use super::configuration::{Network, OptimizerKind, ScheduleKind};
use super::prepare::Run;
use crate::failure::Result;
use std::io::Write;

/// Prints them.
pub(crate) fn print(run: &Run, out: &mut dyn Write) -> Result<()> {
    let configuration = &run.configuration;
    writeln!(out, "device       {}", run.device.name())?;
    let network = match (configuration.model.network, &configuration.model.file) {
        (Some(network), _) => network_name(network).to_string(),
        (None, Some(file)) => file.display().to_string(),
        (None, None) => String::new(),
    };
    let (tensors, numbers) = (run.parameters.len(), thousands(run.numbers() as u64));
    write!(out, "network      {network}: {numbers} parameters in {tensors} tensors")?;
    match run.frozen {
        0 => writeln!(out)?,
        frozen => writeln!(out, ", {frozen} more stay as they are")?,
    }
    let data = &run.data.training;
    let (count, batches, size) = (thousands(data.count() as u64), data.batches(), data.options().batch_size);
    write!(out, "data         {count} examples, {batches} batches of {size} an epoch")?;
    match &run.data.held_out {
        Some(held_out) => writeln!(out, "; {} held out", thousands(held_out.count() as u64))?,
        None => writeln!(out)?,
    }
    let optimizer = match configuration.optimizer.kind {
        OptimizerKind::Sgd => "sgd",
        OptimizerKind::Adam => "adam",
        OptimizerKind::AdamW => "adamw",
        OptimizerKind::RmsProp => "rmsprop",
    };
    let schedule = match configuration.schedule.kind {
        ScheduleKind::Constant => "constant",
        ScheduleKind::Step => "step by step",
        ScheduleKind::Cosine => "cosine",
        ScheduleKind::OneCycle => "one cycle",
    };
    let rate = run.step.learning_rates().first().copied().unwrap_or(0.0);
    let epochs = run.steps as f64 / run.epoch as f64;
    writeln!(out, "training     {} steps, {epochs:.1} epochs; {optimizer} at {rate}, {schedule}", thousands(run.steps))?;
    Ok(())
}

fn network_name(network: Network) -> &'static str {
    match network {
        Network::Cnn => "cnn",
        Network::Lenet => "lenet",
        Network::Seq2seq => "seq2seq",
        Network::Gpt => "gpt",
        Network::Speech => "speech",
    }
}

/// A count with commas.
fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
