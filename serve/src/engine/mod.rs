//! What computes: threads that ask the scheduler for batches and run them, one for each device or more, and the way in and out of it for those who
//! wait.

mod batch;
mod buffer;
mod dispatcher;
mod heartbeat;
mod prepared;
mod recent;
mod run;
mod served;
mod states;
mod ticket;
mod workers;

pub use dispatcher::{Bounds, Dispatcher};
pub use heartbeat::Heartbeat;
pub use prepared::Prepared;
pub use recent::{Load, Recent};
pub use served::{Counted, Done, Parts, Served, Statistics};
pub use ticket::Ticket;
