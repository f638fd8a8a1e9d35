//! The calls of `inference.GRPCInferenceService`.

use super::convert::{request, response, status};
use super::messages::{
    Empty, Live, ModelConfigResponse, ModelIndex, ModelInferRequest, ModelInferResponse, ModelMetadata, ModelStatisticsResponse,
    ModelStreamInferResponse, NamedModel, Ready, RepositoryIndexRequest, RepositoryIndexResponse, RepositoryModelRequest,
    ServerMetadata,
};
use super::statistics;
use crate::catalog::State;
use crate::describe;
use crate::failure::{Code, Failure, Result};
use crate::metrics::Protocol;
use crate::service::Service;
use std::sync::Arc;
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
pub(super) async fn model_ready(service: Arc<Service>, model: NamedModel) -> Result<Ready> {
    match service.model_is_ready(&model.name, version(&model.version)) {
        Err(failure) if failure.code() == Code::NotFound => Ok(Ready { ready: false }),
        ready => ready.map(|ready| Ready { ready }),
    }
}

pub(super) async fn server_metadata(_: Arc<Service>, _: Empty) -> Result<ServerMetadata> {
    let extensions = describe::EXTENSIONS.into_iter().map(Into::into).collect();
    Ok(ServerMetadata { name: describe::NAME.into(), version: describe::VERSION.into(), extensions })
}

pub(super) async fn model_metadata(service: Arc<Service>, model: NamedModel) -> Result<ModelMetadata> {
    Ok(statistics::metadata(&service.catalog.find(&model.name, version(&model.version))?.model))
}

pub(super) async fn model_config(service: Arc<Service>, model: NamedModel) -> Result<ModelConfigResponse> {
    Ok(statistics::config(&service.catalog.find(&model.name, version(&model.version))?.model))
}

pub(super) async fn model_statistics(service: Arc<Service>, model: NamedModel) -> Result<ModelStatisticsResponse> {
    let found = match model.name.is_empty() {
        true => service.catalog.served(),
        false => vec![service.catalog.find(&model.name, version(&model.version))?],
    };
    Ok(ModelStatisticsResponse { model_stats: found.iter().map(|served| statistics::statistics(served)).collect() })
}

pub(super) async fn model_infer(service: Arc<Service>, message: ModelInferRequest) -> Result<ModelInferResponse> {
    let (model, number) = (message.model_name.clone(), message.model_version.clone());
    let held: usize = message.raw_input_contents.iter().map(bytes::Bytes::len).sum();
    let _share = service.share(held)?;
    let request = request(message)?;
    service.infer(Protocol::Grpc, &model, version(&number), &request).await.map(response)
}

/// Answers the requests of a stream in their order. A request that fails is answered by its message, and the stream goes on.
pub(super) fn stream(
    service: Arc<Service>,
    mut requests: Streaming<ModelInferRequest>,
) -> ReceiverStream<Result<ModelStreamInferResponse, Status>> {
    let (answers, received) = mpsc::channel(STREAM_DEPTH);
    tokio::spawn(async move {
        let gone = answers.clone();
        let answering = async move {
            while let Ok(Some(message)) = requests.message().await {
                let id = message.id.clone();
                let answer = match model_infer(service.clone(), message).await {
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

pub(super) async fn repository_index(service: Arc<Service>, request: RepositoryIndexRequest) -> Result<RepositoryIndexResponse> {
    let entries = service.catalog.index().into_iter().filter(|entry| !request.ready || entry.state == State::Ready);
    let models = entries.map(|entry| ModelIndex {
        version: entry.version.map(|version| version.to_string()).unwrap_or_default(),
        name: entry.name,
        state: entry.state.name().into(),
        reason: entry.reason,
    });
    Ok(RepositoryIndexResponse { models: models.collect() })
}

pub(super) async fn repository_load(service: Arc<Service>, request: RepositoryModelRequest) -> Result<Empty> {
    describe::no_load_parameters(!request.parameters.is_empty())?;
    blocking(move || service.catalog.load(&request.model_name)).await
}

pub(super) async fn repository_unload(service: Arc<Service>, request: RepositoryModelRequest) -> Result<Empty> {
    blocking(move || service.catalog.unload(&request.model_name)).await
}

async fn blocking(work: impl FnOnce() -> Result<()> + Send + 'static) -> Result<Empty> {
    let done = tokio::task::spawn_blocking(work).await;
    let panicked = |_| Err(Failure::internal("loading ended in a panic; this is a defect of the server"));
    done.unwrap_or_else(panicked).map(|()| Empty {})
}

/// A result as a call returns it.
pub(super) fn answered<T>(result: Result<T>) -> Result<tonic::Response<T>, Status> {
    result.map(tonic::Response::new).map_err(|failure| status(&failure))
}
