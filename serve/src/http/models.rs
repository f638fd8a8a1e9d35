//! The paths that describe: server, models, repository.

use super::reply::{Reply, json};
use crate::catalog::IndexEntry;
use crate::describe;
use crate::engine::Served;
use crate::failure::{Failure, Result};
use crate::service::Service;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use bytes::Bytes;
use serde_json::{Value, json};
use std::sync::Arc;

type Server = State<Arc<Service>>;

/// The path of a model, and perhaps of a version.
type Named = Path<Vec<String>>;

/// A path that says yes or no: 200 or 503.
fn healthy(yes: bool, body: Value) -> Response {
    json(if yes { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, &body)
}

pub(super) async fn server() -> Response {
    json(StatusCode::OK, &describe::server())
}

pub(super) async fn live(State(service): Server) -> Response {
    let live = service.lives();
    healthy(live, json!({ "live": live }))
}

pub(super) async fn ready(State(service): Server) -> Response {
    let ready = service.is_ready();
    healthy(ready, json!({ "ready": ready }))
}

fn split(parts: &[String]) -> Result<(&str, Option<&str>)> {
    match parts {
        [model] => Ok((model, None)),
        [model, version] => Ok((model, Some(version))),
        _ => Err(Failure::internal("the path of a model has one or two names")),
    }
}

pub(super) async fn model_ready(State(service): Server, Path(parts): Named) -> Reply {
    let (model, version) = split(&parts)?;
    let ready = service.model_is_ready(model, version)?;
    Ok(healthy(ready, json!({ "name": model, "ready": ready })))
}

pub(super) async fn model(State(service): Server, Path(parts): Named) -> Reply {
    let (model, version) = split(&parts)?;
    Ok(json(StatusCode::OK, &describe::model(&service.catalog.find(model, version)?.model)))
}

pub(super) async fn config(State(service): Server, Path(parts): Named) -> Reply {
    let (model, version) = split(&parts)?;
    Ok(json(StatusCode::OK, &describe::config(&service.catalog.find(model, version)?.model)))
}

pub(super) async fn statistics(State(service): Server, Path(parts): Named) -> Reply {
    let (model, version) = split(&parts)?;
    let served = service.catalog.find(model, version)?;
    Ok(json(StatusCode::OK, &json!({ "model_stats": [describe::statistics(&served, service.dispatcher.sequences(&served))] })))
}

pub(super) async fn all_statistics(State(service): Server) -> Response {
    let of = |served: &Arc<Served>| describe::statistics(served, service.dispatcher.sequences(served));
    let all: Vec<Value> = service.catalog.served().iter().map(of).collect();
    json(StatusCode::OK, &json!({ "model_stats": all }))
}

pub(super) async fn index(State(service): Server, body: Bytes) -> Reply {
    let request = object(&body)?;
    let only_ready = request.get("ready").and_then(Value::as_bool).unwrap_or(false);
    let entries = service.catalog.index().into_iter().filter(|entry| !only_ready || entry.state == crate::catalog::State::Ready);
    let lines: Vec<Value> = entries.map(line).collect();
    Ok(json(StatusCode::OK, &lines))
}

fn line(entry: IndexEntry) -> Value {
    let version = entry.version.map(|version| version.to_string()).unwrap_or_default();
    json!({ "name": entry.name, "version": version, "state": entry.state.name(), "reason": entry.reason })
}

/// The body of a request that may be left out, an object.
fn object(body: &[u8]) -> Result<Value> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(json!({}));
    }
    let value: Result<Value, _> = serde_json::from_slice(body);
    value.ok().filter(Value::is_object).ok_or_else(|| Failure::invalid("expected an object in JSON, or no body"))
}

pub(super) async fn load(State(service): Server, Path(model): Path<String>, body: Bytes) -> Reply {
    let request = object(&body)?;
    describe::no_load_parameters(request.get("parameters").and_then(Value::as_object).is_some_and(|all| !all.is_empty()))?;
    blocking(move || service.catalog.load(&model)).await?;
    Ok(json(StatusCode::OK, &json!({})))
}

pub(super) async fn unload(State(service): Server, Path(model): Path<String>, body: Bytes) -> Reply {
    object(&body)?;
    blocking(move || service.catalog.unload(&model)).await?;
    Ok(json(StatusCode::OK, &json!({})))
}

pub(super) async fn refresh(State(service): Server) -> Reply {
    blocking(move || service.catalog.refresh()).await?;
    Ok(json(StatusCode::OK, &json!({})))
}

async fn blocking(work: impl FnOnce() -> Result<()> + Send + 'static) -> Result<()> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(Failure::internal("loading ended in a panic; this is a defect of the server")))
}

pub(super) async fn metrics(State(service): Server) -> Reply {
    let mut response = Response::new(Body::from(service.metrics_text()?));
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    response.headers_mut().insert(CONTENT_TYPE, axum::http::HeaderValue::from_static(kind));
    Ok(response)
}
