//! Runs whose inputs and outputs stay on the GPU.

use super::Session;
use super::data::elements::{narrow, widen};
use super::data::inputs;
use super::execution::loaded::Lease;
use super::stages::planned::Entry;
use crate::error::{Error, Result};
use crate::gpu::{GpuBuffer, GpuInput, Role};
use crate::graph::Fact;
use crate::tensor::{DType, Scalar, Tensor, TensorType, TensorView};
use std::collections::HashMap;

/// The outputs of a run that stayed on the GPU. The buffers are read only, and valid until this is dropped: then a later
/// run writes them.
pub struct GpuOutputs {
    entries: Vec<(String, TensorType, GpuBuffer)>,
    /// Keeps the buffers out of later runs.
    _lease: Option<Lease>,
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

/// The elements that a dtype has in the caller's buffers.
fn scalar(dtype: DType) -> Option<Scalar> {
    match dtype {
        DType::I64 => Some(Scalar::I32),
        DType::U64 => Some(Scalar::U32),
        other => Fact::new(other, []).scalar(),
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
        if let Some(session) = self.replacing(inputs.iter().map(|(name, _)| *name))? {
            return Box::pin(session.run_on_gpu(inputs)).await;
        }
        let device = self.device().ok_or_else(|| Error::unsupported("this session runs on the CPU, and has no GPU buffers"))?;
        let dtype = |name: &str| self.inputs.iter().find(|i| i.name == name).map_or(DType::F32, |i| i.dtype);
        let given: Vec<(&str, DType, &[usize])> = inputs.iter().map(|(name, input)| (*name, dtype(name), input.shape)).collect();
        let mut buffers = Vec::new();
        for k in inputs::matched(&self.inputs, &given)? {
            let (name, input) = inputs[k];
            let ty = TensorType::new(given[k].1, input.shape);
            let scalar =
                scalar(ty.dtype).ok_or_else(|| Error::unsupported(format!("input `{name}`: {} has no GPU form", ty.dtype)))?;
            buffers.push((input.checked(name, ty.elements() as u64 * 4)?, ty, scalar));
        }
        let context = self.context(&device, None);
        // The plan depends on shapes only, so zeros stand in for contents.
        let zeros: Vec<Tensor> = buffers.iter().map(|(_, ty, _)| Tensor::zeros(ty.clone())).collect();
        let views: Vec<TensorView<'_>> = zeros.iter().map(Tensor::view).collect();
        let mut entry = None;
        if !device.unit.depends_on_values() {
            let found = device.unit.entry(&context, &views).await;
            if !device.unit.depends_on_values() {
                entry = Some(found?);
            }
        }
        if let Some(Entry::Plan(prepared)) = entry
            && prepared.is_resident()
        {
            let ids = self.graph.inputs().iter().map(|i| i.value);
            let by_value: HashMap<_, _> = ids.zip(buffers.into_iter().map(|(buffer, ..)| buffer)).collect();
            let lease = prepared.run_resident(&by_value).await?;
            let output = |(name, transfer): (String, &Option<crate::plan::Transfer>)| {
                let transfer = transfer.as_ref()?;
                Some((name, transfer.ty.clone(), lease.buffer(transfer.tensor)?.clone()))
            };
            let entries = self.outputs().into_iter().zip(&prepared.plan.outputs).filter_map(output).collect();
            return Ok(GpuOutputs { entries, _lease: Some(lease) });
        }
        let mut tensors = Vec::new();
        for (buffer, ty, scalar) in &buffers {
            let bytes = device.gpu.read(buffer, ty.elements() as u64 * 4, &self.tally).await?;
            tensors.push(narrow(ty, *scalar, &bytes)?);
        }
        let views: Vec<TensorView<'_>> = tensors.iter().map(Tensor::view).collect();
        let results = device.unit.run(&context, &views).await?;
        let mut entries = Vec::new();
        for (name, tensor) in self.outputs().into_iter().zip(results) {
            if scalar(tensor.dtype()).is_none() {
                return Err(Error::unsupported(format!("output `{name}`: {} has no GPU form", tensor.ty())));
            }
            let mut bytes = Vec::new();
            widen(tensor.dtype(), tensor.bytes(), &mut bytes);
            let size = (bytes.len() as u64).max(1).next_multiple_of(16);
            let buffer = device.gpu.buffer(&name, size, Role::Storage, &self.tally).await?;
            device.gpu.write(&buffer, 0, &bytes);
            entries.push((name, tensor.ty().clone(), buffer));
        }
        Ok(GpuOutputs { entries, _lease: None })
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
