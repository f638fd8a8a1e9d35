//! Compiled pipelines that outlive the program, where the driver hands them out.

use super::cache_file::CacheFile;
use super::fault::Scopes;
use crate::kernel::{Caps, Fingerprint};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A driver's cache of pipelines, and the file that it came from.
pub(super) struct DriverCache {
    cache: wgpu::PipelineCache,
    file: CacheFile,
    /// Hash of what the file is known to hold.
    saved: AtomicU64,
    /// Kernels were compiled since it was written.
    grown: AtomicBool,
}

/// The caches of a device, by folder.
#[derive(Default)]
pub(super) struct DriverCaches(Mutex<HashMap<PathBuf, Arc<DriverCache>>>);

impl DriverCache {
    /// What pipelines are compiled with.
    pub(super) fn wgpu(&self) -> &wgpu::PipelineCache {
        &self.cache
    }

    /// What a file holds, as the driver reads it; `None` where the driver offers no cache.
    async fn open(device: &wgpu::Device, caps: &Caps, folder: &Path) -> Option<Self> {
        if !device.features().contains(wgpu::Features::PIPELINE_CACHE) {
            return None;
        }
        let key = wgpu::util::pipeline_cache_key(&device.adapter_info())?;
        let file = CacheFile::new(folder, "pipelines", &key, caps);
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
        let saved = AtomicU64::new(data.as_deref().map_or(0, Fingerprint::of));
        Some(DriverCache { cache, file, saved, grown: AtomicBool::new(true) })
    }

    fn save(&self) {
        if !self.grown.swap(false, Ordering::Relaxed) {
            return;
        }
        let Some(data) = self.cache.get_data() else { return };
        let hash = Fingerprint::of(&data);
        if self.saved.swap(hash, Ordering::Relaxed) == hash {
            return;
        }
        // The driver cannot merge; of two processes that compiled different kernels, the one with more to keep wins.
        self.file.update(|found| found.is_none_or(|found| found.len() <= data.len()).then_some(data));
    }
}

impl DriverCaches {
    fn all(&self) -> MutexGuard<'_, HashMap<PathBuf, Arc<DriverCache>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The cache that belongs to a folder, about to grow; none where the driver offers none.
    pub(super) async fn growing(&self, device: &wgpu::Device, caps: &Caps, folder: &Path) -> Option<Arc<DriverCache>> {
        if let Some(found) = self.all().get(folder) {
            found.grown.store(true, Ordering::Relaxed);
            return Some(found.clone());
        }
        let opened = Arc::new(DriverCache::open(device, caps, folder).await?);
        Some(self.all().entry(folder.to_path_buf()).or_insert(opened).clone())
    }

    /// Writes what was compiled since the last time.
    pub(super) fn save(&self, folder: &Path) {
        let found = self.all().get(folder).cloned();
        if let Some(cache) = found {
            cache.save();
        }
    }
}
