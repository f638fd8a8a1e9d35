//! A tensor of a run: where it lies, and what is known of it.

use super::elements::{assumed, narrow, within_assumed};
use crate::error::{Error, Result};
use crate::gpu::{Gpu, GpuBuffer, Keeper, Range, Tally};
use crate::graph::Fact;
use crate::kernel::Bounds;
use crate::tensor::{Scalar, Tensor, TensorType, TensorView};

/// A tensor on the GPU: row-major elements of four bytes.
#[derive(Clone)]
pub(crate) struct GpuTensor {
    pub ty: TensorType,
    pub scalar: Scalar,
    /// Bounds of integers.
    pub bounds: Option<Bounds>,
    pub buffer: GpuBuffer,
    /// Where in the buffer it starts, in bytes.
    pub offset: u64,
    /// Keeps the buffer out of other runs.
    pub _keeper: Option<Keeper>,
}

/// A tensor on the host.
#[derive(Clone)]
enum HostTensor<'a> {
    Given(TensorView<'a>),
    Own(Tensor),
}

/// A tensor of a run, on the host, on the GPU, or on both.
#[derive(Clone)]
pub(crate) struct Held<'a> {
    host: Option<HostTensor<'a>>,
    gpu: Option<GpuTensor>,
}

impl GpuTensor {
    pub(crate) fn bytes(&self) -> u64 {
        self.ty.elements() as u64 * 4
    }

    pub(crate) fn range(&self) -> Range<'_> {
        Range { buffer: &self.buffer, offset: self.offset, bytes: self.bytes() }
    }

    /// Slice `index` along axis 0.
    pub(crate) fn slice(&self, index: usize) -> Self {
        let ty = TensorType::new(self.ty.dtype, self.ty.shape.get(1..).unwrap_or(&[]));
        let offset = self.offset + index as u64 * ty.elements() as u64 * 4;
        GpuTensor { ty, offset, ..self.clone() }
    }
}

impl HostTensor<'_> {
    fn view(&self) -> TensorView<'_> {
        match self {
            HostTensor::Given(view) => *view,
            HostTensor::Own(tensor) => tensor.view(),
        }
    }
}

impl<'a> Held<'a> {
    pub(crate) fn given(view: TensorView<'a>) -> Self {
        Held { host: Some(HostTensor::Given(view)), gpu: None }
    }

    pub(crate) fn host(tensor: Tensor) -> Self {
        Held { host: Some(HostTensor::Own(tensor)), gpu: None }
    }

    pub(crate) fn gpu(tensor: GpuTensor) -> Self {
        Held { host: None, gpu: Some(tensor) }
    }

    /// The same tensor, on the GPU as well.
    pub(crate) fn and_gpu(self, tensor: GpuTensor) -> Self {
        Held { gpu: Some(tensor), ..self }
    }

    /// The tensor on the GPU, if it is there.
    pub(crate) fn on_gpu(&self) -> Option<&GpuTensor> {
        self.gpu.as_ref()
    }

    /// The tensor on the host, if it is there.
    pub(crate) fn on_host(&self) -> Option<TensorView<'_>> {
        self.host.as_ref().map(HostTensor::view)
    }

    /// Whether both are one tensor, where that can be seen.
    pub(crate) fn is(&self, other: &Self) -> bool {
        match (&self.gpu, &other.gpu, self.on_host(), other.on_host()) {
            (Some(a), Some(b), ..) => a.ty == b.ty && a.offset == b.offset && a.buffer.is(&b.buffer),
            (None, None, Some(a), Some(b)) => a.shape() == b.shape() && std::ptr::eq(a.bytes(), b.bytes()),
            _ => false,
        }
    }

    /// The same tensor, on the host alone where it is there.
    pub(crate) fn without_gpu(self) -> Self {
        if self.host.is_some() { Held { gpu: None, ..self } } else { self }
    }

    pub(crate) fn ty(&self) -> TensorType {
        match (&self.gpu, &self.host) {
            (Some(gpu), _) => gpu.ty.clone(),
            (None, Some(host)) => TensorType::new(host.view().dtype(), host.view().shape()),
            (None, None) => TensorType::new(crate::tensor::DType::F32, []),
        }
    }

    /// Slice `index` along axis 0.
    pub(crate) fn slice(&self, index: usize) -> Result<Held<'a>> {
        if let Some(gpu) = &self.gpu {
            return Ok(Held::gpu(gpu.slice(index)));
        }
        let ty = self.ty();
        let row = TensorType::new(ty.dtype, ty.shape.get(1..).unwrap_or(&[]));
        let bytes = row.elements() * row.dtype.size();
        let all = self.host.as_ref().map(HostTensor::view).ok_or_else(|| Error::internal("a tensor that is nowhere"))?;
        let slice = all.bytes().get(index * bytes..(index + 1) * bytes).unwrap_or(&[]);
        Ok(Held::host(Tensor::from_bytes(row, slice)?))
    }

    /// The same elements under another shape.
    pub(crate) fn under(self, ty: &TensorType) -> Result<Self> {
        let gpu = self.gpu.map(|gpu| GpuTensor { ty: ty.clone(), ..gpu });
        let host = match self.host {
            None => None,
            Some(HostTensor::Own(tensor)) if tensor.ty() == ty => Some(HostTensor::Own(tensor)),
            Some(HostTensor::Given(view)) if view.shape() == &*ty.shape => Some(HostTensor::Given(view)),
            Some(host) => Some(HostTensor::Own(Tensor::from_bytes(ty.clone(), host.view().bytes())?)),
        };
        Ok(Held { host, gpu })
    }

    /// What a plan may take for granted of it: its type, and the bounds of integers.
    pub(crate) fn fact(&self) -> Fact {
        match (&self.host, &self.gpu) {
            (None, Some(gpu)) => Fact { ty: gpu.ty.clone(), value: None, bounds: gpu.bounds },
            (Some(host), _) => assumed(&self.ty(), within_assumed(&host.view())),
            (None, None) => Fact { ty: self.ty(), value: None, bounds: None },
        }
    }

    /// The tensor, to keep; read from the GPU where the host does not have it.
    pub(crate) async fn tensor(&self, gpu: &Gpu, tally: &Tally) -> Result<Tensor> {
        match (&self.host, &self.gpu) {
            (Some(HostTensor::Own(tensor)), _) => Ok(tensor.clone()),
            (Some(HostTensor::Given(view)), _) => Ok(view.to_tensor()),
            (None, Some(tensor)) => {
                let bytes = gpu.read(tensor.range(), tally).await?;
                narrow(&tensor.ty, tensor.scalar, &bytes)
            }
            (None, None) => Err(Error::internal("a tensor that is nowhere")),
        }
    }

    /// Brings the tensor to the host, where it is not there.
    pub(crate) async fn fetch(&mut self, gpu: &Gpu, tally: &Tally) -> Result<()> {
        if self.host.is_none() {
            self.host = Some(HostTensor::Own(self.tensor(gpu, tally).await?));
        }
        Ok(())
    }
}
