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
}

impl InferRequest {
    /// Whether an output is to be returned as bytes.
    pub fn returns_bytes(&self, output: &str) -> bool {
        self.outputs.iter().find(|requested| requested.name == output).map_or(self.binary, |requested| requested.binary)
    }
}
