//! An end that somebody asks for: by Ctrl-C, or as a machine ends programs before it stops.

use crate::failure::{Failure, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What shells report of a program that Ctrl-C ended.
pub(crate) const EXIT_STATUS: u8 = 130;

/// Whether the run is to end.
#[derive(Clone, Default)]
pub(crate) struct Interrupt {
    asked: Arc<AtomicBool>,
}

impl Interrupt {
    /// From now on the first signal asks for an end, and the second one ends the program.
    pub(crate) fn watch() -> Result<Self> {
        let interrupt = Interrupt::default();
        for signal in [SIGINT, SIGTERM] {
            // In this order, so that the first one finds that nobody has asked yet.
            flag::register_conditional_shutdown(signal, EXIT_STATUS.into(), interrupt.asked.clone())
                .and_then(|_| flag::register(signal, interrupt.asked.clone()))
                .map_err(|e| Failure::message(format!("cannot watch for Ctrl-C: {e}")))?;
        }
        Ok(interrupt)
    }

    /// Whether an end was asked for.
    pub(crate) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }
}
