//! Which path is whose.

use super::reply::{JSON, Refused, error, no_method, no_path};
use super::unread::Shared;
use super::{infer, models};
use crate::caller::Caller;
use crate::failure::Failure;
use crate::metrics::Protocol;
use crate::service::Service;
use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, FromRequestParts, Request, State};
use axum::http::HeaderValue;
use axum::http::header::{CONNECTION, CONTENT_TYPE, EXPECT};
use axum::http::request::Parts;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The longest body of a request that is no inference.
const MAX_SMALL_BODY: usize = 64 << 10;

/// Paths that need no key.
const OPEN: [&str; 2] = ["/v2/health/live", "/v2/health/ready"];

/// All paths.
pub(crate) fn router(service: Arc<Service>) -> Router {
    Router::new()
        .route("/v2", get(models::server))
        .route("/v2/health/live", get(models::live))
        .route("/v2/health/ready", get(models::ready))
        .route("/v2/models/stats", get(models::all_statistics))
        .route("/v2/models/{model}", get(models::model))
        .route("/v2/models/{model}/ready", get(models::model_ready))
        .route("/v2/models/{model}/config", get(models::config))
        .route("/v2/models/{model}/stats", get(models::statistics))
        .route("/v2/models/{model}/infer", post(infer::newest))
        .route("/v2/models/{model}/versions/{version}", get(models::model))
        .route("/v2/models/{model}/versions/{version}/ready", get(models::model_ready))
        .route("/v2/models/{model}/versions/{version}/config", get(models::config))
        .route("/v2/models/{model}/versions/{version}/stats", get(models::statistics))
        .route("/v2/models/{model}/versions/{version}/infer", post(infer::versioned))
        .route("/v2/repository/index", post(models::index))
        .route("/v2/repository/refresh", post(models::refresh))
        .route("/v2/repository/models/{model}/load", post(models::load))
        .route("/v2/repository/models/{model}/unload", post(models::unload))
        .route("/metrics", get(models::metrics))
        .fallback(no_path)
        .method_not_allowed_fallback(no_method)
        .layer(DefaultBodyLimit::max(MAX_SMALL_BODY))
        .layer(from_fn_with_state(service.clone(), around))
        .with_state(service)
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        let missing = || Refused(Failure::internal("the path is open to all, and its handler asks who comes"));
        parts.extensions.get().cloned().ok_or_else(missing)
    }
}

/// Asks whoever comes for a key, and then lets them in.
async fn through_the_door(service: &Arc<Service>, mut request: Request, next: Next) -> Response {
    if OPEN.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    let known = Caller::known(service, Protocol::Http, request.headers());
    let begun = known.and_then(|caller| Ok((caller.begin()?, caller)));
    match begun {
        Ok((_turn, caller)) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(failure) => Refused(failure).into_response(),
    }
}

/// Words failures of the framework like all others, and lets no client that still sends miss them. At the end, clients are told to take another connection for the next request.
async fn around(State(service): State<Arc<Service>>, request: Request, next: Next) -> Response {
    // A client that asks before it sends a body sends none once it is refused.
    let asks_first = request.headers().contains_key(EXPECT);
    let (parts, body) = request.into_parts();
    let body = Shared::new(body);
    let request = Request::from_parts(parts, Body::new(body.clone()));
    let mut response = through_the_door(&service, request, next).await;
    let status = response.status();
    if !status.is_success() && !asks_first {
        body.drop_rest().await;
    }
    let json = response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == JSON);
    if (status.is_client_error() || status.is_server_error()) && !json {
        response = error(status, status.canonical_reason().unwrap_or("the request failed"));
    }
    if service.draining.load(Ordering::Acquire) {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
