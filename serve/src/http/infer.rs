//! The path of inference.

use super::body::{Encoding, Parts, busy, compressed, received};
use super::reply::{JSON, Reply};
use crate::failure::{Code, Failure, Result};
use crate::metrics::Protocol;
use crate::protocol::{Body as ResponseBody, InferRequest, InferResponse, read_request, write_response};
use crate::service::Service;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use bytes::Bytes;
use std::sync::Arc;

/// The length of the JSON in front of the bytes of tensors.
const JSON_LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");

/// `POST /v2/models/M/infer`.
pub(super) async fn newest(State(service): State<Arc<Service>>, Path(model): Path<String>, request: Request) -> Reply {
    infer(&service, &model, None, request).await
}

/// `POST /v2/models/M/versions/V/infer`.
pub(super) async fn versioned(
    State(service): State<Arc<Service>>,
    Path((model, version)): Path<(String, String)>,
    request: Request,
) -> Reply {
    infer(&service, &model, Some(&version), request).await
}

/// `POST /v1/embeddings`.
pub(super) async fn embeddings(State(service): State<Arc<Service>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let mut share = service.share(0);
    let body = match &mut share {
        Ok(share) => received(&service, &parts.headers, body, share).await,
        Err(failure) => Err(failure.clone()),
    };
    crate::embeddings::answer(&service, body).await
}

async fn infer(service: &Service, model: &str, version: Option<&str>, request: Request) -> Reply {
    // Before the body is read: whoever asks for a model that is not there need not send it all.
    service.catalog.find(model, version)?;
    let (parts, body) = request.into_parts();
    let headers = parts.headers;
    let mut share = service.share(0)?;
    let body = received(service, &headers, body, &mut share).await?;
    let json_length = json_length(&headers)?;
    let request = busy(body.len(), || read_request(&body, json_length))?;
    drop(body);
    let response = service.infer(Protocol::Http, model, version, &request).await?;
    let bytes: usize = response.outputs.iter().map(|output| output.data.len()).sum();
    busy(bytes, || written(&request, &response, Encoding::accepted(&headers))).map_err(Into::into)
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
