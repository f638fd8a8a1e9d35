//! Compiling kernels, each once per device.

use super::buffer::TEXTURE_FORMAT;
use super::driver_cache::Store;
use super::fault::Scopes;
use super::weak_cache::Kept;
use super::{Clock, Gpu, KernelEvent, Progress, Tally};
use crate::error::{Error, Result};
use crate::kernel::{Access, Kernel};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A compiled kernel and the layout of its bindings.
pub(crate) struct Pipeline {
    pub(super) pipeline: wgpu::ComputePipeline,
    pub(super) layout: wgpu::BindGroupLayout,
    /// It ran once.
    dispatched: AtomicBool,
}

impl Pipeline {
    /// Whether it never ran.
    pub(crate) fn is_new(&self) -> bool {
        !self.dispatched.load(Ordering::Relaxed)
    }

    /// It ran.
    pub(crate) fn has_run(&self) {
        self.dispatched.store(true, Ordering::Relaxed);
    }
}

/// How kernels are compiled.
pub(crate) struct Compile<'a> {
    /// With checks of every index.
    pub checked: bool,
    /// Where what a driver makes of them is kept.
    pub folder: Option<&'a Path>,
    pub progress: &'a Progress,
    pub tally: &'a Tally,
}

type Layouts = HashMap<Vec<Access>, (wgpu::BindGroupLayout, wgpu::PipelineLayout)>;

/// The pipelines of a device, by kernel and by whether they check indices at run time; see [`Kept`] for how long
/// they live.
#[derive(Default)]
pub(super) struct Pipelines {
    compiled: Mutex<Kept<(Kernel, bool), Pipeline>>,
    layouts: Mutex<Layouts>,
    /// By folder.
    pub(super) stores: Mutex<HashMap<PathBuf, Arc<Store>>>,
}

impl Gpu {
    /// The pipelines of these kernels, compiling in parallel what is missing.
    pub(crate) async fn pipelines(&self, kernels: &[Kernel], how: &Compile<'_>) -> Vec<Result<Arc<Pipeline>>> {
        let key = |kernel: &Kernel| (kernel.clone(), how.checked);
        let find = |kernel: &Kernel| self.compiled().find(&key(kernel));
        let mut found: Vec<Option<Result<Arc<Pipeline>>>> = kernels.iter().map(|kernel| find(kernel).map(Ok)).collect();
        let missing: Vec<usize> = (0..kernels.len()).filter(|k| found[*k].is_none()).collect();
        if !missing.is_empty() {
            let store = match how.folder {
                Some(folder) => self.store(folder).await,
                None => None,
            };
            how.progress.tell(KernelEvent::Compiling { kernels: missing.len() });
            let wanted: Vec<&Kernel> = missing.iter().map(|k| &kernels[*k]).collect();
            let made = self.compile_all(&wanted, how, store.as_deref()).await;
            for (k, result) in missing.into_iter().zip(made) {
                let name = kernels[k].shader.name;
                let result = result.map(|pipeline| {
                    Tally::add(&how.tally.pipelines);
                    self.compiled().insert(key(&kernels[k]), pipeline)
                });
                found[k] = Some(result.map_err(|e| e.at(format!("shader {name}"))));
            }
        }
        found.into_iter().map(|found| found.unwrap_or_else(|| Err(Error::internal("a pipeline is missing")))).collect()
    }

    fn compiled(&self) -> MutexGuard<'_, Kept<(Kernel, bool), Pipeline>> {
        self.0.pipelines.compiled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many compiled kernels the device holds: those that sessions use, and up to 64 that none uses any more.
    pub fn pipelines_held(&self) -> usize {
        self.compiled().len()
    }

    /// Lets the compiled kernels go that no session uses.
    pub fn trim(&self) {
        self.compiled().trim();
    }

    #[cfg(not(target_arch = "wasm32"))]
    async fn compile_all(&self, kernels: &[&Kernel], how: &Compile<'_>, store: Option<&Store>) -> Vec<Result<Pipeline>> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(kernels.len().max(1));
        let next = std::sync::atomic::AtomicUsize::new(0);
        let worker = || {
            let mut done = Vec::new();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(kernel) = kernels.get(index) else { return done };
                done.push((index, self.compile_timed(kernel, how, store)));
            }
        };
        let mut started: Vec<_> = std::thread::scope(|scope| {
            let others: Vec<_> = (1..threads).map(|_| scope.spawn(worker)).collect();
            let mut all = worker();
            all.extend(others.into_iter().flat_map(|t| t.join().unwrap_or_default()));
            all
        });
        started.sort_by_key(|(index, _)| *index);
        let mut results = Vec::with_capacity(kernels.len());
        for (_, (pipeline, fault)) in started {
            results.push(fault.await.map(|()| pipeline));
        }
        results.resize_with(kernels.len(), || Err(Error::internal("a thread that compiles pipelines ended early")));
        results
    }

    #[cfg(target_arch = "wasm32")]
    async fn compile_all(&self, kernels: &[&Kernel], how: &Compile<'_>, store: Option<&Store>) -> Vec<Result<Pipeline>> {
        let mut results = Vec::with_capacity(kernels.len());
        for kernel in kernels {
            let (pipeline, fault) = self.compile_timed(kernel, how, store);
            results.push(fault.await.map(|()| pipeline));
        }
        results
    }

    fn compile_timed(
        &self,
        kernel: &Kernel,
        how: &Compile<'_>,
        store: Option<&Store>,
    ) -> (Pipeline, impl Future<Output = Result<()>> + use<>) {
        let clock = Clock::start();
        let compiled = self.compile(kernel, how.checked, store);
        let microseconds = clock.map_or(f64::NAN, |clock| clock.microseconds());
        how.progress.tell(KernelEvent::Compiled { kernel, microseconds });
        compiled
    }

    fn compile(
        &self,
        kernel: &Kernel,
        checked: bool,
        store: Option<&Store>,
    ) -> (Pipeline, impl Future<Output = Result<()>> + use<>) {
        let device = self.device();
        let scopes = Scopes::open(device);
        let label = Some(kernel.shader.name);
        let descriptor = wgpu::ShaderModuleDescriptor { label, source: wgpu::ShaderSource::Wgsl(kernel.source().into()) };
        let module = if checked {
            device.create_shader_module(descriptor)
        } else {
            // SAFETY: kernels are the crate's own and index inside their bindings: the host computes extents and strides
            // from the sizes of the buffers that it binds, and kernels clamp indices that come from data. The tests run
            // every kernel with checks too and compare.
            unsafe { device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked()) }
        };
        let (layout, pipeline_layout) = self.layouts(&kernel.storage);
        let constants: Vec<(&str, f64)> = kernel.overrides.iter().map(|(name, value)| (*name, f64::from(*value))).collect();
        // Kernels write workgroup memory before they read it: zeros are a check, too.
        let compilation_options =
            wgpu::PipelineCompilationOptions { constants: &constants, zero_initialize_workgroup_memory: checked };
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label,
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: None,
            compilation_options,
            cache: store.map(Store::cache),
        });
        (Pipeline { pipeline, layout, dispatched: AtomicBool::new(false) }, scopes.close("compiling a kernel"))
    }

    /// Layouts of one uniform and these storage bindings.
    fn layouts(&self, storage: &[Access]) -> (wgpu::BindGroupLayout, wgpu::PipelineLayout) {
        let mut layouts = self.0.pipelines.layouts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = layouts.get(storage) {
            return found.clone();
        }
        let buffer = |ty| wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None };
        let texture = |access| wgpu::BindingType::StorageTexture {
            access,
            format: TEXTURE_FORMAT,
            view_dimension: wgpu::TextureViewDimension::D2,
        };
        let types = storage.iter().map(|access| match access {
            Access::Read => buffer(wgpu::BufferBindingType::Storage { read_only: true }),
            Access::Write => buffer(wgpu::BufferBindingType::Storage { read_only: false }),
            Access::ReadTexture => texture(wgpu::StorageTextureAccess::ReadOnly),
            Access::WriteTexture => texture(wgpu::StorageTextureAccess::WriteOnly),
            Access::Numbers => buffer(wgpu::BufferBindingType::Uniform),
        });
        let types = std::iter::once(buffer(wgpu::BufferBindingType::Uniform)).chain(types);
        let entries: Vec<wgpu::BindGroupLayoutEntry> = types
            .zip(0..)
            .map(|(ty, binding)| wgpu::BindGroupLayoutEntry { binding, visibility: wgpu::ShaderStages::COMPUTE, ty, count: None })
            .collect();
        let device = self.device();
        let group = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: None, entries: &entries });
        let pipeline = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: None,
            bind_group_layouts: &[Some(&group)],
            immediate_size: 0,
        });
        layouts.insert(storage.to_vec(), (group.clone(), pipeline.clone()));
        (group, pipeline)
    }
}
