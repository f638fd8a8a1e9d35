//! A device with the kernels that it has compiled, shared by everybody who runs on it.

use super::compile::{Compile, Pipelines};
use super::fault::{Faults, Scopes};
use super::lent::Idle;
use super::limits;
use super::opaque::Opaque;
use super::pipeline::Pipeline;
use crate::error::{Error, Result};
use crate::kernel::{Caps, Kernel};
use std::path::Path;
use std::sync::Arc;

/// A device that sessions run on. Cloning is cheap and shares the device and its compiled pipelines.
#[derive(Clone)]
pub struct Gpu(Opaque<Inner>);

struct Inner {
    caps: Caps,
    device: wgpu::Device,
    queue: wgpu::Queue,
    pipelines: Pipelines,
    idle: Arc<Idle>,
    faults: Faults,
    /// True for a device that was opened here, and can be opened again.
    owned: bool,
    /// What replaced this device after it was lost.
    successor: futures_intrusive::sync::Mutex<Option<Gpu>>,
}

impl Gpu {
    pub(super) fn assemble(device: wgpu::Device, queue: wgpu::Queue, owned: bool) -> Gpu {
        let caps = limits::caps(&device.adapter_info(), &device.features(), &device.limits());
        let faults = Faults::watch(&device, owned);
        let successor = futures_intrusive::sync::Mutex::new(None, true);
        Gpu(Opaque::new(Inner {
            caps,
            device,
            queue,
            pipelines: Pipelines::default(),
            idle: Arc::default(),
            faults,
            owned,
            successor,
        }))
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

    /// Calls `make` and reports what the device says to it.
    pub(crate) async fn guarded<T>(&self, doing: &'static str, make: impl FnOnce() -> T) -> Result<T> {
        let (made, fault) = {
            let scopes = Scopes::open(self.device());
            (make(), scopes.close(doing))
        };
        fault.await?;
        Ok(made)
    }

    /// The pipelines of these kernels, compiling in parallel what is missing.
    pub(crate) async fn pipelines(&self, kernels: &[Kernel], how: &Compile<'_>) -> Vec<Result<Arc<Pipeline>>> {
        self.0.pipelines.get(self.device(), self.caps(), kernels, how).await
    }

    /// Keeps in a folder what was compiled since the last time.
    pub(crate) fn keep_pipelines(&self, folder: &Path) {
        self.0.pipelines.keep(folder);
    }

    /// How many compiled kernels the device holds: those that sessions use, and up to 64 that none uses any more.
    pub fn pipelines_held(&self) -> usize {
        self.0.pipelines.held()
    }

    /// Buffers that are lent and come back.
    pub(super) fn idle(&self) -> &Arc<Idle> {
        &self.0.idle
    }

    /// Drops the compiled kernels and the buffers that no session uses.
    pub fn trim(&self) {
        self.0.pipelines.trim();
        self.trim_buffers();
    }

    /// Drops the buffers that no session uses. Compiled kernels stay: they hold little of a device's memory, and compiling takes much of the host's.
    pub(crate) fn trim_buffers(&self) {
        self.0.idle.trim();
    }

    /// Whether both are one device.
    pub(crate) fn is(&self, other: &Gpu) -> bool {
        self.0.is(&other.0)
    }

    /// True when the device no longer answers.
    pub(crate) fn is_lost(&self) -> bool {
        // Polling calls the callback that hears of a loss, also where the poll itself fails.
        let _ = self.device().poll(wgpu::PollType::Poll);
        self.0.faults.is_lost()
    }

    /// The device that replaces this one after it was lost, opened by `open` unless there is one: all sessions on it get the
    /// same one.
    pub(super) async fn successor(&self, open: impl AsyncFnOnce() -> Result<Gpu>) -> Result<Gpu> {
        if !self.0.owned {
            return Err(self.lost("the device belongs to the caller, who must open a new one"));
        }
        let mut successor = self.0.successor.lock().await;
        if let Some(gpu) = &*successor {
            return Ok(gpu.clone());
        }
        let gpu = open().await?;
        *successor = Some(gpu.clone());
        Ok(gpu)
    }

    fn lost(&self, advice: &str) -> Error {
        self.0.faults.lost(advice)
    }
}

impl std::fmt::Debug for Gpu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Gpu({})", self.caps())
    }
}
