//! The command line, run as a user runs it.
#![allow(unreachable_pub, reason = "a test binary exports nothing")]

mod cache;
mod cli;
#[cfg(all(target_os = "linux", feature = "isa"))]
mod isa;
#[cfg(all(unix, feature = "serve"))]
mod serve;
mod support;
mod train;
