//! Requests and responses of gRPC as those of the protocol.

use super::contents;
use super::messages::{
    Choice, InferInputTensor, InferOutputTensor, InferParameter, InferRequestedOutput, ModelInferRequest, ModelInferResponse,
};
use crate::failure::{Code, Failure, Result};
use crate::protocol::{
    Datatype, InferRequest, InferResponse, InferTensor, MAX_TENSORS, Parameter, Parameters, RequestedOutput, elements, unsupported,
    unsupported_of_tensor,
};
use bytes::Bytes;
use std::collections::HashMap;
use std::time::Instant;
use tonic::Status;

/// A failure as gRPC has it.
pub(super) fn status(failure: &Failure) -> Status {
    let code = match failure.code() {
        Code::InvalidArgument => tonic::Code::InvalidArgument,
        Code::Unauthenticated => tonic::Code::Unauthenticated,
        Code::Forbidden => tonic::Code::PermissionDenied,
        Code::NotFound => tonic::Code::NotFound,
        Code::TooLarge | Code::Busy => tonic::Code::ResourceExhausted,
        Code::Internal => tonic::Code::Internal,
        Code::Unimplemented => tonic::Code::Unimplemented,
        Code::Unavailable => tonic::Code::Unavailable,
        Code::Expired => tonic::Code::DeadlineExceeded,
    };
    let mut status = Status::new(code, failure.message());
    if let Some(seconds) = failure.retry_after() {
        // What clients that try again by themselves look for, in milliseconds.
        status.metadata_mut().insert("grpc-retry-pushback-ms", (u64::from(seconds) * 1000).into());
    }
    status
}

/// Reads a request.
pub(super) fn request(message: ModelInferRequest) -> Result<InferRequest> {
    for (what, count) in [("inputs", message.inputs.len()), ("outputs", message.outputs.len())] {
        if count > MAX_TENSORS {
            return Err(Failure::new(Code::TooLarge, format!("expected at most {MAX_TENSORS} {what}, found {count}")));
        }
    }
    let parameters = parameters(message.parameters)?;
    unsupported(&parameters)?;
    let raw = message.raw_input_contents;
    if !raw.is_empty() && raw.len() != message.inputs.len() {
        let (expected, found) = (message.inputs.len(), raw.len());
        return Err(Failure::invalid(format!("raw_input_contents: expected {expected}, one for each input, found {found}")));
    }
    let mut raw = raw.into_iter();
    let inputs = message.inputs.into_iter().map(|tensor| input(tensor, raw.next())).collect::<Result<_>>()?;
    Ok(InferRequest {
        id: message.id,
        inputs,
        outputs: message.outputs.into_iter().map(output).collect::<Result<_>>()?,
        binary: true,
        priority: parameters.priority()?,
        timeout: parameters.timeout()?,
        sequence: parameters.sequence()?,
        trace: parameters.flag("trace")?.unwrap_or(false),
    })
}

fn parameters(given: HashMap<String, InferParameter>) -> Result<Parameters> {
    let value = |(name, parameter): (String, InferParameter)| {
        let value = match parameter.choice {
            Some(Choice::Bool(flag)) => Parameter::Bool(flag),
            Some(Choice::Int64(number)) => u64::try_from(number).map_or(Parameter::Signed(number), Parameter::Unsigned),
            Some(Choice::Uint64(number)) => Parameter::Unsigned(number),
            Some(Choice::Double(number)) => Parameter::Float(number),
            Some(Choice::String(text)) => Parameter::Text(text),
            None => return Err(Failure::invalid("expected a value for each parameter")),
        };
        Ok((name, value))
    };
    Ok(Parameters(given.into_iter().map(value).collect::<Result<_>>()?))
}

fn input(message: InferInputTensor, raw: Option<Bytes>) -> Result<InferTensor> {
    let InferInputTensor { name, datatype, shape, parameters: given, contents: typed } = message;
    unsupported_of_tensor(&parameters(given)?)?;
    let datatype = Datatype::named(&datatype).map_err(|e| e.within(&format!("input `{name}`")))?;
    let extent = |extent: &i64| usize::try_from(*extent);
    let negative = |_| Failure::invalid(format!("input `{name}`: expected extents from 0 on, found {shape:?}"));
    let extents = shape.iter().map(extent).collect::<Result<Vec<_>, _>>().map_err(negative)?;
    elements(&name, &extents)?;
    let data = match (raw, typed) {
        (Some(_), Some(_)) => {
            return Err(Failure::invalid(format!("input `{name}`: expected either contents or raw_input_contents, found both")));
        }
        (Some(raw), None) => raw,
        (None, Some(typed)) => contents::bytes(&name, datatype, &typed)?,
        (None, None) => Bytes::new(),
    };
    InferTensor::new(name, datatype, extents, data)
}

fn output(message: InferRequestedOutput) -> Result<RequestedOutput> {
    let parameters = parameters(message.parameters)?;
    unsupported_of_tensor(&parameters)?;
    let classes = parameters.number("classification")?.unwrap_or(0);
    Ok(RequestedOutput { name: message.name, binary: true, classes: usize::try_from(classes).unwrap_or(usize::MAX) })
}

/// Writes a response; elements are bytes, those of the run.
pub(super) fn response(response: InferResponse) -> ModelInferResponse {
    let start = Instant::now();
    let mut raw_output_contents = Vec::new();
    let mut outputs = Vec::new();
    for InferTensor { name, datatype, shape, data } in response.outputs {
        let shape = shape.into_iter().map(|extent| i64::try_from(extent).unwrap_or(i64::MAX)).collect();
        let (parameters, contents) = (HashMap::new(), None);
        outputs.push(InferOutputTensor { name, datatype: datatype.name().into(), shape, parameters, contents });
        raw_output_contents.push(data);
    }
    let number = |number: u64| InferParameter { choice: Some(Choice::Int64(i64::try_from(number).unwrap_or(i64::MAX))) };
    let times = response.times.iter().flat_map(|times| times.named(start.elapsed()));
    ModelInferResponse {
        model_name: response.model,
        model_version: response.version,
        id: response.id,
        parameters: times.map(|(name, time)| (name.to_string(), number(time))).collect(),
        outputs,
        raw_output_contents,
    }
}
