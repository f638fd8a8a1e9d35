//! Runs whose inputs and outputs stay on the GPU.

use super::data::elements::{narrow, widen};
use super::data::inputs::matched;
use super::device::DeviceState;
use super::execution::loaded::{Lease, LoadedPlan};
use super::front::Session;
use super::runtime::Runtime;
use super::stages::planned::Route;
use super::stages::runner::Runner;
use crate::error::{Error, Result};
use crate::gpu::{GpuBuffer, GpuInput, Opaque, Role, boxed};
use crate::graph::Fact;
use crate::tensor::{DType, Scalar, Tensor, TensorType, TensorView};
use std::collections::HashMap;

/// The outputs of a run that stayed on the GPU. The buffers are read only, and valid until this is dropped: then a later
/// run writes them.
pub struct GpuOutputs {
    entries: Vec<(String, TensorType, GpuBuffer)>,
    /// Keeps the buffers out of later runs.
    _lease: Option<Opaque<Lease>>,
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

/// An input in a buffer.
struct InputBuffer {
    buffer: GpuBuffer,
    ty: TensorType,
    scalar: Scalar,
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
fn checked(runtime: &Runtime, inputs: &[(&str, GpuInput<'_>)]) -> Result<Vec<InputBuffer>> {
    let dtype = |name: &str| runtime.inputs.iter().find(|i| i.name == name).map_or(DType::F32, |i| i.dtype);
    let given: Vec<(&str, DType, &[usize])> = inputs.iter().map(|(name, input)| (*name, dtype(name), input.shape)).collect();
    let mut buffers = Vec::with_capacity(inputs.len());
    for k in matched(&runtime.inputs, &given)? {
        let (name, input) = inputs[k];
        let ty = TensorType::new(given[k].1, input.shape);
        let scalar = scalar(ty.dtype).ok_or_else(|| Error::unsupported(format!("input `{name}`: {} has no GPU form", ty.dtype)))?;
        buffers.push(InputBuffer { buffer: input.checked(name, ty.elements() as u64 * 4)?, ty, scalar });
    }
    Ok(buffers)
}

async fn outputs(runtime: &Runtime, inputs: &[(&str, GpuInput<'_>)]) -> Result<GpuOutputs> {
    let device = runtime.device().ok_or_else(|| Error::unsupported("this session runs on the CPU, and has no GPU buffers"))?;
    let inputs = checked(runtime, inputs)?;
    match resident_plan(runtime, &device, &inputs).await? {
        Some(loaded) => on_device(runtime, &loaded, inputs).await,
        None => through_host(runtime, &device, &inputs).await,
    }
}

/// The plan for inputs of these types, if it depends on types only and never leaves the GPU.
async fn resident_plan(runtime: &Runtime, device: &DeviceState, inputs: &[InputBuffer]) -> Result<Option<Opaque<LoadedPlan>>> {
    let routes = &device.planned.routes;
    if routes.depends_on_values() {
        return Ok(None);
    }
    // The plan depends on types only, so zeros stand in for contents.
    let zeros: Vec<Tensor> = inputs.iter().map(|input| Tensor::zeros(input.ty.clone())).collect();
    let views: Vec<TensorView<'_>> = zeros.iter().map(Tensor::view).collect();
    let route = device.planned.route(&runtime.resources(device), &views).await;
    // While the plan was made, a shape may have turned out to depend on contents, so that zeros may even have failed.
    if routes.depends_on_values() {
        return Ok(None);
    }
    Ok(match route? {
        Route::Plan(loaded) if loaded.stays_on_gpu() => Some(loaded),
        Route::Plan(_) | Route::Stages(_) => None,
    })
}

async fn on_device(runtime: &Runtime, loaded: &Opaque<LoadedPlan>, inputs: Vec<InputBuffer>) -> Result<GpuOutputs> {
    let ids = runtime.graph.inputs().iter().map(|i| i.value);
    let by_value: HashMap<_, _> = ids.zip(inputs.into_iter().map(|input| input.buffer)).collect();
    let lease = Lease::enqueue(loaded, &by_value).await?;
    let outputs = runtime.output_names().into_iter().zip(&loaded.plan().outputs);
    let entry = |(name, transfer): (String, &Option<crate::plan::Transfer>)| {
        let transfer = transfer.as_ref()?;
        Some((name, transfer.ty.clone(), lease.buffer(transfer.tensor)?.clone()))
    };
    let entries = outputs.filter_map(entry).collect();
    Ok(GpuOutputs { entries, _lease: Some(Opaque::new(lease)) })
}

/// Downloads the inputs, runs the model as ever, and uploads the results.
async fn through_host(runtime: &Runtime, device: &DeviceState, inputs: &[InputBuffer]) -> Result<GpuOutputs> {
    let (gpu, tally) = (&device.gpu, &runtime.tally);
    let mut tensors = Vec::with_capacity(inputs.len());
    for InputBuffer { buffer, ty, scalar } in inputs {
        let bytes = gpu.read(buffer, ty.elements() as u64 * 4, tally).await?;
        tensors.push(narrow(ty, *scalar, &bytes)?);
    }
    let views: Vec<TensorView<'_>> = tensors.iter().map(Tensor::view).collect();
    let runner = Runner { resources: runtime.resources(device), recorder: None };
    let results = runner.outputs(&device.planned, &views).await?;
    let mut entries = Vec::with_capacity(results.len());
    for (name, tensor) in runtime.output_names().into_iter().zip(results) {
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
    Ok(GpuOutputs { entries, _lease: None })
}
