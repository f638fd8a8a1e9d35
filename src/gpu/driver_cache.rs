//! Compiled pipelines that outlive the program, where the driver hands them out.

use super::cache_file::CacheFile;
use super::{Gpu, fault::Scopes};
use crate::kernel::Fingerprint;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};

/// A driver's cache of pipelines, and the file that it came from.
pub(super) struct Store {
    cache: wgpu::PipelineCache,
    file: CacheFile,
    /// Hash of what the file is known to hold.
    kept: AtomicU64,
    /// Kernels were compiled since it was written.
    grown: AtomicBool,
}

impl Store {
    /// What pipelines are compiled with.
    pub(super) fn cache(&self) -> &wgpu::PipelineCache {
        &self.cache
    }

    fn save(&self) {
        if !self.grown.swap(false, Ordering::Relaxed) {
            return;
        }
        let Some(data) = self.cache.get_data() else { return };
        let hash = Fingerprint::of(&data);
        if self.kept.swap(hash, Ordering::Relaxed) == hash {
            return;
        }
        // The driver cannot merge; of two processes that compiled different kernels, the one with more to keep wins.
        self.file.update(|found| found.is_none_or(|found| found.len() <= data.len()).then_some(data));
    }
}

impl Gpu {
    /// The cache that belongs to a folder, about to grow; none where the driver offers none.
    pub(super) async fn store(&self, folder: &Path) -> Option<Arc<Store>> {
        let stores = || self.0.pipelines.stores.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = stores().get(folder) {
            found.grown.store(true, Ordering::Relaxed);
            return Some(found.clone());
        }
        let device = self.device();
        if !device.features().contains(wgpu::Features::PIPELINE_CACHE) {
            return None;
        }
        let key = wgpu::util::pipeline_cache_key(&device.adapter_info())?;
        let file = CacheFile::new(folder, "pipelines", &key, self.caps());
        let data = file.read();
        let (cache, fault) = {
            let scopes = Scopes::open(device);
            let descriptor = wgpu::PipelineCacheDescriptor { label: None, data: data.as_deref(), fallback: true };
            // SAFETY: the data was handed out by this call on this adapter and driver, and its checksum holds; the folder is
            // the user's own.
            let cache = unsafe { device.create_pipeline_cache(&descriptor) };
            (cache, scopes.close("reading compiled kernels"))
        };
        if let Err(error) = fault.await {
            log::debug!("compiled kernels are not kept: {error}");
            return None;
        }
        let kept = AtomicU64::new(data.as_deref().map_or(0, Fingerprint::of));
        let store = Arc::new(Store { cache, file, kept, grown: AtomicBool::new(true) });
        Some(stores().entry(folder.to_path_buf()).or_insert(store).clone())
    }

    /// Keeps what was compiled since the last time.
    pub(crate) fn keep_pipelines(&self, folder: &Path) {
        let stores = self.0.pipelines.stores.lock().unwrap_or_else(PoisonError::into_inner);
        let store = stores.get(folder).cloned();
        drop(stores);
        if let Some(store) = store {
            store.save();
        }
    }
}
