//! The threads of the engine: for each device as many as batches may be computed on it at a time.

use super::dispatcher::Dispatcher;
use super::run::work;
use crate::schedule::DeviceId;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

/// The most threads of a device.
const MAX_THREADS: usize = 64;

/// The threads of the engine. They stay once they are there: models come and go.
#[derive(Default)]
pub(super) struct Workers(Mutex<Vec<(DeviceId, JoinHandle<()>)>>);

impl Workers {
    /// Starts what a device lacks to so many threads. They run until the dispatcher is stopped.
    ///
    /// # Errors
    /// When the system makes no more threads.
    pub(super) fn raise(&self, dispatcher: &Arc<Dispatcher>, device: DeviceId, threads: usize) -> std::io::Result<()> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = all.iter().filter(|(other, _)| *other == device).count();
        for _ in found..threads.min(MAX_THREADS) {
            let (dispatcher, pulse) = (dispatcher.clone(), dispatcher.heartbeat().pulse());
            let thread = Builder::new().name(format!("engine {device}")).spawn(move || work(&dispatcher, device, &pulse))?;
            all.push((device, thread));
        }
        Ok(())
    }

    /// Waits for their end. Blocks.
    pub(super) fn join(&self) {
        let all = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for (_, thread) in all {
            if thread.join().is_err() {
                tracing::error!(target: "gristmill_serve", "a thread of the engine ended in a panic; this is a defect of the server");
            }
        }
    }
}
