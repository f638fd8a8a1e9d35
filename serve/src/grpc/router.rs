//! Which call is whose, and the connections of gRPC.

use super::convert::status;
use super::messages::{HealthCheckRequest, HealthCheckResponse, ModelInferRequest, ModelStreamInferResponse};
use super::{health, inference};
use crate::caller::Caller;
use crate::failure::Result;
use crate::metrics::Protocol;
use crate::service::Service;
use prost::Message;
use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::codec::CompressionEncoding;
use tonic::codegen::http;
use tonic::server::{Grpc, NamedService, ServerStreamingService, StreamingService, UnaryService};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

/// The name of the service of inference.
pub(super) const INFERENCE: &str = "inference.GRPCInferenceService";

/// The most calls at a time of one connection.
const MAX_STREAMS: u32 = 256;

/// A call's answer on its way.
type Answering = Pin<Box<dyn Future<Output = Result<http::Response<tonic::body::Body>, Infallible>> + Send>>;

/// Bytes of a request beside those of its tensors.
const MARGIN: usize = 1 << 20;

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

/// A call that needs no key.
fn open<Q, A, F, W>(service: Arc<Service>, request: http::Request<tonic::body::Body>, work: F) -> Answering
where
    Q: Message + Default + 'static,
    A: Message + 'static,
    F: Fn(Arc<Service>, Q) -> W + Send + 'static,
    W: Future<Output = Result<A>> + Send + 'static,
{
    Box::pin(async move { Ok(grpc(&service).unary(Unary(service.clone(), work), request).await) })
}

/// A call of somebody.
fn unary<Q, A, F, W>(service: Arc<Service>, request: http::Request<tonic::body::Body>, work: F) -> Answering
where
    Q: Message + Default + 'static,
    A: Message + 'static,
    F: Fn(Caller, Q) -> W + Send + 'static,
    W: Future<Output = Result<A>> + Send + 'static,
{
    Box::pin(async move {
        let known = Caller::known(&service, Protocol::Grpc, request.headers());
        let begun = known.and_then(|caller| Ok((caller.begin()?, caller)));
        Ok(match begun {
            Ok((_turn, caller)) => grpc(&service).unary(Unary(caller, work), request).await,
            Err(failure) => status(&failure).into_http(),
        })
    })
}

/// The stream of inference. Whoever brings no key learns so before the first request.
fn stream(service: Arc<Service>, request: http::Request<tonic::body::Body>) -> Answering {
    Box::pin(async move {
        Ok(match Caller::known(&service, Protocol::Grpc, request.headers()) {
            Ok(_) => grpc(&service).streaming(Stream(service.clone()), request).await,
            Err(failure) => status(&failure).into_http(),
        })
    })
}

fn unimplemented() -> Answering {
    Box::pin(ready(Ok(Status::unimplemented("the server has no such call").into_http())))
}

/// `inference.GRPCInferenceService`.
#[derive(Clone)]
struct Inference(Arc<Service>);

impl NamedService for Inference {
    const NAME: &'static str = INFERENCE;
}

impl tower::Service<http::Request<tonic::body::Body>> for Inference {
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Answering {
        let service = self.0.clone();
        match request.uri().path().rsplit('/').next().unwrap_or_default() {
            "ServerLive" => open(service, request, inference::server_live),
            "ServerReady" => open(service, request, inference::server_ready),
            "ModelReady" => unary(service, request, inference::model_ready),
            "ServerMetadata" => unary(service, request, inference::server_metadata),
            "ModelMetadata" => unary(service, request, inference::model_metadata),
            "ModelInfer" => unary(service, request, inference::model_infer),
            "ModelConfig" => unary(service, request, inference::model_config),
            "ModelStatistics" => unary(service, request, inference::model_statistics),
            "RepositoryIndex" => unary(service, request, inference::repository_index),
            "RepositoryModelLoad" => unary(service, request, inference::repository_load),
            "RepositoryModelUnload" => unary(service, request, inference::repository_unload),
            "ModelStreamInfer" => stream(service, request),
            _ => unimplemented(),
        }
    }
}

/// `grpc.health.v1.Health`.
#[derive(Clone)]
struct Health(Arc<Service>);

impl NamedService for Health {
    const NAME: &'static str = "grpc.health.v1.Health";
}

impl tower::Service<http::Request<tonic::body::Body>> for Health {
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Answering {
        let service = self.0.clone();
        match request.uri().path().rsplit('/').next().unwrap_or_default() {
            "Check" => open(service, request, health::check),
            "Watch" => Box::pin(async move { Ok(grpc(&service).server_streaming(Watch(service.clone()), request).await) }),
            _ => unimplemented(),
        }
    }
}

/// Serves until `end` is true, then until all calls are answered, `drain_limit` at the longest.
pub(crate) async fn serve(listener: TcpListener, service: Arc<Service>, mut end: watch::Receiver<bool>, drain_limit: Duration) {
    let mut limit = end.clone();
    let ended = async move {
        end.wait_for(|end| *end).await.ok();
    };
    let serving = tonic::transport::Server::builder()
        .max_concurrent_streams(MAX_STREAMS)
        .http2_keepalive_interval(Some(service.settings.read_limit))
        .http2_keepalive_timeout(Some(service.settings.read_limit))
        .tcp_nodelay(true)
        .add_service(Inference(service.clone()))
        .add_service(Health(service.clone()))
        .serve_with_incoming_shutdown(TcpListenerStream::new(listener), ended);
    let late = async move {
        limit.wait_for(|end| *end).await.ok();
        tokio::time::sleep(drain_limit).await;
    };
    tokio::select! {
        served = serving => {
            if let Err(e) = served {
                tracing::error!(target: "gristmill_serve", reason = %e, "gRPC ended");
            }
        }
        () = late => tracing::warn!(target: "gristmill_serve", "calls were left without an answer at the end"),
    }
}
