//! Training as a whole: steps over data, with what goes on beside them.

mod callback;
mod diverged;
mod fit;
mod lines;
mod options;
mod pace;
mod progress;
mod recent;
mod record;

pub use callback::{Callback, StepLog};
pub use fit::{Ended, Fit, Trainer};
pub use lines::JsonLines;
pub use options::{EarlyStop, Evaluation, FitOptions};
