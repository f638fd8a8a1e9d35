//! Which requests are computed next. The scheduler is data under a clock that its caller reads: it knows neither models nor
//! protocols, sleeps nowhere, and gives the same decisions for the same calls.

mod lane;
mod request;
mod scheduler;
mod sequences;

pub use lane::{DeviceId, LaneId, LaneLimits};
pub use request::{Refusal, RequestId, Time, Waiting};
pub use scheduler::{Batch, Limits, Scheduler, Step};
pub use sequences::{Gone, Part, RunNumber, SequenceCounts, SequenceKey, Turn};
