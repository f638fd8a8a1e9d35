//! gRPC: each call, by tonic's client.

use crate::repositories::{doubling, put, times};
use crate::rest::shared;
use crate::support::ready;
use gristmill_serve::grpc::*;
use hyper::http::uri::PathAndQuery;
use prost::Message;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

/// A connection with a runtime of its own.
pub struct Client {
    pub runtime: tokio::runtime::Runtime,
    pub grpc: Grpc<Channel>,
    /// Sent with each call.
    pub authorization: Option<String>,
}

pub fn path(call: &str) -> PathAndQuery {
    let service = if ["Check", "Watch"].contains(&call) { "grpc.health.v1.Health" } else { "inference.GRPCInferenceService" };
    format!("/{service}/{call}").parse().expect("it is a path")
}

impl Client {
    pub fn new(address: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("it is an address");
        let channel = runtime.block_on(endpoint.connect()).expect("the server listens");
        Client { runtime, grpc: Grpc::new(channel), authorization: None }
    }

    pub fn call<Q, A>(&mut self, call: &str, message: Q) -> Result<A, Status>
    where
        Q: Message + Default + 'static,
        A: Message + Default + 'static,
    {
        self.call_within(call, message, Duration::from_secs(60))
    }

    pub fn request<Q>(&self, message: Q) -> Request<Q> {
        let mut request = Request::new(message);
        if let Some(value) = &self.authorization {
            request.metadata_mut().insert("authorization", value.parse().expect("it is a header"));
        }
        request
    }

    /// What a stream of requests is answered by, or why it is not.
    pub fn try_stream(&mut self, requests: Vec<ModelInferRequest>) -> Result<Vec<ModelStreamInferResponse>, Status> {
        let stream = self.request(tokio_stream::iter(requests));
        self.runtime.block_on(async {
            self.grpc.ready().await.map_err(|e| Status::unknown(e.to_string()))?;
            let codec = ProstCodec::<ModelInferRequest, ModelStreamInferResponse>::default();
            let mut received = self.grpc.streaming(stream, path("ModelStreamInfer"), codec).await?.into_inner();
            let mut answers = Vec::new();
            while let Some(answer) = received.message().await? {
                answers.push(answer);
            }
            Ok(answers)
        })
    }

    fn answer<Q, A>(&mut self, call: &str, message: Q) -> A
    where
        Q: Message + Default + 'static,
        A: Message + Default + 'static,
    {
        self.call(call, message).expect("it is answered")
    }

    /// What a stream of requests is answered by.
    pub fn stream(&mut self, requests: Vec<ModelInferRequest>) -> Vec<ModelStreamInferResponse> {
        self.try_stream(requests).expect("it is answered")
    }

    fn call_within<Q, A>(&mut self, call: &str, message: Q, time: Duration) -> Result<A, Status>
    where
        Q: Message + Default + 'static,
        A: Message + Default + 'static,
    {
        let mut request = self.request(message);
        request.set_timeout(time);
        self.runtime.block_on(async {
            self.grpc.ready().await.map_err(|e| Status::unknown(e.to_string()))?;
            self.grpc.unary(request, path(call), ProstCodec::<Q, A>::default()).await.map(tonic::Response::into_inner)
        })
    }
}

pub fn named(name: &str) -> NamedModel {
    NamedModel { name: name.into(), version: String::new() }
}

fn tensor(rows: i64, contents: Option<InferTensorContents>) -> InferInputTensor {
    InferInputTensor { name: "x".into(), datatype: "FP32".into(), shape: vec![rows, 2], contents, ..Default::default() }
}

pub fn infer(rows: i64, floats: &[f32]) -> ModelInferRequest {
    let raw: Vec<u8> = floats.iter().flat_map(|value| value.to_le_bytes()).collect();
    ModelInferRequest {
        model_name: "double".into(),
        id: "five".into(),
        inputs: vec![tensor(rows, None)],
        raw_input_contents: vec![raw.into()],
        ..Default::default()
    }
}

pub fn floats(response: &ModelInferResponse) -> Vec<f32> {
    response.raw_output_contents[0].as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

#[test]
fn the_server_and_its_models_are_described() {
    let mut client = Client::new(shared().grpc);
    assert_eq!(client.answer::<_, Live>("ServerLive", Empty {}), Live { live: true });
    assert_eq!(client.answer::<_, Ready>("ServerReady", Empty {}), Ready { ready: true });
    assert_eq!(client.answer::<_, Ready>("ModelReady", named("double")), Ready { ready: true });
    let server: ServerMetadata = client.call("ServerMetadata", Empty {}).expect("it is answered");
    assert_eq!(server.name, "gristmill");
    let model: ModelMetadata = client.call("ModelMetadata", named("double")).expect("it is answered");
    assert_eq!((&*model.inputs[0].name, &*model.inputs[0].datatype, &*model.inputs[0].shape), ("x", "FP32", &[-1, 2][..]));
    let config: ModelConfigResponse = client.call("ModelConfig", named("double")).expect("it is answered");
    let config = config.config.expect("it is there");
    assert_eq!((config.max_batch_size, config.input[0].data_type, &*config.input[0].dims), (8, 11, &[2][..]));
    let health = |service: &str| HealthCheckRequest { service: service.into() };
    assert_eq!(client.answer::<_, HealthCheckResponse>("Check", health("")), HealthCheckResponse { status: 1 });
    let unknown: Result<HealthCheckResponse, Status> = client.call("Check", health("other"));
    assert_eq!(unknown.expect_err("there is none").code(), Code::NotFound);
    let unknown: Result<Empty, Status> = client.call("SystemSharedMemoryRegister", Empty {});
    assert_eq!(unknown.expect_err("there is none").code(), Code::Unimplemented);
}

#[test]
fn tensors_are_bytes_or_elements() {
    let mut client = Client::new(shared().grpc);
    let response: ModelInferResponse = client.call("ModelInfer", infer(2, &[1.0, 2.0, 3.0, 4.0])).expect("it is answered");
    assert_eq!((floats(&response), &*response.id), (vec![2.0, 4.0, 6.0, 8.0], "five"));
    assert_eq!((&*response.outputs[0].name, &*response.outputs[0].shape), ("y", &[2, 2][..]));
    let contents = InferTensorContents { floats: vec![5.0, 6.0], ..Default::default() };
    let typed = ModelInferRequest { inputs: vec![tensor(1, Some(contents))], raw_input_contents: vec![], ..infer(1, &[]) };
    let response: ModelInferResponse = client.call("ModelInfer", typed).expect("it is answered");
    assert_eq!(floats(&response), [10.0, 12.0]);
}

#[test]
fn what_is_wrong_has_its_code() {
    let mut client = Client::new(shared().grpc);
    let good = infer(1, &[1.0, 2.0]);
    let sequence = InferParameter { choice: Some(Choice::Int64(3)) };
    for (code, request) in [
        (Code::InvalidArgument, infer(2, &[1.0, 2.0])),
        (Code::InvalidArgument, infer(-1, &[])),
        (Code::InvalidArgument, ModelInferRequest { inputs: vec![], ..good.clone() }),
        (Code::InvalidArgument, ModelInferRequest { raw_input_contents: vec![], ..good.clone() }),
        (Code::ResourceExhausted, infer(i64::MAX, &[])),
        (Code::NotFound, ModelInferRequest { model_name: "other".into(), ..good.clone() }),
        (Code::NotFound, ModelInferRequest { model_version: "3".into(), ..good.clone() }),
        (
            Code::InvalidArgument,
            ModelInferRequest { parameters: HashMap::from([("sequence_id".into(), sequence)]), ..good.clone() },
        ),
    ] {
        let found: Result<ModelInferResponse, Status> = client.call("ModelInfer", request.clone());
        let status = found.expect_err("it is wrong");
        assert_eq!(status.code(), code, "{status} {request:?}");
    }
    // Longer than a body may be.
    let long: Result<ModelInferResponse, Status> = client.call("ModelInfer", infer(1, &vec![0.0; 1 << 20]));
    assert!(long.is_err());
    let response: ModelInferResponse = client.call("ModelInfer", good).expect("it is answered");
    assert_eq!(floats(&response), [2.0, 4.0]);
}

#[test]
fn a_stream_is_answered_in_order_and_survives_what_is_wrong() {
    let mut client = Client::new(shared().grpc);
    let answers = client.stream(vec![infer(1, &[1.0, 1.0]), infer(3, &[1.0]), infer(1, &[2.0, 2.0])]);
    assert_eq!(answers.len(), 3);
    assert_eq!(answers[0].infer_response.as_ref().map(floats), Some(vec![2.0, 2.0]));
    assert!(answers[1].error_message.contains("expected 24 bytes"), "{}", answers[1].error_message);
    assert_eq!(answers[1].infer_response.as_ref().map(|response| &*response.id), Some("five"));
    assert_eq!(answers[2].infer_response.as_ref().map(floats), Some(vec![4.0, 4.0]));
}

#[test]
fn deadlines_and_models_that_come_and_go() {
    let repository = doubling("grpc", "[batching]\nrows = [1, 2]\ndelay_ms = 60000\n");
    let server = ready(&repository, |_| {});
    let mut client = Client::new(server.grpc);
    let late: Result<ModelInferResponse, Status> =
        client.call_within("ModelInfer", infer(1, &[1.0, 2.0]), Duration::from_millis(50));
    assert!(late.is_err());
    crate::support::until(|| server.gauge("gristmill_queue_requests") == 0);
    let timeout = InferParameter { choice: Some(Choice::Int64(20_000)) };
    let request = ModelInferRequest { parameters: HashMap::from([("timeout".into(), timeout)]), ..infer(1, &[1.0, 2.0]) };
    let late: Result<ModelInferResponse, Status> = client.call("ModelInfer", request);
    assert_eq!(late.expect_err("its time is over").code(), Code::DeadlineExceeded);
    let statistics: ModelStatisticsResponse = client.call("ModelStatistics", named("double")).expect("it is answered");
    assert_eq!(statistics.model_stats[0].execution_count, 0);

    put(&repository, "triple", &times(3.0, 2), "");
    let model = RepositoryModelRequest { model_name: "triple".into(), ..Default::default() };
    assert_eq!(client.answer::<_, Empty>("RepositoryModelLoad", model.clone()), Empty {});
    let index: RepositoryIndexResponse =
        client.call("RepositoryIndex", RepositoryIndexRequest { ready: true, ..Default::default() }).expect("it is answered");
    assert_eq!(index.models.iter().map(|model| &*model.name).collect::<Vec<_>>(), ["double", "triple"]);
    assert_eq!(client.answer::<_, Empty>("RepositoryModelUnload", model), Empty {});
    assert_eq!(client.answer::<_, Ready>("ModelReady", named("triple")), Ready { ready: false });
}
