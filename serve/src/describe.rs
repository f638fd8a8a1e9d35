//! What is said of the server and its models, as the protocol words it in JSON.

use crate::engine::{Counted, Served};
use crate::failure::{Code, Failure, Result};
use crate::repository::{BatchDimension, LoadedModel, TensorDescription};
use crate::schedule::SequenceCounts;
use serde_json::{Value, json};
use std::time::{Duration, Instant, SystemTime};

/// The name of the server.
pub(crate) const NAME: &str = "gristmill";

/// Its version.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What models are made of.
pub(crate) const PLATFORM: &str = "onnx_gristmill";

/// What it does beyond the protocol's core.
pub(crate) const EXTENSIONS: [&str; 7] = [
    "binary_tensor_data",
    "classification",
    "model_configuration",
    "model_repository",
    "schedule_policy",
    "sequence",
    "statistics",
];

/// The server.
pub(crate) fn server() -> Value {
    json!({ "name": NAME, "version": VERSION, "extensions": EXTENSIONS })
}

/// A model's inputs and outputs.
pub(crate) fn model(model: &LoadedModel) -> Value {
    let tensor =
        |tensor: &TensorDescription| json!({ "name": tensor.name, "datatype": tensor.datatype.name(), "shape": tensor.shape() });
    json!({
        "name": model.name,
        "versions": [model.version.to_string()],
        "platform": PLATFORM,
        "inputs": model.interface.inputs.iter().map(tensor).collect::<Vec<_>>(),
        "outputs": model.interface.outputs.iter().map(tensor).collect::<Vec<_>>(),
    })
}

/// The most rows of a batch as Triton's configuration says it: 0 for a model that knows none, and for one whose rows are not the first
/// dimension of everything.
pub(crate) fn max_batch(model: &LoadedModel) -> usize {
    let first = |batch: &&BatchDimension| batch.inputs.iter().chain(&batch.outputs).all(|axis| *axis == 0);
    model.joined().filter(first).map_or(0, |_| model.max_rows())
}

/// The extents as Triton's configuration has them: without the batch dimension, where there is one.
pub(crate) fn config_dims(model: &LoadedModel, tensor: &TensorDescription) -> Vec<i64> {
    let shape = tensor.shape();
    if max_batch(model) > 0 { shape.get(1..).unwrap_or_default().to_vec() } else { shape }
}

/// How a model is served, in the words of Triton's configuration as far as those go.
pub(crate) fn config(model: &LoadedModel) -> Value {
    let tensor = |tensor: &TensorDescription| {
        let data_type = format!("TYPE_{}", if tensor.datatype.name() == "BYTES" { "STRING" } else { tensor.datatype.name() });
        json!({ "name": tensor.name, "data_type": data_type, "dims": config_dims(model, tensor), "optional": tensor.optional })
    };
    let delay = u64::from(model.config.batching.delay_ms) * 1000;
    let mut config = json!({
        "name": model.name,
        "platform": PLATFORM,
        "backend": NAME,
        "max_batch_size": max_batch(model),
        "input": model.interface.inputs.iter().map(tensor).collect::<Vec<_>>(),
        "output": model.interface.outputs.iter().map(tensor).collect::<Vec<_>>(),
        "gristmill": model.config,
    });
    if model.joined().is_some() {
        config["dynamic_batching"] = json!({ "preferred_batch_size": model.rows, "max_queue_delay_microseconds": delay });
    }
    if !model.session.states().is_empty() {
        let idle = u64::from(model.config.sequences.idle_seconds) * 1_000_000;
        config["sequence_batching"] = json!({ "max_sequence_idle_microseconds": idle });
    }
    config
}

/// Nanoseconds, as statistics have them.
pub(crate) fn nanoseconds(counted: &Counted) -> u64 {
    u64::try_from(counted.time.as_nanos()).unwrap_or(u64::MAX)
}

/// Failed requests of all kinds.
pub(crate) fn failed(served: &Served) -> Counted {
    let mut all = Counted::default();
    for counted in served.statistics().failed.values() {
        all.count += counted.count;
        all.time += counted.time;
    }
    all
}

/// Milliseconds since 1970.
pub(crate) fn milliseconds(time: Option<SystemTime>) -> u64 {
    let since = time.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// What is counted of a model and its sequences, and how it is doing while so many requests wait for it.
pub(crate) fn statistics(served: &Served, sequences: SequenceCounts, waiting: usize) -> Value {
    let statistics = served.statistics();
    let load = statistics.recent.load(Instant::now());
    let time = |time: Option<Duration>| time.map(|time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    let counted = |counted: &Counted| json!({ "count": counted.count, "ns": nanoseconds(counted) });
    let by_rows = |(rows, computing): (&usize, &Counted)| json!({ "batch_size": rows, "compute_infer": counted(computing) });
    json!({
        "name": served.model.name,
        "version": served.model.version.to_string(),
        "last_inference": milliseconds(statistics.last),
        "inference_count": statistics.rows,
        "execution_count": statistics.batches,
        "inference_stats": {
            "success": counted(&statistics.succeeded),
            "fail": counted(&failed(served)),
            "queue": counted(&statistics.queued),
            "compute_input": counted(&statistics.joining),
            "compute_infer": counted(&statistics.computing),
            "compute_output": counted(&statistics.parting),
        },
        "batch_stats": statistics.by_rows.iter().map(by_rows).collect::<Vec<_>>(),
        "load": {
            "waiting": waiting,
            "per_second": load.per_second,
            "p50_ns": time(load.median),
            "p99_ns": time(load.slowest),
        },
        "sequence_stats": {
            "running": sequences.running,
            "started": sequences.started,
            "idle": sequences.idle,
            "lost": sequences.lost,
        },
    })
}

/// Models are loaded as the repository has them.
///
/// # Errors
/// [`Unimplemented`](Code::Unimplemented) where a request brings files or a configuration.
pub(crate) fn no_load_parameters(any: bool) -> Result<()> {
    match any {
        false => Ok(()),
        true => Err(Failure::new(Code::Unimplemented, "parameters of a load are not implemented: change the repository's files")),
    }
}
