//! The calls of `inference.GRPCInferenceService`.

use super::convert::{request, response, status};
use super::messages::{
    Empty, Live, ModelConfigResponse, ModelIndex, ModelInferRequest, ModelInferResponse, ModelMetadata, ModelStatisticsResponse,
    ModelStreamInferResponse, NamedModel, Ready, RepositoryIndexRequest, RepositoryIndexResponse, RepositoryModelRequest,
    ServerMetadata,
};
use super::statistics;
use crate::caller::Caller;
use crate::describe;
use crate::failure::{Code, Result};
use crate::metrics::Protocol;
use crate::service::Service;
use crate::trace::Trace;
use hyper::HeaderMap;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

/// How many answers of a stream wait for its client.
const STREAM_DEPTH: usize = 4;

/// A version, where one is named.
fn version(version: &str) -> Option<&str> {
    Some(version).filter(|version| !version.is_empty())
}

pub(super) async fn server_live(service: Arc<Service>, _: Empty) -> Result<Live> {
    Ok(Live { live: service.lives() })
}

pub(super) async fn server_ready(service: Arc<Service>, _: Empty) -> Result<Ready> {
    Ok(Ready { ready: service.is_ready() })
}

/// A model that is not there is not ready, as clients of Triton have it.
pub(super) async fn model_ready(caller: Caller, model: NamedModel) -> Result<Ready> {
    match caller.model_is_ready(&model.name, version(&model.version)) {
        Err(failure) if failure.code() == Code::NotFound => Ok(Ready { ready: false }),
        ready => ready.map(|ready| Ready { ready }),
    }
}

pub(super) async fn server_metadata(_: Caller, _: Empty) -> Result<ServerMetadata> {
    let extensions = describe::EXTENSIONS.into_iter().map(Into::into).collect();
    Ok(ServerMetadata { name: describe::NAME.into(), version: describe::VERSION.into(), extensions })
}

pub(super) async fn model_metadata(caller: Caller, model: NamedModel) -> Result<ModelMetadata> {
    Ok(statistics::metadata(&caller.find(&model.name, version(&model.version))?.model))
}

pub(super) async fn model_config(caller: Caller, model: NamedModel) -> Result<ModelConfigResponse> {
    Ok(statistics::config(&caller.find(&model.name, version(&model.version))?.model))
}

pub(super) async fn model_statistics(caller: Caller, model: NamedModel) -> Result<ModelStatisticsResponse> {
    let found = match model.name.is_empty() {
        true => caller.served(),
        false => vec![caller.find(&model.name, version(&model.version))?],
    };
    Ok(ModelStatisticsResponse { model_stats: found.iter().map(|served| statistics::statistics(served)).collect() })
}

pub(super) async fn model_infer(caller: Caller, message: ModelInferRequest) -> Result<ModelInferResponse> {
    let (model, number) = (message.model_name.clone(), message.model_version.clone());
    let held: usize = message.raw_input_contents.iter().map(bytes::Bytes::len).sum();
    let _share = caller.share(held)?;
    let request = request(message)?;
    let answer = caller.infer(&model, version(&number), &request).await?;
    let start = Instant::now();
    let message = response(answer);
    caller.service().metrics.serialised(&message.model_name, start.elapsed());
    Ok(message)
}

async fn one_of_a_stream(service: &Arc<Service>, headers: &HeaderMap, message: ModelInferRequest) -> Result<ModelInferResponse> {
    let caller = Caller::known(service, Protocol::Grpc, headers, Trace::of(headers))?;
    let _turn = caller.begin()?;
    model_infer(caller, message).await
}

/// Answers the requests of a stream in their order. A request that fails is answered by its message, and the stream goes on. Each is asked
/// for its key anew, since streams may outlive keys, and counts against the key's limits.
pub(super) fn stream(
    service: Arc<Service>,
    headers: HeaderMap,
    mut requests: Streaming<ModelInferRequest>,
) -> ReceiverStream<Result<ModelStreamInferResponse, Status>> {
    let (answers, received) = mpsc::channel(STREAM_DEPTH);
    tokio::spawn(async move {
        let gone = answers.clone();
        let answering = async move {
            while let Ok(Some(message)) = requests.message().await {
                let id = message.id.clone();
                let answer = match one_of_a_stream(&service, &headers, message).await {
                    Ok(response) => ModelStreamInferResponse { error_message: String::new(), infer_response: Some(response) },
                    Err(failure) => {
                        let response = ModelInferResponse { id, ..ModelInferResponse::default() };
                        ModelStreamInferResponse { error_message: failure.message().into(), infer_response: Some(response) }
                    }
                };
                if answers.send(Ok(answer)).await.is_err() {
                    break;
                }
            }
        };
        // A client that leaves takes the request that it waits for with it.
        tokio::select! {
            () = answering => {}
            () = gone.closed() => {}
        }
    });
    ReceiverStream::new(received)
}

pub(super) async fn repository_index(caller: Caller, request: RepositoryIndexRequest) -> Result<RepositoryIndexResponse> {
    let models = caller.index(request.ready).into_iter().map(|entry| ModelIndex {
        version: entry.version.map(|version| version.to_string()).unwrap_or_default(),
        name: entry.name,
        state: entry.state.name().into(),
        reason: entry.reason,
    });
    Ok(RepositoryIndexResponse { models: models.collect() })
}

pub(super) async fn repository_load(caller: Caller, request: RepositoryModelRequest) -> Result<Empty> {
    describe::no_load_parameters(!request.parameters.is_empty())?;
    caller.load(request.model_name).await.map(|()| Empty {})
}

pub(super) async fn repository_unload(caller: Caller, request: RepositoryModelRequest) -> Result<Empty> {
    caller.unload(request.model_name).await.map(|()| Empty {})
}

/// A result as a call returns it.
pub(super) fn answered<T>(result: Result<T>) -> Result<tonic::Response<T>, Status> {
    result.map(tonic::Response::new).map_err(|failure| status(&failure))
}
