//! The data of the Open Inference Protocol, version 2, whatever carries it: element types, tensors as bytes with a type and a
//! shape, requests and responses, and their JSON and binary forms. Every byte of a request is hostile: nothing here allocates by
//! a number that a request states.
// Unit tests may well expect.
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unreachable,
        clippy::unwrap_used,
    )
)]

mod classes;
mod datatype;
mod elements;
mod parameters;
mod read;
mod request;
mod tensor;
mod write;

pub use classes::classify;
pub use datatype::Datatype;
pub use parameters::{Parameter, Parameters, Sequence, SequenceId, unsupported, unsupported_of_tensor};
pub use read::read_request;
pub use request::{InferRequest, InferResponse, RequestedOutput, Times};
pub use tensor::{InferTensor, MAX_TENSORS, elements};
pub use write::{Body, write_response};
