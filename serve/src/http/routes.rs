//! Which path is whose.

use super::reply::{JSON, Refused, error, no_method, no_path};
use super::unread::Shared;
use super::{infer, models, page};
use crate::caller::Caller;
use crate::failure::Failure;
use crate::metrics::Protocol;
use crate::service::Service;
use crate::trace::{TRACE_PARENT, Trace};
use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, FromRequestParts, Request, State};
use axum::http::header::{CONNECTION, CONTENT_TYPE, EXPECT};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The longest body of a request that is no inference.
const MAX_SMALL_BODY: usize = 64 << 10;

/// Paths that need no key.
const OPEN: [&str; 4] = ["/", "/openapi.json", "/v2/health/live", "/v2/health/ready"];

/// All paths: by which method, and who answers. `openapi.json` describes each.
fn routes() -> Vec<(&'static str, &'static str, MethodRouter<Arc<Service>>)> {
    vec![
        ("get", "/", get(page::page)),
        ("get", "/openapi.json", get(page::document)),
        ("get", "/v2", get(models::server)),
        ("get", "/v2/health/live", get(models::live)),
        ("get", "/v2/health/ready", get(models::ready)),
        ("get", "/v2/models/stats", get(models::all_statistics)),
        ("get", "/v2/models/{model}", get(models::model)),
        ("get", "/v2/models/{model}/ready", get(models::model_ready)),
        ("get", "/v2/models/{model}/config", get(models::config)),
        ("get", "/v2/models/{model}/stats", get(models::statistics)),
        ("post", "/v2/models/{model}/infer", post(infer::newest)),
        ("get", "/v2/models/{model}/versions/{version}", get(models::model)),
        ("get", "/v2/models/{model}/versions/{version}/ready", get(models::model_ready)),
        ("get", "/v2/models/{model}/versions/{version}/config", get(models::config)),
        ("get", "/v2/models/{model}/versions/{version}/stats", get(models::statistics)),
        ("post", "/v2/models/{model}/versions/{version}/infer", post(infer::versioned)),
        ("post", "/v2/repository/index", post(models::index)),
        ("post", "/v2/repository/refresh", post(models::refresh)),
        ("post", "/v2/repository/models/{model}/load", post(models::load)),
        ("post", "/v2/repository/models/{model}/unload", post(models::unload)),
        ("post", "/v1/embeddings", post(infer::embeddings)),
        ("get", "/metrics", get(models::metrics)),
    ]
}

/// What answers all paths.
pub(crate) fn router(service: Arc<Service>) -> Router {
    let all = routes().into_iter().fold(Router::new(), |router, (_, path, handler)| router.route(path, handler));
    all.fallback(no_path)
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
    let trace = Trace::of(request.headers());
    let known = Caller::known(service, Protocol::Http, request.headers(), trace);
    let begun = known.and_then(|caller| Ok((caller.begin()?, caller)));
    let mut response = match begun {
        Ok((_turn, caller)) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(failure) => Refused(failure).into_response(),
    };
    response.headers_mut().extend(trace.header().map(|value| (HeaderName::from_static(TRACE_PARENT), value)));
    response
}

/// Words failures of the framework like all others, and lets no client that still sends miss them. At the end, clients are told to take another
/// connection for the next request.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Code;
    use serde_json::Value;
    use std::collections::BTreeSet;

    fn document() -> Value {
        serde_json::from_str(page::DOCUMENT).expect("it is JSON")
    }

    /// Each operation of the document: its method, its path and what is said of it.
    fn operations(document: &Value) -> Vec<(String, String, Value)> {
        let paths = document["paths"].as_object().expect("there are paths");
        let of = |(path, item): (&String, &Value)| {
            let methods = item.as_object().expect("it has operations").clone().into_iter();
            let path = path.clone();
            methods.filter(|(name, _)| name != "parameters").map(move |(method, operation)| (method, path.clone(), operation))
        };
        paths.iter().flat_map(of).collect()
    }

    #[test]
    fn each_path_stands_in_the_document_and_each_of_the_document_is_there() {
        let documented: BTreeSet<(String, String)> =
            operations(&document()).into_iter().map(|(method, path, _)| (method, path)).collect();
        let routed: BTreeSet<(String, String)> =
            routes().into_iter().map(|(method, path, _)| (method.to_string(), path.to_string())).collect();
        assert_eq!(documented, routed);
    }

    #[test]
    fn the_document_says_who_needs_a_key_and_which_codes_there_are() {
        let document = document();
        let mut names = BTreeSet::new();
        for (_, path, operation) in operations(&document) {
            let open = operation.get("security").is_some_and(|security| security.as_array().is_some_and(Vec::is_empty));
            assert_eq!(open, OPEN.contains(&&*path), "{path}");
            assert!(names.insert(operation["operationId"].as_str().expect("it has a name").to_string()), "{path}");
            for status in operation["responses"].as_object().expect("it has responses").keys() {
                let known = Code::ALL.iter().any(|code| code.status().to_string() == *status);
                assert!(known || status == "200", "{path}: {status}");
            }
        }
    }

    #[test]
    fn what_the_document_refers_to_is_in_it() {
        fn references(value: &Value, found: &mut Vec<String>) {
            match value {
                Value::Object(map) => {
                    found.extend(map.get("$ref").and_then(Value::as_str).map(String::from));
                    map.values().for_each(|value| references(value, found));
                }
                Value::Array(list) => list.iter().for_each(|value| references(value, found)),
                _ => {}
            }
        }
        let document = document();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 50);
        for reference in &found {
            let pointer = reference.strip_prefix('#').expect("it is of this document");
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
        for (kind, parts) in document["components"].as_object().expect("there are some") {
            for name in parts.as_object().expect("they have names").keys().filter(|_| kind != "securitySchemes") {
                assert!(found.contains(&format!("#/components/{kind}/{name}")), "{kind} {name} is used");
            }
        }
    }
}
