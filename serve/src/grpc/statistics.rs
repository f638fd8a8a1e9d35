//! What is said of models, as messages.

use super::messages::{
    InferBatchStatistics, InferStatistics, ModelConfig, ModelConfigResponse, ModelInput, ModelMetadata, ModelOutput,
    ModelStatistics, StatisticDuration, TensorMetadata,
};
use crate::describe;
use crate::engine::{Counted, Served};
use crate::protocol::Datatype;
use crate::repository::{LoadedModel, TensorDescription};

/// A model's inputs and outputs.
pub(super) fn metadata(model: &LoadedModel) -> ModelMetadata {
    let tensor = |tensor: &TensorDescription| TensorMetadata {
        name: tensor.name.clone(),
        datatype: tensor.datatype.name().into(),
        shape: tensor.shape(),
    };
    ModelMetadata {
        name: model.name.clone(),
        versions: vec![model.version.to_string()],
        platform: describe::PLATFORM.into(),
        inputs: model.interface.inputs.iter().map(tensor).collect(),
        outputs: model.interface.outputs.iter().map(tensor).collect(),
    }
}

/// The number of a type in Triton's `model_config.proto`.
fn data_type(datatype: Datatype) -> i32 {
    match datatype {
        Datatype::Bool => 1,
        Datatype::Uint8 => 2,
        Datatype::Uint16 => 3,
        Datatype::Uint32 => 4,
        Datatype::Uint64 => 5,
        Datatype::Int8 => 6,
        Datatype::Int16 => 7,
        Datatype::Int32 => 8,
        Datatype::Int64 => 9,
        Datatype::Fp16 => 10,
        Datatype::Fp32 => 11,
        Datatype::Fp64 => 12,
        Datatype::Bytes => 13,
        Datatype::Bf16 => 14,
    }
}

/// How a model is served.
pub(super) fn config(model: &LoadedModel) -> ModelConfigResponse {
    let input = |tensor: &TensorDescription| ModelInput {
        name: tensor.name.clone(),
        data_type: data_type(tensor.datatype),
        dims: describe::config_dims(model, tensor),
        optional: tensor.optional,
    };
    let output = |tensor: &TensorDescription| ModelOutput {
        name: tensor.name.clone(),
        data_type: data_type(tensor.datatype),
        dims: describe::config_dims(model, tensor),
    };
    let config = ModelConfig {
        name: model.name.clone(),
        platform: describe::PLATFORM.into(),
        max_batch_size: i32::try_from(describe::max_batch(model)).unwrap_or(i32::MAX),
        input: model.interface.inputs.iter().map(input).collect(),
        output: model.interface.outputs.iter().map(output).collect(),
        backend: describe::NAME.into(),
    };
    ModelConfigResponse { config: Some(config) }
}

/// What is counted of a model.
pub(super) fn statistics(served: &Served) -> ModelStatistics {
    let statistics = served.statistics();
    let counted = |counted: &Counted| Some(StatisticDuration { count: counted.count, ns: describe::nanoseconds(counted) });
    let by_rows = |(rows, computing): (&usize, &Counted)| InferBatchStatistics {
        batch_size: u64::try_from(*rows).unwrap_or(u64::MAX),
        compute_infer: counted(computing),
    };
    ModelStatistics {
        name: served.model.name.clone(),
        version: served.model.version.to_string(),
        last_inference: describe::milliseconds(statistics.last),
        inference_count: statistics.rows,
        execution_count: statistics.batches,
        inference_stats: Some(InferStatistics {
            success: counted(&statistics.succeeded),
            fail: counted(&describe::failed(served)),
            queue: counted(&statistics.queued),
            compute_input: counted(&statistics.joining),
            compute_infer: counted(&statistics.computing),
            compute_output: counted(&statistics.parting),
        }),
        batch_stats: statistics.by_rows.iter().map(by_rows).collect(),
    }
}
