//! Which path is whose.

use super::reply::{JSON, error, no_method, no_path};
use super::{infer, models};
use crate::service::Service;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::HeaderValue;
use axum::http::header::{CONNECTION, CONTENT_TYPE};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The longest body of a request that is no inference.
const MAX_SMALL_BODY: usize = 64 << 10;

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
        .route("/v1/embeddings", post(infer::embeddings))
        .route("/metrics", get(models::metrics))
        .fallback(no_path)
        .method_not_allowed_fallback(no_method)
        .layer(DefaultBodyLimit::max(MAX_SMALL_BODY))
        .layer(from_fn_with_state(service.clone(), around))
        .with_state(service)
}

/// Words failures of the framework like all others. At the end, clients are told to take another connection for the next request.
async fn around(State(service): State<Arc<Service>>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let status = response.status();
    let json = response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == JSON);
    if (status.is_client_error() || status.is_server_error()) && !json {
        response = error(status, status.canonical_reason().unwrap_or("the request failed"));
    }
    if service.draining.load(Ordering::Acquire) {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
