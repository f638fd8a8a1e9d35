//! Which call is whose.

use super::arriving::Arriving;
use super::convert::status;
use super::messages::{HealthCheckRequest, HealthCheckResponse, ModelInferRequest, ModelStreamInferResponse};
use super::{health, inference};
use crate::access::Share;
use crate::caller::Caller;
use crate::failure::{Code, Failure, Result};
use crate::metrics::Protocol;
use crate::service::Service;
use crate::trace::{TRACE_PARENT, Trace};
use hyper::HeaderMap;
use hyper::body::Incoming;
use hyper::header::HeaderName;
use prost::Message;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::codec::CompressionEncoding;
use tonic::server::{Grpc, ServerStreamingService, StreamingService, UnaryService};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

/// The name of the service of inference.
pub(super) const INFERENCE: &str = "inference.GRPCInferenceService";

/// The name of the service of health.
const HEALTH: &str = "grpc.health.v1.Health";

/// Bytes of a request beside those of its tensors.
const MARGIN: usize = 1 << 20;

/// A call as it comes, and its answer on its way.
type Call = hyper::Request<Incoming>;
type Answering = Pin<Box<dyn Future<Output = hyper::Response<Body>> + Send>>;

/// A call that gives one answer: for whom, and what it does.
struct Unary<C, F>(C, F);

impl<Q, A, C, F, W> UnaryService<Q> for Unary<C, F>
where
    C: Clone,
    F: Fn(C, Q) -> W,
    W: Future<Output = Result<A>> + Send + 'static,
    A: 'static,
{
    type Response = A;
    type Future = Pin<Box<dyn Future<Output = Result<Response<A>, Status>> + Send>>;

    fn call(&mut self, request: Request<Q>) -> Self::Future {
        let work = self.1(self.0.clone(), request.into_inner());
        Box::pin(async move { inference::answered(work.await) })
    }
}

/// The stream of inference.
struct Stream(Arc<Service>);

impl StreamingService<ModelInferRequest> for Stream {
    type Response = ModelStreamInferResponse;
    type ResponseStream = ReceiverStream<Result<ModelStreamInferResponse, Status>>;
    type Future = Ready<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Streaming<ModelInferRequest>>) -> Self::Future {
        let (metadata, _, requests) = request.into_parts();
        ready(Ok(Response::new(inference::stream(self.0.clone(), metadata.into_headers(), requests))))
    }
}

/// The stream of health.
struct Watch(Arc<Service>);

impl ServerStreamingService<HealthCheckRequest> for Watch {
    type Response = HealthCheckResponse;
    type ResponseStream = ReceiverStream<Result<HealthCheckResponse, Status>>;
    type Future = Ready<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<HealthCheckRequest>) -> Self::Future {
        ready(Ok(Response::new(health::watch(self.0.clone(), request.get_ref()))))
    }
}

/// What decodes and encodes the messages of a call.
fn grpc<A, Q>(service: &Service) -> Grpc<ProstCodec<A, Q>>
where
    A: Message + 'static,
    Q: Message + Default + 'static,
{
    let limit = service.settings.max_body.saturating_add(MARGIN);
    Grpc::new(ProstCodec::default())
        .max_decoding_message_size(limit)
        .max_encoding_message_size(usize::MAX)
        .accept_compressed(CompressionEncoding::Gzip)
        .send_compressed(CompressionEncoding::Gzip)
}

/// The time that a client gives a call: a number of at most eight digits, and a unit.
fn deadline(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: u64 = number.parse().ok().filter(|_| number.len() <= 8)?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

/// Answers a call by what `work` makes of its message, within the time that the client gives.
async fn answer<Q, A, C, F, W>(service: &Service, share: Share, request: Call, who: C, work: F) -> hyper::Response<Body>
where
    Q: Message + Default + 'static,
    A: Message + 'static,
    C: Clone,
    F: Fn(C, Q) -> W,
    W: Future<Output = Result<A>> + Send + 'static,
{
    let deadline = deadline(request.headers());
    let request = request.map(|body| Arriving::new(body, share, service.settings.read_limit));
    let mut grpc = grpc(service);
    let answering = grpc.unary(Unary(who, work), request);
    match deadline {
        None => answering.await,
        Some(deadline) => tokio::time::timeout(deadline, answering)
            .await
            .unwrap_or_else(|_| refused(&Failure::new(Code::Expired, "the time that the client gave the call is over"))),
    }
}

/// A call that needs no key.
fn open<Q, A, F, W>(service: Arc<Service>, request: Call, work: F) -> Answering
where
    Q: Message + Default + 'static,
    A: Message + 'static,
    F: Fn(Arc<Service>, Q) -> W + Send + 'static,
    W: Future<Output = Result<A>> + Send + 'static,
{
    Box::pin(async move {
        let share = Share::new(vec![service.bodies.clone()]);
        answer(&service, share, request, service.clone(), work).await
    })
}

/// A call of somebody.
fn unary<Q, A, F, W>(service: Arc<Service>, request: Call, work: F) -> Answering
where
    Q: Message + Default + 'static,
    A: Message + 'static,
    F: Fn(Caller, Q) -> W + Send + 'static,
    W: Future<Output = Result<A>> + Send + 'static,
{
    Box::pin(async move {
        let trace = Trace::of(request.headers());
        let known = Caller::known(&service, Protocol::Grpc, request.headers(), trace);
        let begun = known.and_then(|caller| Ok((caller.begin()?, caller.share(0)?, caller)));
        let answer = match begun {
            Ok((_turn, share, caller)) => answer(&service, share, request, caller, work).await,
            Err(failure) => refused(&failure),
        };
        traced(answer, trace)
    })
}

/// The stream of inference. Whoever brings no key learns so before the first request.
fn stream(service: Arc<Service>, request: Call) -> Answering {
    Box::pin(async move {
        let trace = Trace::of(request.headers());
        let answer = match Caller::known(&service, Protocol::Grpc, request.headers(), trace) {
            Ok(_) => grpc(&service).streaming(Stream(service.clone()), request).await,
            Err(failure) => refused(&failure),
        };
        traced(answer, trace)
    })
}

fn watch(service: Arc<Service>, request: Call) -> Answering {
    Box::pin(async move { grpc(&service).server_streaming(Watch(service.clone()), request).await })
}

/// An answer that names the trace again.
fn traced(mut answer: hyper::Response<Body>, trace: Trace) -> hyper::Response<Body> {
    answer.headers_mut().extend(trace.header().map(|value| (HeaderName::from_static(TRACE_PARENT), value)));
    answer
}

fn refused(failure: &Failure) -> hyper::Response<Body> {
    status(failure).into_http()
}

/// Answers a call.
pub(super) fn route(service: Arc<Service>, request: Call) -> Answering {
    let path = request.uri().path().strip_prefix('/').and_then(|path| path.split_once('/'));
    match path.unwrap_or_default() {
        (INFERENCE, "ServerLive") => open(service, request, inference::server_live),
        (INFERENCE, "ServerReady") => open(service, request, inference::server_ready),
        (INFERENCE, "ModelReady") => unary(service, request, inference::model_ready),
        (INFERENCE, "ServerMetadata") => unary(service, request, inference::server_metadata),
        (INFERENCE, "ModelMetadata") => unary(service, request, inference::model_metadata),
        (INFERENCE, "ModelInfer") => unary(service, request, inference::model_infer),
        (INFERENCE, "ModelConfig") => unary(service, request, inference::model_config),
        (INFERENCE, "ModelStatistics") => unary(service, request, inference::model_statistics),
        (INFERENCE, "RepositoryIndex") => unary(service, request, inference::repository_index),
        (INFERENCE, "RepositoryModelLoad") => unary(service, request, inference::repository_load),
        (INFERENCE, "RepositoryModelUnload") => unary(service, request, inference::repository_unload),
        (INFERENCE, "ModelStreamInfer") => stream(service, request),
        (HEALTH, "Check") => open(service, request, health::check),
        (HEALTH, "Watch") => watch(service, request),
        _ => {
            let failure = Failure::new(Code::Unimplemented, "the server has no such call");
            Box::pin(ready(refused(&failure)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_gives_a_call_its_time() {
        let of = |text: &str| deadline(&[("grpc-timeout".parse().ok()?, text.parse().ok()?)].into_iter().collect());
        assert_eq!(of("50m"), Some(Duration::from_millis(50)));
        assert_eq!(of("99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        for text in ["", "m", "5", "999999999S", "-1S", "1x", "\u{e4}"] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
