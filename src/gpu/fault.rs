//! Errors of the device: those inside error scopes, those outside of them, and the loss of the device.

use crate::error::{Error, ErrorKind, Result};
use std::sync::{Arc, OnceLock};

/// Watches a device.
pub(super) struct Faults {
    /// Why the device was lost, once it was.
    lost: Arc<OnceLock<String>>,
}

impl Faults {
    /// Handles the device's errors. A caller's device keeps the caller's handlers.
    pub(super) fn watch(device: &wgpu::Device, owned: bool) -> Faults {
        let lost = Arc::new(OnceLock::new());
        if owned {
            let seen = lost.clone();
            device.set_device_lost_callback(move |reason, message| {
                let _ = seen.set(format!("{reason:?}: {message}"));
            });
            device.on_uncaptured_error(Arc::new(|e: wgpu::Error| log::error!("the device reports: {e}")));
        }
        Faults { lost }
    }

    pub(super) fn is_lost(&self) -> bool {
        self.lost.get().is_some()
    }

    pub(super) fn lost(&self, advice: &str) -> Error {
        let reason = self.lost.get().map_or("no reason given", String::as_str);
        Error::new(ErrorKind::DeviceLost, format!("the device was lost ({reason}); {advice}"))
    }
}

/// Error scopes around work on a device; they belong to the thread that opened them.
pub(super) struct Scopes([wgpu::ErrorScopeGuard; 3]);

impl Scopes {
    pub(super) fn open(device: &wgpu::Device) -> Scopes {
        use wgpu::ErrorFilter::{Internal, OutOfMemory, Validation};
        Scopes([Validation, OutOfMemory, Internal].map(|filter| device.push_error_scope(filter)))
    }

    /// Ends the scopes at once; the future yields the error that they caught.
    pub(super) fn close(self, doing: &'static str) -> impl Future<Output = Result<()>> + use<> {
        let [validation, memory, internal] = self.0;
        let caught = [internal.pop(), memory.pop()];
        let validation = validation.pop();
        async move {
            let mut first = None;
            for future in caught {
                first = first.or(future.await);
            }
            // An object that was made without memory is also invalid, so that the lack of memory is the better explanation.
            first = first.or(validation.await);
            first.map_or(Ok(()), |e| Err(translate(e, doing)))
        }
    }
}

fn translate(error: wgpu::Error, doing: &str) -> Error {
    match error {
        wgpu::Error::OutOfMemory { .. } => {
            let message = format!("the device ran out of memory while {doing}; use smaller inputs, or drop other sessions");
            Error::new(ErrorKind::OutOfMemory, message)
        }
        // The Display form leaves out the description.
        wgpu::Error::Validation { description, .. } | wgpu::Error::Internal { description, .. } => {
            let description: Vec<&str> = description.split_whitespace().collect();
            Error::internal(format!("the device refused while {doing}: {}", description.join(" ")))
        }
    }
}
