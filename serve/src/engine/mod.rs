//! What computes: a thread that asks the scheduler for batches and runs them, and the way in and out of it for those who wait.

mod buffer;
mod dispatcher;
mod heartbeat;
mod prepared;
mod run;
mod served;

pub use dispatcher::{Bounds, Dispatcher, Ticket};
pub use heartbeat::Heartbeat;
pub use prepared::Prepared;
pub use run::start;
pub use served::{Counted, Done, Served, Statistics};
