//! Answers and failures in OpenAI's form.

use super::request::Format;
use crate::failure::{Code, Failure};
use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::json;

/// A failure, and the parameter that it concerns.
#[derive(Debug)]
pub(super) struct Refused {
    failure: Failure,
    parameter: Option<&'static str>,
}

impl Refused {
    pub(super) fn invalid(message: String, parameter: Option<&'static str>) -> Self {
        Refused { failure: Failure::invalid(message), parameter }
    }

    /// A failure that concerns a parameter.
    pub(super) fn of(parameter: &'static str) -> impl Fn(Failure) -> Self {
        move |failure| Refused { failure, parameter: Some(parameter) }
    }
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Refused { failure, parameter: None }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Refused { failure, parameter } = self;
        let kind = match failure.code() {
            Code::InvalidArgument | Code::TooLarge | Code::NotFound | Code::Unimplemented => "invalid_request_error",
            Code::Busy => "rate_limit_error",
            _ => "server_error",
        };
        let code = match (failure.code(), parameter) {
            (Code::NotFound, Some("model")) => "model_not_found",
            (code, _) => code.name(),
        };
        let error = json!({ "message": failure.message(), "type": kind, "param": parameter, "code": code });
        let status = StatusCode::from_u16(failure.code().status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = written(status, &json!({ "error": error }));
        if let Some(seconds) = failure.retry_after() {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

#[derive(Serialize)]
struct List<'a> {
    object: &'static str,
    data: Vec<Entry<'a>>,
    model: &'a str,
    usage: Usage,
}

#[derive(Serialize)]
struct Entry<'a> {
    object: &'static str,
    index: usize,
    embedding: Written<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Written<'a> {
    Numbers(&'a [f32]),
    Bytes(String),
}

#[derive(Serialize)]
struct Usage {
    prompt_tokens: usize,
    total_tokens: usize,
}

/// The vectors of a request.
pub(super) fn vectors(model: &str, format: Format, vectors: &[Vec<f32>], tokens: usize) -> Response {
    let mut data = Vec::with_capacity(vectors.len());
    for (index, vector) in vectors.iter().enumerate() {
        let embedding = match format {
            Format::Float => Written::Numbers(vector),
            Format::Base64 => {
                let bytes: Vec<u8> = vector.iter().flat_map(|value| value.to_le_bytes()).collect();
                Written::Bytes(STANDARD.encode(bytes))
            }
        };
        data.push(Entry { object: "embedding", index, embedding });
    }
    let usage = Usage { prompt_tokens: tokens, total_tokens: tokens };
    written(StatusCode::OK, &List { object: "list", data, model, usage })
}

fn written(status: StatusCode, value: &impl Serialize) -> Response {
    let mut response = Response::new(Body::from(serde_json::to_vec(value).unwrap_or_default()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
