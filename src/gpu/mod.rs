//! Floor 6: the device. The only module that names wgpu; above it, GPU work is the [`Plan`](crate::plan::Plan)'s data and
//! the few opaque types here.

mod adapter;
mod buffer;
mod cache;
mod clock;
mod commands;
mod fault;
mod kept;
mod pipeline;
mod progress;
mod store;

pub use adapter::Power;
pub use buffer::{GpuBuffer, GpuInput};
pub use cache::CacheFolder;
pub use progress::{KernelEvent, Progress};

pub(crate) use buffer::{Bound, GpuTexture, Range, Role};
pub(crate) use cache::CacheFile;
pub(crate) use clock::Clock;
pub(crate) use commands::{Command, Copy, Recording, Timestamps};
pub(crate) use pipeline::{Compile, Pipeline};

use crate::error::Result;
use crate::kernel::Caps;
use fault::Faults;
use pipeline::Pipelines;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A device that sessions run on. Cloning is cheap and shares the device and its compiled pipelines.
#[derive(Clone)]
pub struct Gpu(Arc<Inner>);

struct Inner {
    caps: Caps,
    device: wgpu::Device,
    queue: wgpu::Queue,
    pipelines: Pipelines,
    faults: Faults,
    /// True for a device that was opened here, and can be opened again.
    owned: bool,
    /// What replaced this device after it was lost.
    successor: futures_intrusive::sync::Mutex<Option<Gpu>>,
}

impl Gpu {
    fn assemble(device: wgpu::Device, queue: wgpu::Queue, owned: bool) -> Gpu {
        let caps = adapter::caps(&device.adapter_info(), &device.features(), &device.limits());
        let faults = Faults::watch(&device, owned);
        let successor = futures_intrusive::sync::Mutex::new(None, true);
        Gpu(Arc::new(Inner { caps, device, queue, pipelines: Pipelines::default(), faults, owned, successor }))
    }

    /// What the adapter offers.
    pub fn caps(&self) -> &Caps {
        &self.0.caps
    }

    /// The device, for a caller that makes buffers of its own.
    pub fn device(&self) -> &wgpu::Device {
        &self.0.device
    }

    /// The queue that belongs to the device.
    pub fn queue(&self) -> &wgpu::Queue {
        &self.0.queue
    }

    /// True when the device no longer answers.
    pub(crate) fn is_lost(&self) -> bool {
        // The callback that tells is called while polling; an error here is told by the callback too.
        let _ = self.device().poll(wgpu::PollType::Poll);
        self.0.faults.is_lost()
    }

    /// A fresh device on the same adapter after this one was lost; all sessions on it get the same one.
    pub(crate) async fn replacement(&self) -> Result<Gpu> {
        if !self.0.owned {
            return Err(self.0.faults.lost("the device belongs to the caller, who must open a new one"));
        }
        let mut successor = self.0.successor.lock().await;
        if let Some(gpu) = &*successor {
            return Ok(gpu.clone());
        }
        let gpu = Gpu::with_adapter(&self.0.caps.name).await?;
        *successor = Some(gpu.clone());
        Ok(gpu)
    }
}

impl std::fmt::Debug for Gpu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Gpu({})", self.caps())
    }
}

/// How many objects were made so far; what "a second run makes nothing" is tested with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Buffers.
    pub buffers: u64,
    /// Bind groups.
    pub bind_groups: u64,
    /// Pipelines compiled.
    pub pipelines: u64,
    /// Plans.
    pub plans: u64,
}

/// Counts as objects are made.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub buffers: AtomicU64,
    pub bind_groups: AtomicU64,
    pub pipelines: AtomicU64,
    pub plans: AtomicU64,
}

impl Tally {
    pub(crate) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Counters {
        Counters {
            buffers: self.buffers.load(Ordering::Relaxed),
            bind_groups: self.bind_groups.load(Ordering::Relaxed),
            pipelines: self.pipelines.load(Ordering::Relaxed),
            plans: self.plans.load(Ordering::Relaxed),
        }
    }
}

/// Waits for a future on this thread; the blocking forms of the interface stand on it.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    pollster::block_on(future)
}
