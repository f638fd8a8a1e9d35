//! The calls of `grpc.health.v1.Health`.

use super::messages::{HealthCheckRequest, HealthCheckResponse};
use crate::failure::{Code, Failure, Result};
use crate::service::Service;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

/// How often a watcher's answer is looked at again.
const INTERVAL: Duration = Duration::from_millis(250);

/// The services that one may ask for: all, and that of inference.
const SERVICES: [&str; 2] = ["", super::router::INFERENCE];

fn status(service: &Service) -> HealthCheckResponse {
    HealthCheckResponse { status: if service.is_ready() { 1 } else { 2 } }
}

pub(super) async fn check(service: Arc<Service>, request: HealthCheckRequest) -> Result<HealthCheckResponse> {
    match SERVICES.contains(&&*request.service) {
        true => Ok(status(&service)),
        false => Err(Failure::new(Code::NotFound, "there is no such service")),
    }
}

/// Answers now and whenever it changes.
pub(super) fn watch(service: Arc<Service>, request: &HealthCheckRequest) -> ReceiverStream<Result<HealthCheckResponse, Status>> {
    let (answers, received) = mpsc::channel(1);
    let known = SERVICES.contains(&&*request.service);
    tokio::spawn(async move {
        let mut last = None;
        while !answers.is_closed() {
            let now = if known { status(&service) } else { HealthCheckResponse { status: 3 } };
            if last.as_ref() != Some(&now) && answers.send(Ok(now.clone())).await.is_err() {
                break;
            }
            last = Some(now);
            tokio::time::sleep(INTERVAL).await;
        }
    });
    ReceiverStream::new(received)
}
