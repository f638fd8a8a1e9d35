//! Choosing an adapter and opening it.

#[cfg(not(target_arch = "wasm32"))]
use super::blocking::block_on;
use super::device::Gpu;
use super::limits::caps;
use crate::error::{Error, ErrorKind, Result};
use crate::kernel::Caps;

/// Which of several GPUs to prefer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Power {
    /// The one that draws less.
    Low,
    /// The faster one.
    #[default]
    High,
}

/// All adapters, the preferred one first: hardware by power, then software.
async fn ranked(power: Power) -> Vec<wgpu::Adapter> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = wgpu::Backends::PRIMARY;
    let instance = wgpu::Instance::new(descriptor);
    let mut adapters = instance.enumerate_adapters(wgpu::Backends::PRIMARY).await;
    adapters.sort_by_key(|adapter| match (adapter.get_info().device_type, power) {
        (wgpu::DeviceType::DiscreteGpu, Power::High) | (wgpu::DeviceType::IntegratedGpu, Power::Low) => 0,
        (wgpu::DeviceType::DiscreteGpu | wgpu::DeviceType::IntegratedGpu, _) => 1,
        (wgpu::DeviceType::VirtualGpu, _) => 2,
        (wgpu::DeviceType::Other, _) => 3,
        (wgpu::DeviceType::Cpu, _) => 4,
    });
    adapters
}

async fn open(adapter: &wgpu::Adapter) -> Result<Gpu> {
    let wanted = wgpu::Features::SUBGROUP
        | wgpu::Features::SHADER_F16
        | wgpu::Features::SHADER_INT64
        | wgpu::Features::PIPELINE_CACHE
        | wgpu::Features::TIMESTAMP_QUERY
        | wgpu::Features::TIMESTAMP_QUERY_INSIDE_PASSES;
    let descriptor = wgpu::DeviceDescriptor {
        label: Some("gristmill"),
        required_features: adapter.features() & wanted,
        required_limits: adapter.limits(),
        ..Default::default()
    };
    let name = adapter.get_info().name;
    let opened = adapter.request_device(&descriptor).await;
    let (device, queue) = opened.map_err(|e| no_adapter(format!("the adapter `{name}` cannot be opened")).caused_by(e))?;
    Ok(Gpu::assemble(device, queue, true))
}

fn no_adapter(message: String) -> Error {
    Error::new(ErrorKind::NoAdapter, message)
}

const ADVICE: &str = "install a Vulkan driver (Mesa's lavapipe runs on any CPU: package mesa-vulkan-drivers), or use Session::cpu";

impl Gpu {
    /// Opens the best adapter: hardware if there is any, else a software one.
    ///
    /// # Errors
    /// [`NoAdapter`](ErrorKind::NoAdapter) when there is none.
    pub async fn new(power: Power) -> Result<Gpu> {
        match ranked(power).await.first() {
            Some(adapter) => open(adapter).await,
            None => Err(no_adapter(format!("no GPU adapter was found; {ADVICE}"))),
        }
    }

    /// Opens the first adapter whose name contains `name`, in any case.
    ///
    /// # Errors
    /// [`NoAdapter`](ErrorKind::NoAdapter) when there is none, with the names that there are.
    pub async fn with_adapter(name: &str) -> Result<Gpu> {
        let adapters = ranked(Power::High).await;
        let fits = |a: &&wgpu::Adapter| a.get_info().name.to_lowercase().contains(&name.to_lowercase());
        match adapters.iter().find(fits) {
            Some(adapter) => open(adapter).await,
            None => {
                let names: Vec<String> = adapters.iter().map(|a| format!("`{}`", a.get_info().name)).collect();
                let found = if names.is_empty() { format!("no adapter at all; {ADVICE}") } else { names.join(", ") };
                Err(no_adapter(format!("expected an adapter named like `{name}`, found {found}")))
            }
        }
    }

    /// Uses the caller's device. Kernels get the features and limits it was opened with; ask for the adapter's limits,
    /// since WebGPU's defaults bind at most 128 MiB.
    ///
    /// # Errors
    /// [`Limit`](ErrorKind::Limit) when the device offers less than WebGPU's guaranteed limits.
    pub fn from_wgpu(device: wgpu::Device, queue: wgpu::Queue) -> Result<Gpu> {
        let gpu = Gpu::assemble(device, queue, false);
        let (found, least) = (gpu.caps(), Caps::portable());
        if found.max_storage_buffers < least.max_storage_buffers || found.max_invocations < least.max_invocations {
            return Err(Error::limit(format!(
                "expected a device with at least {} storage buffers and {} invocations, found {} and {}; open it with the adapter's limits",
                least.max_storage_buffers, least.max_invocations, found.max_storage_buffers, found.max_invocations
            )));
        }
        Ok(gpu)
    }

    /// A fresh device on the same adapter after this one was lost.
    pub(crate) async fn replacement(&self) -> Result<Gpu> {
        self.successor(async || Gpu::with_adapter(&self.caps().name).await).await
    }

    /// What every adapter offers, the preferred one first.
    pub async fn adapters() -> Vec<Caps> {
        ranked(Power::High).await.iter().map(|a| caps(&a.get_info(), &a.features(), &a.limits())).collect()
    }

    /// [`new`](Gpu::new), blocking.
    ///
    /// # Errors
    /// As `new`.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn new_blocking(power: Power) -> Result<Gpu> {
        block_on(Self::new(power))
    }

    /// [`with_adapter`](Gpu::with_adapter), blocking.
    ///
    /// # Errors
    /// As `with_adapter`.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn with_adapter_blocking(name: &str) -> Result<Gpu> {
        block_on(Self::with_adapter(name))
    }

    /// [`adapters`](Gpu::adapters), blocking.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn adapters_blocking() -> Vec<Caps> {
        block_on(Self::adapters())
    }
}
