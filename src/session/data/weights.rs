//! Constants on the device: uploaded once per session, in each layout that a kernel wants, and shared by its plans.

use super::elements::widen;
use crate::error::{Error, Result};
use crate::gpu::{Bound, Gpu, GpuBuffer, GpuTexture, Role, Tally};
use crate::kernel::Packing;
use crate::plan::Weight;
use crate::tensor::Tensor;
use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// The most entries in the table before those of dropped plans are removed.
const MAX_DEAD: usize = 4096;

/// Where a constant lies.
enum Storage {
    Buffer(GpuBuffer),
    Texture(GpuTexture),
}

/// One constant in one layout.
pub(crate) struct UploadedWeight {
    storage: Storage,
    tensor: Tensor,
    packing: Option<Packing>,
}

/// All constants of a session that some plan still uses, by a hash of layout and contents.
#[derive(Default)]
pub(crate) struct Weights {
    uploaded: Mutex<HashMap<u64, Vec<Weak<UploadedWeight>>>>,
}

impl UploadedWeight {
    /// All of it, for a kernel to bind.
    pub(crate) fn bound(&self) -> Bound<'_> {
        match &self.storage {
            Storage::Buffer(buffer) => Bound::Buffer(buffer.range(buffer.size())),
            Storage::Texture(texture) => Bound::Texture(texture),
        }
    }

    async fn new(gpu: &Gpu, weight: &Weight, tally: &Tally) -> Result<Self> {
        let mut bytes = Vec::new();
        match &weight.packing {
            Some(packing) => bytes = (packing.pack)(&weight.tensor, &packing.arguments),
            None => widen(weight.tensor.dtype(), weight.tensor.bytes(), &mut bytes),
        }
        let size = (bytes.len() as u64).max(1).next_multiple_of(16);
        check_size(gpu, weight, size)?;
        let storage = if weight.texture {
            let texture = gpu.texture(&weight.name, size, tally).await?;
            gpu.write_texture(&texture, bytes);
            Storage::Texture(texture)
        } else {
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            let buffer = gpu.buffer(&weight.name, size, Role::Storage, tally).await?;
            gpu.write(&buffer, 0, &bytes);
            Storage::Buffer(buffer)
        };
        Ok(UploadedWeight { storage, tensor: weight.tensor.clone(), packing: weight.packing.clone() })
    }

    fn is(&self, weight: &Weight) -> bool {
        let layout = |p: &Option<Packing>| p.as_ref().map(|p| (p.layout, p.arguments.clone()));
        let texture = matches!(self.storage, Storage::Texture(_));
        let alike =
            texture == weight.texture && layout(&self.packing) == layout(&weight.packing) && self.tensor.ty() == weight.tensor.ty();
        alike && (self.tensor.bytes().as_ptr() == weight.tensor.bytes().as_ptr() || self.tensor.bytes() == weight.tensor.bytes())
    }
}

fn check_size(gpu: &Gpu, weight: &Weight, size: u64) -> Result<()> {
    let caps = gpu.caps();
    let limit = caps.max_storage_binding.min(caps.max_buffer);
    let fits = if weight.texture { caps.texture_holds(size) } else { size <= limit };
    if fits {
        return Ok(());
    }
    let name = &weight.name;
    Err(Error::limit(format!("`{name}` takes {size} bytes on the GPU, but {caps} can bind at most {limit}")))
}

impl Weights {
    fn uploaded(&self) -> MutexGuard<'_, HashMap<u64, Vec<Weak<UploadedWeight>>>> {
        self.uploaded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The buffers of a plan's weights, uploading those that are not there yet.
    pub(crate) async fn upload(&self, gpu: &Gpu, weights: &[Weight], tally: &Tally) -> Result<Vec<Arc<UploadedWeight>>> {
        let mut result = Vec::with_capacity(weights.len());
        for weight in weights {
            let key = key(weight);
            let found = self.find(key, weight);
            result.push(match found {
                Some(found) => found,
                None => self.insert(key, UploadedWeight::new(gpu, weight, tally).await?),
            });
        }
        Ok(result)
    }

    fn find(&self, key: u64, weight: &Weight) -> Option<Arc<UploadedWeight>> {
        self.uploaded().get(&key)?.iter().filter_map(Weak::upgrade).find(|uploaded| uploaded.is(weight))
    }

    fn insert(&self, key: u64, weight: UploadedWeight) -> Arc<UploadedWeight> {
        let new = Arc::new(weight);
        let mut uploaded = self.uploaded();
        let alike = uploaded.entry(key).or_default();
        alike.retain(|weight| weight.strong_count() > 0);
        alike.push(Arc::downgrade(&new));
        if uploaded.len() > MAX_DEAD {
            uploaded.retain(|_, alike| alike.iter().any(|weight| weight.strong_count() > 0));
        }
        new
    }
}

fn key(weight: &Weight) -> u64 {
    let mut hasher = DefaultHasher::new();
    weight.tensor.ty().hash(&mut hasher);
    weight.packing.as_ref().map(|p| (p.layout, &p.arguments)).hash(&mut hasher);
    weight.texture.hash(&mut hasher);
    // A sample tells weights apart well enough; `is` compares all bytes.
    let bytes = weight.tensor.bytes();
    bytes.iter().step_by((bytes.len() / 4096).max(1)).for_each(|b| hasher.write_u8(*b));
    hasher.finish()
}
