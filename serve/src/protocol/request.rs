//! Requests and responses.

use super::parameters::Sequence;
use super::tensor::InferTensor;
use std::time::Duration;

/// An output that a request asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestedOutput {
    /// Its name.
    pub name: String,
    /// Whether it is to be returned as bytes behind the JSON; over HTTP only.
    pub binary: bool,
    /// How many of the greatest elements are to be returned instead of the tensor, as text; 0 for the tensor.
    pub classes: usize,
}

/// A request for one run of a model, whatever carried it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InferRequest {
    /// What the client calls the request; empty for nothing. The response repeats it.
    pub id: String,
    /// What goes in.
    pub inputs: Vec<InferTensor>,
    /// The outputs to return; none of them named asks for all.
    pub outputs: Vec<RequestedOutput>,
    /// Whether outputs that are not named are to be returned as bytes.
    pub binary: bool,
    /// 1 goes first; none is the model's usual level.
    pub priority: Option<u32>,
    /// How long it may wait until it is computed.
    pub timeout: Option<Duration>,
    /// The sequence that it belongs to, where it says anything of one.
    pub sequence: Option<Sequence>,
    /// Whether the times of the answer's parts are to be returned.
    pub trace: bool,
}

/// How long the parts of an answer took, but for its writing, which whoever writes it knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// Waiting in the queue.
    pub queue: Duration,
    /// Joining the inputs of the batch.
    pub joining: Duration,
    /// Computing the batch.
    pub computing: Duration,
    /// Taking its outputs apart.
    pub parting: Duration,
}

impl Times {
    /// Each part by its name among the parameters of a response, in nanoseconds.
    pub fn named(&self, serialising: Duration) -> [(&'static str, u64); 5] {
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        [
            ("queue_ns", nanoseconds(self.queue)),
            ("joining_ns", nanoseconds(self.joining)),
            ("computing_ns", nanoseconds(self.computing)),
            ("parting_ns", nanoseconds(self.parting)),
            ("serialising_ns", nanoseconds(serialising)),
        ]
    }
}

/// What a run gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InferResponse {
    /// The model's name.
    pub model: String,
    /// The version that did it.
    pub version: String,
    /// What the request was called.
    pub id: String,
    /// What came out, in the order that was asked for.
    pub outputs: Vec<InferTensor>,
    /// How long its parts took, where the request asked for it.
    pub times: Option<Times>,
}

impl InferRequest {
    /// Whether an output is to be returned as bytes.
    pub fn returns_bytes(&self, output: &str) -> bool {
        self.outputs.iter().find(|requested| requested.name == output).map_or(self.binary, |requested| requested.binary)
    }
}
