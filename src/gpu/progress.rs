//! Events as kernels are compiled and dispatched for the first time.

use crate::kernel::Kernel;
use std::fmt;
use std::sync::Arc;

/// What happens to the kernels of a plan before its first run is done.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum KernelEvent<'a> {
    /// Kernels are about to be compiled, several at a time.
    Compiling {
        /// How many.
        kernels: usize,
    },
    /// One of them was compiled, or refused.
    Compiled {
        /// Which.
        kernel: &'a Kernel,
        /// How long it took on the host's clock; in a browser not a number.
        microseconds: f64,
    },
    /// Kernels are about to be dispatched for the first time, each in a submission of its own.
    Dispatching {
        /// How many.
        kernels: usize,
    },
    /// One of them was dispatched. Some drivers, software adapters among them, compile it only now.
    Dispatched {
        /// Which.
        kernel: &'a Kernel,
        /// From its submission until it was done; in a browser not a number.
        microseconds: f64,
    },
}

/// A function that is called with events.
type Tell = dyn Fn(KernelEvent<'_>) + Send + Sync;

/// A function that is called, from any thread, when kernels are compiled and first dispatched; by default there is none.
///
/// With one, the first run of a plan submits the first dispatch of each new kernel alone and waits for it. Later runs do not.
#[derive(Clone, Default)]
pub struct Progress(Option<Arc<Tell>>);

impl Progress {
    /// Calls this function.
    pub fn to(tell: impl Fn(KernelEvent<'_>) + Send + Sync + 'static) -> Self {
        Progress(Some(Arc::new(tell)))
    }

    /// Whether there is a function to call.
    pub(crate) fn is_watched(&self) -> bool {
        self.0.is_some()
    }

    pub(crate) fn tell(&self, event: KernelEvent<'_>) {
        if let Some(tell) = &self.0 {
            tell(event);
        }
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_watched() { "Progress(watched)" } else { "Progress(unwatched)" })
    }
}
