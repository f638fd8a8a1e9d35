//! What the scheduler knows of a request.

use super::lane::LaneId;
use super::sequences::{Gone, Part};
use std::fmt;

/// Microseconds of the caller's clock.
pub type Time = u64;

/// What the caller knows a request by; later requests have greater numbers.
pub type RequestId = u64;

/// A request that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting<F> {
    /// Its number.
    pub id: RequestId,
    /// The model that it is for.
    pub lane: LaneId,
    /// Requests of equal forms can be computed together.
    pub form: F,
    /// How much it adds along the batch dimension.
    pub rows: usize,
    /// Its share of a batch's budget of tokens.
    pub tokens: usize,
    /// The memory it holds.
    pub bytes: usize,
    /// 1 goes first. A level waits for those before it, but not for ever: each is worth [`Limits::level`](super::Limits::level).
    pub priority: u32,
    /// When it is of no use any more.
    pub deadline: Option<Time>,
    /// The sequence that it belongs to; it is computed alone then, and after those of the sequence that came before it.
    pub sequence: Option<Part>,
}

/// Why a request is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The model is not there any more.
    Closed,
    /// As many requests wait as may; the bound.
    Requests(usize),
    /// What waits would hold more bytes than it may; the bound.
    Bytes(usize),
    /// The request has more rows than a batch; the bound.
    Rows(usize),
    /// Its deadline has passed.
    Expired,
    /// As many sequences run as may; the bound.
    Sequences(usize),
    /// It starts no sequence, and the one that it goes on with does not run; what became of it, where that is known.
    NoSequence(Option<Gone>),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Closed => f.write_str("the model is being unloaded"),
            Refusal::Requests(bound) => write!(f, "the queue is full: {bound} requests wait"),
            Refusal::Bytes(bound) => write!(f, "the queue is full: waiting requests hold at most {bound} bytes"),
            Refusal::Rows(bound) => write!(f, "expected at most {bound} rows"),
            Refusal::Expired => f.write_str("the deadline passed before the request came"),
            Refusal::Sequences(bound) => write!(f, "{bound} sequences run, as many as may"),
            Refusal::NoSequence(None) => {
                f.write_str("it does not run: expected the first request of a sequence to say that it starts")
            }
            Refusal::NoSequence(Some(Gone::Ended)) => f.write_str("it has ended: expected a request that starts another"),
            Refusal::NoSequence(Some(Gone::Idle)) => f.write_str("it was idle for too long and has ended: start it again"),
            Refusal::NoSequence(Some(Gone::Lost)) => f.write_str("what it held was lost, and it has ended: start it again"),
        }
    }
}
