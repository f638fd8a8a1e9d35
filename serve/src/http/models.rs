//! The paths that describe: server, models, repository.

use super::body::slow;
use super::reply::{Refused, Reply, json};
use crate::caller::Caller;
use crate::catalog::IndexEntry;
use crate::describe;
use crate::failure::{Failure, Result};
use crate::service::Service;
use axum::body::Body;
use axum::extract::{FromRequest, Path, Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::{Value, json};
use std::sync::Arc;

type Server = State<Arc<Service>>;

/// The body of a request that is no inference: short, and there within the time that clients have.
pub(super) struct Small(Bytes);

impl FromRequest<Arc<Service>> for Small {
    type Rejection = Response;

    async fn from_request(request: Request, service: &Arc<Service>) -> Result<Self, Response> {
        let limit = service.settings.read_limit;
        match tokio::time::timeout(limit, Bytes::from_request(request, service)).await {
            Ok(read) => read.map(Small).map_err(IntoResponse::into_response),
            Err(_) => Err(Refused(slow(limit)).into_response()),
        }
    }
}

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

pub(super) async fn model_ready(caller: Caller, Path(parts): Named) -> Reply {
    let (model, version) = split(&parts)?;
    let ready = caller.model_is_ready(model, version)?;
    Ok(healthy(ready, json!({ "name": model, "ready": ready })))
}

pub(super) async fn model(caller: Caller, Path(parts): Named) -> Reply {
    let (model, version) = split(&parts)?;
    Ok(json(StatusCode::OK, &describe::model(&caller.find(model, version)?.model)))
}

pub(super) async fn config(caller: Caller, Path(parts): Named) -> Reply {
    let (model, version) = split(&parts)?;
    Ok(json(StatusCode::OK, &describe::config(&caller.find(model, version)?.model)))
}

pub(super) async fn statistics(caller: Caller, Path(parts): Named) -> Reply {
    let (model, version) = split(&parts)?;
    let served = caller.find(model, version)?;
    Ok(json(StatusCode::OK, &json!({ "model_stats": [caller.statistics(&served)] })))
}

pub(super) async fn all_statistics(caller: Caller) -> Response {
    let all: Vec<Value> = caller.served().iter().map(|served| caller.statistics(served)).collect();
    json(StatusCode::OK, &json!({ "model_stats": all }))
}

pub(super) async fn index(caller: Caller, Small(body): Small) -> Reply {
    let only_ready = match object(&body)?.get("ready") {
        None => false,
        Some(ready) => ready.as_bool().ok_or_else(|| Failure::invalid("ready: expected true or false"))?,
    };
    let lines: Vec<Value> = caller.index(only_ready).into_iter().map(line).collect();
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

pub(super) async fn load(caller: Caller, Path(model): Path<String>, Small(body): Small) -> Reply {
    let request = object(&body)?;
    let parameters = match request.get("parameters") {
        None => false,
        Some(parameters) => {
            let all = parameters.as_object().ok_or_else(|| Failure::invalid("parameters: expected an object"))?;
            !all.is_empty()
        }
    };
    describe::no_load_parameters(parameters)?;
    caller.load(model).await?;
    Ok(json(StatusCode::OK, &json!({})))
}

pub(super) async fn unload(caller: Caller, Path(model): Path<String>, Small(body): Small) -> Reply {
    object(&body)?;
    caller.unload(model).await?;
    Ok(json(StatusCode::OK, &json!({})))
}

pub(super) async fn refresh(caller: Caller) -> Reply {
    caller.refresh().await?;
    Ok(json(StatusCode::OK, &json!({})))
}

pub(super) async fn metrics(caller: Caller) -> Reply {
    let mut response = Response::new(Body::from(caller.metrics_text()?));
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    response.headers_mut().insert(CONTENT_TYPE, axum::http::HeaderValue::from_static(kind));
    Ok(response)
}
