//! `POST /v1/embeddings`: each text is a row of its own, and goes the way of all requests.

use super::pool::{finished, pooled};
use super::reply::{Refused, vectors};
use super::request::Body;
use crate::caller::Caller;
use crate::failure::{Failure, Result};
use crate::protocol::{InferRequest, RequestedOutput};
use crate::repository::Embedder;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use tokio::task::JoinSet;

/// From this length of a body on, work on its texts is announced to the runtime, since it keeps a thread busy.
const LONG: usize = 16 << 10;

/// Answers a request by its body, or by what kept that from being read.
pub(crate) async fn answer(caller: &Caller, body: Result<Bytes>) -> Response {
    let answered = match body {
        Ok(body) => answered(caller, &body).await,
        Err(failure) => Err(failure.into()),
    };
    answered.unwrap_or_else(IntoResponse::into_response)
}

async fn answered(caller: &Caller, body: &[u8]) -> Result<Response, Refused> {
    let length = body.len();
    let body = Body::read(body)?;
    let served = caller.find(&body.model, None).map_err(Refused::of("model"))?;
    let Some(embedder) = &served.model.embedder else {
        let message =
            format!("the model `{}` makes no vectors of texts: expected one whose model.toml says how", served.model.name);
        return Err(Refused::invalid(message, Some("model")));
    };
    let tokens = || body.tokens(embedder);
    let texts = if length < LONG { tokens() } else { tokio::task::block_in_place(tokens) }?;
    let width = served.model.max_rows().saturating_mul(2);
    let found = all(caller, &body.model, embedder, &texts, width).await?;
    let dimensions = body.dimensions(embedder, found.first().map_or(0, Vec::len))?;
    let normalize = embedder.settings.normalize;
    let found: Vec<Vec<f32>> = found.into_iter().map(|vector| finished(vector, dimensions, normalize)).collect();
    let tokens = texts.iter().map(Vec::len).sum();
    Ok(vectors(&body.model, body.encoding_format, &found, tokens))
}

/// The vectors of all texts, of which so many are asked for at a time: those of similar lengths, as they are padded to one.
async fn all(
    caller: &Caller,
    model: &str,
    embedder: &Embedder,
    texts: &[Vec<u32>],
    width: usize,
) -> Result<Vec<Vec<f64>>, Refused> {
    let mut order: Vec<usize> = (0..texts.len()).collect();
    order.sort_by_key(|index| texts.get(*index).map(Vec::len));
    let mut found = vec![Vec::new(); texts.len()];
    let mut order = order.into_iter();
    let mut asked = JoinSet::new();
    loop {
        while asked.len() < width
            && let Some(index) = order.next()
        {
            let inputs = embedder.inputs(texts.get(index).map(Vec::as_slice).unwrap_or_default())?;
            let outputs = vec![RequestedOutput { name: embedder.settings.output.clone(), binary: true, classes: 0 }];
            let request = InferRequest { inputs, outputs, ..InferRequest::default() };
            let (caller, model) = (caller.clone(), model.to_string());
            asked.spawn(async move { (index, caller.infer(&model, None, &request).await) });
        }
        let Some(answered) = asked.join_next().await else { return Ok(found) };
        let (index, answer) =
            answered.map_err(|_| Failure::internal("a request ended in a panic; this is a defect of the server"))?;
        let output = answer?.outputs.pop();
        let output = output.ok_or_else(|| Failure::internal("the run gave no output"))?;
        let vector = pooled(&output, embedder.settings.pooling)?;
        if let Some(place) = found.get_mut(index) {
            *place = vector;
        }
    }
}
