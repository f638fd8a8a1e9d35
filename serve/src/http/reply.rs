//! Answers: JSON, and failures as `{"error": ...}`.

use crate::failure::{Code, Failure};
use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;

/// The content type of all answers but tensors as bytes and metrics.
pub(super) const JSON: &str = "application/json";

/// A failure as a response.
pub(crate) struct Refused(pub(super) Failure);

/// What a handler answers with.
pub(super) type Reply<T = Response> = Result<T, Refused>;

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Refused(failure)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Refused(failure) = self;
        let status = StatusCode::from_u16(failure.code().status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = error(status, failure.message());
        if let Some(seconds) = failure.retry_after() {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if failure.code() == Code::Unauthenticated {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// JSON with a status.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    let mut response = Response::new(Body::from(serde_json::to_vec(value).unwrap_or_default()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
    response
}

pub(super) fn error(status: StatusCode, message: &str) -> Response {
    json(status, &json!({ "error": message }))
}

/// What is answered where no path fits.
pub(super) async fn no_path() -> Refused {
    Refused(Failure::new(Code::NotFound, "there is no such path"))
}

/// What is answered where a path has no such method; the router names those that it has.
pub(super) async fn no_method() -> Response {
    error(StatusCode::METHOD_NOT_ALLOWED, "the path takes no such method")
}
