//! `gristmill train`: a network that learns as a configuration says.

mod check;
mod configuration;
mod data;
mod dry_run;
mod fit;
mod header;
mod interrupt;
mod loss;
mod names;
mod network;
mod optimizer;
mod prepare;
mod renamed;
mod results;
mod show;

pub(crate) use interrupt::EXIT_STATUS as INTERRUPTED;

use crate::Verdict;
use crate::device::DeviceArguments;
use crate::failure::Result;
use clap::Args;
use prepare::Run;
use std::io::Write;
use std::path::PathBuf;

/// Trains a network as a configuration says: what learns, from which data, and how
///
/// The configuration is a TOML file, and its paths are relative to its folder; `examples/training` has some. A first Ctrl-C ends the run
/// after the step that it is at and saves a checkpoint, with exit status 130; a second one ends it at once.
#[derive(Args)]
#[command(after_long_help = configuration::REFERENCE)]
pub(crate) struct Train {
    /// What learns, from which data, and how
    #[arg(value_name = "CONFIG.toml")]
    configuration: PathBuf,
    #[command(flatten)]
    device: DeviceArguments,
    /// End with this step, whatever the configuration says
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    steps: Option<u64>,
    /// Read the data files from this folder
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Write checkpoints, logs and what was learned to this folder
    #[arg(long, value_name = "FOLDER")]
    output: Option<PathBuf>,
    /// Go on from the last checkpoint
    #[arg(long, conflicts_with = "fresh")]
    resume: bool,
    /// Start anew, and remove the checkpoints that are there
    #[arg(long)]
    fresh: bool,
    /// Only say what the run would take: dispatches, memory, the time of a step; write nothing
    #[arg(long)]
    dry_run: bool,
}

impl Train {
    pub(crate) fn run(&self, out: &mut dyn Write) -> Result<Verdict> {
        let mut run = Run::prepare(self)?;
        match self.dry_run {
            true => dry_run::print(&mut run, out).map(|()| Verdict::Good),
            false => fit::fit(run, self, out),
        }
    }
}
