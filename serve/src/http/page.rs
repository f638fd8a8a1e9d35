//! The page for people, and the document for programs.

use super::reply::JSON;
use axum::body::Body;
use axum::http::HeaderValue;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

/// One file that fetches nothing but answers of this server.
const PAGE: &str = include_str!("page.html");

/// What can be asked, by OpenAPI.
pub(super) const DOCUMENT: &str = include_str!("openapi.json");

/// What a browser lets the page do: run the one script and show the one style that stand in it, and ask this server.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = |name: &str| {
        let inside = PAGE.split_once(&format!("<{name}>")).and_then(|(_, rest)| rest.split_once(&format!("</{name}>")));
        STANDARD.encode(Sha256::digest(inside.map_or("", |(inside, _)| inside)))
    };
    let (script, style) = (hash("script"), hash("style"));
    format!(
        "default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
});

fn text(text: &'static str, kind: &'static str, more: &[(HeaderName, &str)]) -> Response {
    let mut response = Response::new(Body::from(text));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.extend(more.iter().filter_map(|(name, value)| Some((name.clone(), HeaderValue::from_str(value).ok()?))));
    response
}

/// `GET /`.
pub(super) async fn page() -> Response {
    let more = [(CONTENT_SECURITY_POLICY, POLICY.as_str()), (REFERRER_POLICY, "no-referrer")];
    text(PAGE, "text/html; charset=utf-8", &more)
}

/// `GET /openapi.json`.
pub(super) async fn document() -> Response {
    text(DOCUMENT, JSON, &[])
}
