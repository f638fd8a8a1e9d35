//! Training as a whole: steps over data, with what goes on beside them.

mod callback;
mod fit;
mod options;
mod progress;

pub use callback::{Callback, JsonLines, StepLog};
pub use fit::{Ended, Fit, Trainer};
pub use options::{EarlyStop, Evaluation, FitOptions};
