//! Runs whose inputs and outputs stay on the GPU.

use super::data::elements::{assumed, widen};
use super::data::held::{GpuTensor, Held};
use super::data::inputs::{Given, matched};
use super::device::DeviceState;
use super::execution::loaded::{Lease, LoadedPlan};
use super::front::Session;
use super::runtime::Runtime;
use super::stages::planned::Route;
use super::stages::runner::Runner;
use crate::error::{Error, Result};
use crate::gpu::{GpuBuffer, GpuInput, Keeper, Opaque, Role, boxed};
use crate::graph::{Fact, Structure};
use crate::tensor::{DType, Scalar, TensorType};
use std::collections::HashMap;

/// The outputs of a run that stayed on the GPU. The buffers are read only, and valid until this is dropped: then a later
/// run writes them.
pub struct GpuOutputs {
    entries: Vec<(String, TensorType, GpuBuffer)>,
    /// Keeps the buffers out of later runs.
    _keeper: Option<Keeper>,
}

impl GpuOutputs {
    /// Type and buffer of an output: row-major elements of four bytes (f32; i32 for signed integers; u32 for unsigned ones
    /// and bool).
    pub fn get(&self, name: &str) -> Option<(&TensorType, &GpuBuffer)> {
        self.entries.iter().find(|(n, ..)| n == name).map(|(_, ty, buffer)| (ty, buffer))
    }

    /// Names, types and buffers, in the model's order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &TensorType, &GpuBuffer)> {
        self.entries.iter().map(|(name, ty, buffer)| (name.as_str(), ty, buffer))
    }
}

impl Session {
    /// Runs the model on the caller's buffers and leaves the results on the GPU. 64-bit integers in buffers are promised
    /// to lie within ±2^24. A model whose plan needs the host in between, or input values for its shapes, is run through
    /// the host all the same, which is slower.
    ///
    /// # Errors
    /// As [`run`](Session::run); [`InvalidInput`](crate::ErrorKind::InvalidInput) for a buffer that is too small.
    pub async fn run_on_gpu(&self, inputs: &[(&str, GpuInput<'_>)]) -> Result<GpuOutputs> {
        let runtime = self.runtime(inputs.iter().map(|(name, _)| *name))?;
        boxed(outputs(&runtime, inputs)).await
    }

    /// [`run_on_gpu`](Session::run_on_gpu), blocking.
    ///
    /// # Errors
    /// As `run_on_gpu`.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn run_on_gpu_blocking(&self, inputs: &[(&str, GpuInput<'_>)]) -> Result<GpuOutputs> {
        crate::gpu::block_on(self.run_on_gpu(inputs))
    }
}

/// The elements that a dtype has in the caller's buffers.
fn scalar(dtype: DType) -> Option<Scalar> {
    match dtype {
        DType::I64 => Some(Scalar::I32),
        DType::U64 => Some(Scalar::U32),
        other => Fact::new(other, []).scalar(),
    }
}

/// The inputs in the model's order, after a check.
fn checked(runtime: &Runtime, inputs: &[(&str, GpuInput<'_>)]) -> Result<Vec<Structure<GpuTensor>>> {
    let dtype = |name: &str| runtime.inputs.iter().find(|i| i.name == name).map_or(DType::F32, |i| i.dtype);
    let given: Vec<Given<'_>> = inputs.iter().map(|(name, input)| (*name, Structure::Tensor((dtype(name), input.shape)))).collect();
    let mut buffers = Vec::with_capacity(inputs.len());
    for place in matched(&runtime.inputs, &given)? {
        let Some((name, input)) = place.map(|k| inputs[k]) else {
            buffers.push(Structure::Absent);
            continue;
        };
        let ty = TensorType::new(dtype(name), input.shape);
        let scalar = scalar(ty.dtype).ok_or_else(|| Error::unsupported(format!("input `{name}`: {} has no GPU form", ty.dtype)))?;
        let buffer = input.checked(name, ty.elements() as u64 * 4)?;
        let bounds = assumed(&ty, true).bounds;
        buffers.push(Structure::Tensor(GpuTensor { ty, scalar, bounds, buffer, offset: 0, _keeper: None }));
    }
    Ok(buffers)
}

async fn outputs(runtime: &Runtime, inputs: &[(&str, GpuInput<'_>)]) -> Result<GpuOutputs> {
    let device = runtime.device().ok_or_else(|| Error::unsupported("this session runs on the CPU, and has no GPU buffers"))?;
    runtime.need_none_of_states()?;
    let inputs = checked(runtime, inputs)?;
    let mut held: Vec<Structure<Held<'_>>> = inputs.iter().map(|input| input.map(|tensor| Held::gpu(tensor.clone()))).collect();
    match device.planned.route(&runtime.resources(&device), &mut held).await? {
        Route::Plan(loaded, ends) if loaded.stays_on_gpu() && ends.are_tensors() => on_device(runtime, &loaded, inputs).await,
        Route::Plan(..) | Route::Stages(_) => through_host(runtime, &device, held).await,
    }
}

async fn on_device(runtime: &Runtime, loaded: &Opaque<LoadedPlan>, inputs: Vec<Structure<GpuTensor>>) -> Result<GpuOutputs> {
    let ids = runtime.graph.inputs().iter().map(|i| i.value);
    let given = ids
        .zip(inputs)
        .filter_map(|(id, input)| if let Structure::Tensor(input) = input { Some((id, input.buffer)) } else { None });
    let by_value: HashMap<_, _> = given.collect();
    let lease = Lease::enqueue(loaded, &by_value).await?;
    let outputs = runtime.output_names().into_iter().zip(&loaded.plan().outputs);
    let entry = |(name, transfer): (String, &Option<crate::plan::Transfer>)| {
        let transfer = transfer.as_ref()?;
        Some((name, transfer.ty.clone(), lease.buffer(transfer.tensor)?.clone()))
    };
    let entries = outputs.filter_map(entry).collect();
    Ok(GpuOutputs { entries, _keeper: Some(Opaque::new(lease).keeper()) })
}

/// Runs the model as ever, and uploads what of its results the host has.
async fn through_host(runtime: &Runtime, device: &DeviceState, inputs: Vec<Structure<Held<'_>>>) -> Result<GpuOutputs> {
    let (gpu, tally) = (&device.gpu, &runtime.tally);
    let runner = Runner { resources: runtime.resources(device), recorder: None };
    let results = runner.outputs(&device.planned, inputs).await?;
    let mut entries = Vec::with_capacity(results.len());
    for (name, result) in runtime.output_names().into_iter().zip(results) {
        let tensor = result.tensor()?.tensor(gpu, tally).await?;
        if scalar(tensor.dtype()).is_none() {
            return Err(Error::unsupported(format!("output `{name}`: {} has no GPU form", tensor.ty())));
        }
        let mut bytes = Vec::new();
        widen(tensor.dtype(), tensor.bytes(), &mut bytes);
        let size = (bytes.len() as u64).max(1).next_multiple_of(16);
        let buffer = gpu.buffer(&name, size, Role::Storage, tally).await?;
        gpu.write(&buffer, 0, &bytes);
        entries.push((name, tensor.ty().clone(), buffer));
    }
    Ok(GpuOutputs { entries, _keeper: None })
}
