//! Compiling kernels, each once per device.

use super::clock::Clock;
use super::counters::Tally;
use super::driver_cache::{DriverCache, DriverCaches};
use super::fault::Scopes;
use super::pipeline::Pipeline;
use super::progress::{KernelEvent, Progress};
use super::texture::TEXTURE_FORMAT;
use super::weak_cache::WeakCache;
use crate::error::{Error, Result};
use crate::kernel::{Access, Caps, Kernel};
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How kernels are compiled.
pub(crate) struct Compile<'a> {
    /// With checks of every index.
    pub checked: bool,
    /// Where what a driver makes of them is kept.
    pub folder: Option<&'a Path>,
    pub progress: &'a Progress,
    pub tally: &'a Tally,
}

/// Of bindings and of pipelines that have such bindings.
type Layout = (wgpu::BindGroupLayout, wgpu::PipelineLayout);

/// A kernel that was given to the driver, and what the driver says to it later.
type Compiled<F> = (Pipeline, F);

/// The pipelines of a device, by kernel and by whether they check indices at run time. A pipeline lives as
/// long as a plan holds it; the last few live on.
#[derive(Default)]
pub(super) struct Pipelines {
    compiled: Mutex<WeakCache<(Kernel, bool), Pipeline>>,
    layouts: Mutex<HashMap<Vec<Access>, Layout>>,
    driver_caches: DriverCaches,
}

impl Pipelines {
    /// The pipelines of these kernels, compiling in parallel what is missing.
    pub(super) async fn get(
        &self,
        device: &wgpu::Device,
        caps: &Caps,
        kernels: &[Kernel],
        how: &Compile<'_>,
    ) -> Vec<Result<Arc<Pipeline>>> {
        let key = |kernel: &Kernel| (kernel.clone(), how.checked);
        let find = |kernel: &Kernel| self.compiled().find(&key(kernel));
        let mut found: Vec<Option<Result<Arc<Pipeline>>>> = kernels.iter().map(|kernel| find(kernel).map(Ok)).collect();
        let missing: Vec<usize> = (0..kernels.len()).filter(|k| found[*k].is_none()).collect();
        if !missing.is_empty() {
            let cache = match how.folder {
                Some(folder) => self.driver_caches.growing(device, caps, folder).await,
                None => None,
            };
            how.progress.tell(KernelEvent::Compiling { kernels: missing.len() });
            let wanted: Vec<&Kernel> = missing.iter().map(|k| &kernels[*k]).collect();
            let compiler = Compiler { device, layouts: &self.layouts, how, cache: cache.as_deref() };
            let made = compiler.compile_all(&wanted).await;
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

    fn compiled(&self) -> MutexGuard<'_, WeakCache<(Kernel, bool), Pipeline>> {
        self.compiled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many are held.
    pub(super) fn held(&self) -> usize {
        self.compiled().len()
    }

    /// Drops those that no plan holds.
    pub(super) fn trim(&self) {
        self.compiled().trim();
    }

    /// Writes what was compiled since the last time into a folder.
    pub(super) fn keep(&self, folder: &Path) {
        self.driver_caches.save(folder);
    }
}

/// One round of compiling.
struct Compiler<'a> {
    device: &'a wgpu::Device,
    layouts: &'a Mutex<HashMap<Vec<Access>, Layout>>,
    how: &'a Compile<'a>,
    cache: Option<&'a DriverCache>,
}

impl Compiler<'_> {
    #[cfg(not(target_arch = "wasm32"))]
    async fn compile_all(&self, kernels: &[&Kernel]) -> Vec<Result<Pipeline>> {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(kernels.len().max(1));
        let next = AtomicUsize::new(0);
        let worker = || {
            let mut done = Vec::new();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(kernel) = kernels.get(index) else { return done };
                done.push((index, self.compile_timed(kernel)));
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
    async fn compile_all(&self, kernels: &[&Kernel]) -> Vec<Result<Pipeline>> {
        let mut results = Vec::with_capacity(kernels.len());
        for kernel in kernels {
            let (pipeline, fault) = self.compile_timed(kernel);
            results.push(fault.await.map(|()| pipeline));
        }
        results
    }

    fn compile_timed(&self, kernel: &Kernel) -> Compiled<impl Future<Output = Result<()>> + use<>> {
        let clock = Clock::start();
        let compiled = self.compile(kernel);
        let microseconds = clock.map_or(f64::NAN, |clock| clock.microseconds());
        self.how.progress.tell(KernelEvent::Compiled { kernel, microseconds });
        compiled
    }

    fn compile(&self, kernel: &Kernel) -> Compiled<impl Future<Output = Result<()>> + use<>> {
        let (device, checked) = (self.device, self.how.checked);
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
        let (layout, pipeline_layout) = self.layout(&kernel.storage);
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
            cache: self.cache.map(DriverCache::wgpu),
        });
        (Pipeline::new(pipeline, layout), scopes.close("compiling a kernel"))
    }

    /// The layout of one uniform and these storage bindings.
    fn layout(&self, storage: &[Access]) -> Layout {
        let mut layouts = self.layouts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = layouts.get(storage) {
            return found.clone();
        }
        let types = std::iter::once(PARAMS).chain(storage.iter().copied().map(binding_type));
        let entries: Vec<wgpu::BindGroupLayoutEntry> = types
            .zip(0..)
            .map(|(ty, binding)| wgpu::BindGroupLayoutEntry { binding, visibility: wgpu::ShaderStages::COMPUTE, ty, count: None })
            .collect();
        let group = self.device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: None, entries: &entries });
        let pipeline = self.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: None,
            bind_group_layouts: &[Some(&group)],
            immediate_size: 0,
        });
        layouts.insert(storage.to_vec(), (group.clone(), pipeline.clone()));
        (group, pipeline)
    }
}

/// Parameters. Steps that differ in them alone share a bind group, each with its offset.
const PARAMS: wgpu::BindingType =
    wgpu::BindingType::Buffer { ty: wgpu::BufferBindingType::Uniform, has_dynamic_offset: true, min_binding_size: None };

fn binding_type(access: Access) -> wgpu::BindingType {
    let buffer = |ty| wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None };
    let texture = |access| wgpu::BindingType::StorageTexture {
        access,
        format: TEXTURE_FORMAT,
        view_dimension: wgpu::TextureViewDimension::D2,
    };
    match access {
        Access::Read => buffer(wgpu::BufferBindingType::Storage { read_only: true }),
        Access::Write => buffer(wgpu::BufferBindingType::Storage { read_only: false }),
        Access::ReadTexture => texture(wgpu::StorageTextureAccess::ReadOnly),
        Access::WriteTexture => texture(wgpu::StorageTextureAccess::WriteOnly),
        Access::Numbers => buffer(wgpu::BufferBindingType::Uniform),
    }
}
