//! The path of inference.

use super::body::{Encoding, LONG, Parts, compressed, decompressed, read};
use super::models::slow;
use super::reply::{JSON, Reply};
use crate::caller::Caller;
use crate::failure::{Code, Failure, Result};
use crate::protocol::{Body as ResponseBody, InferRequest, InferResponse, read_request, write_response};
use axum::body::Body;
use axum::extract::{Path, Request};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use bytes::Bytes;
use std::time::Instant;

/// The length of the JSON in front of the bytes of tensors.
const JSON_LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");

/// `POST /v2/models/M/infer`.
pub(super) async fn newest(caller: Caller, Path(model): Path<String>, request: Request) -> Reply {
    infer(&caller, &model, None, request).await
}

/// `POST /v2/models/M/versions/V/infer`.
pub(super) async fn versioned(caller: Caller, Path((model, version)): Path<(String, String)>, request: Request) -> Reply {
    infer(&caller, &model, Some(&version), request).await
}

async fn infer(caller: &Caller, model: &str, version: Option<&str>, request: Request) -> Reply {
    // Before the body is read: whoever asks for a model that is not there need not send it all.
    caller.find(model, version)?;
    let (parts, body) = request.into_parts();
    let headers = parts.headers;
    let settings = &caller.service().settings;
    let limit = settings.max_body;
    let json_length = json_length(&headers)?;
    let mut share = caller.share(0)?;
    let body = read(&headers, body, limit, json_length.unwrap_or(0), &mut share);
    let body = tokio::time::timeout(settings.read_limit, body);
    let mut body = body.await.map_err(|_| slow(settings.read_limit))??;
    if let Some(encoding) = Encoding::of_content(&headers)? {
        body = busy(body.len(), || decompressed(&body, encoding, limit, &mut share))?;
    }
    let request = busy(body.len(), || read_request(&body, json_length))?;
    drop(body);
    let response = caller.infer(model, version, &request).await?;
    let bytes: usize = response.outputs.iter().map(|output| output.data.len()).sum();
    let start = Instant::now();
    let written = busy(bytes, || written(&request, &response, Encoding::accepted(&headers)))?;
    caller.service().metrics.serialised(&response.model, start.elapsed());
    Ok(written)
}

/// Does work that takes long for long bodies.
fn busy<T>(length: usize, work: impl FnOnce() -> T) -> T {
    if length < LONG { work() } else { tokio::task::block_in_place(work) }
}

fn json_length(headers: &HeaderMap) -> Result<Option<usize>> {
    let Some(value) = headers.get(&JSON_LENGTH) else { return Ok(None) };
    let number = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    let invalid = || Failure::new(Code::InvalidArgument, "Inference-Header-Content-Length: expected a number of bytes");
    number.map(Some).ok_or_else(invalid)
}

fn written(request: &InferRequest, response: &InferResponse, encoding: Option<Encoding>) -> Result<Response> {
    let ResponseBody { parts, json_length } = write_response(request, response)?;
    let compressed = encoding.and_then(|encoding| Some((encoding, compressed(&parts, encoding)?)));
    let (body, encoding) = match compressed {
        Some((encoding, bytes)) => (Body::from(bytes), Some(encoding)),
        None => (Body::new(Parts(parts.into_iter().filter(|part: &Bytes| !part.is_empty()).collect())), None),
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    let kind = if json_length.is_some() { "application/octet-stream" } else { JSON };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Some(length) = json_length {
        headers.insert(JSON_LENGTH, HeaderValue::from(length));
    }
    if let Some(encoding) = encoding {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding.name()));
    }
    Ok(response)
}
