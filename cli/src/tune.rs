//! `--tune`: how kernel variants are chosen.

use clap::{Args, ValueEnum};
use gristmill::{Options, Tuning};

/// The option of every command that makes plans.
#[derive(Args, Debug)]
pub(crate) struct TuneArguments {
    /// How to choose among the variants of a kernel: by the table for the adapter's class, by measuring them once for shapes like
    /// these, or by measuring them again; results are kept in the user's cache folder
    #[arg(long, value_name = "off|on|force", value_enum, hide_possible_values = true, default_value = "off")]
    tune: Choice,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Choice {
    Off,
    On,
    Force,
}

impl TuneArguments {
    /// Options of a session with what was asked for.
    pub(crate) fn options(&self) -> Options {
        let tuning = match self.tune {
            Choice::Off => Tuning::Off,
            Choice::On => Tuning::On,
            Choice::Force => Tuning::Forced,
        };
        Options { tuning, ..Options::default() }
    }
}
