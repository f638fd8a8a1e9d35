//! The command line of Gristmill.

mod bench;
mod cases;
mod compare;
mod device;
mod explain;
mod failure;
mod gradients;
mod image;
mod info;
mod inputs;
#[cfg(all(feature = "isa", target_os = "linux"))]
mod isa;
mod kernels;
mod npy;
mod problems;
mod profile;
mod progress;
mod random;
mod report;
mod rows;
mod run;
#[cfg(feature = "serve")]
mod serve;
mod spirv;
mod states;
mod table;
mod test;
mod train;
mod tune;
mod validate;
mod warnings;

use clap::{Parser, Subcommand};
use failure::Result;
use std::io::{self, BufWriter, Write};
use std::panic;
use std::process::ExitCode;

/// Runs neural networks on any GPU through hand-written WGSL compute kernels.
#[derive(Parser)]
#[command(
    name = "gristmill",
    version,
    about,
    after_help = "Exit status: 0 success, 1 a comparison failed, 2 any other error, 130 ended by Ctrl-C after saving."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Info(info::Info),
    Run(run::Run),
    Test(test::Test),
    Validate(validate::Validate),
    Explain(explain::Explain),
    Profile(profile::Profile),
    Bench(bench::Bench),
    Train(train::Train),
    #[cfg(feature = "serve")]
    Serve(serve::Serve),
    #[cfg(all(feature = "isa", target_os = "linux"))]
    Isa(isa::Isa),
}

/// How a command that compares came out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// Nothing to complain of.
    Good,
    /// Something lies outside the tolerance.
    Bad,
    /// It was ended from outside, and has saved what it had.
    Interrupted,
}

impl Command {
    fn run(&self, out: &mut dyn Write) -> Result<Verdict> {
        match self {
            Command::Info(command) => command.run(out),
            Command::Run(command) => command.run(out),
            Command::Test(command) => command.run(out),
            Command::Validate(command) => command.run(out),
            Command::Explain(command) => command.run(out),
            Command::Profile(command) => command.run(out),
            Command::Bench(command) => command.run(out),
            Command::Train(command) => command.run(out),
            #[cfg(feature = "serve")]
            Command::Serve(command) => command.run(out),
            #[cfg(all(feature = "isa", target_os = "linux"))]
            Command::Isa(command) => command.run(out),
        }
    }
}

/// What a caught panic said.
fn panic_text(cause: &(dyn std::any::Any + Send)) -> String {
    let text = cause.downcast_ref::<&str>().map(ToString::to_string).or_else(|| cause.downcast_ref::<String>().cloned());
    format!("internal error: {}; please report it", text.unwrap_or_else(|| "unknown".into()))
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // A defect (ours or a dependency's) ends in one line like any other error.
    panic::set_hook(Box::new(|_| ()));
    warnings::show();
    let result = panic::catch_unwind(|| {
        let mut out = BufWriter::new(io::stdout().lock());
        let verdict = arguments.command.run(&mut out)?;
        out.flush()?;
        Ok(verdict)
    });
    match result {
        Ok(Ok(Verdict::Good)) => ExitCode::SUCCESS,
        Ok(Ok(Verdict::Bad)) => ExitCode::from(1),
        Ok(Ok(Verdict::Interrupted)) => ExitCode::from(train::INTERRUPTED),
        Ok(Err(failure)) if failure::Failure::is_closed_pipe(&failure) => ExitCode::SUCCESS,
        Ok(Err(failure)) => {
            eprintln!("error: {failure}");
            ExitCode::from(2)
        }
        Err(cause) => {
            eprintln!("error: {}", panic_text(&*cause));
            ExitCode::from(2)
        }
    }
}
