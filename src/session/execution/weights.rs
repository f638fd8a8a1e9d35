//! Constants on the device: uploaded once per session, in each layout that a kernel wants, and shared by its plans.

use crate::error::{Error, Result};
use crate::gpu::{Bound, Gpu, GpuBuffer, GpuTexture, Role, Tally};
use crate::kernel::Packing;
use crate::plan::Weight;
use crate::session::data::elements::widen;
use crate::tensor::Tensor;
use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Where a constant lies.
pub(crate) enum Storage {
    Buffer(GpuBuffer),
    Texture(GpuTexture),
}

/// One constant in one layout.
pub(crate) struct Resident {
    pub storage: Storage,
    tensor: Tensor,
    packing: Option<Packing>,
}

impl Storage {
    /// All of it, for a kernel to bind.
    pub(crate) fn bound(&self) -> Bound<'_> {
        match self {
            Storage::Buffer(buffer) => Bound::Buffer(buffer.range(buffer.size())),
            Storage::Texture(texture) => Bound::Texture(texture),
        }
    }
}

impl Resident {
    fn is(&self, weight: &Weight) -> bool {
        let layout = |p: &Option<Packing>| p.as_ref().map(|p| (p.layout, p.arguments.clone()));
        let texture = matches!(self.storage, Storage::Texture(_));
        let same =
            texture == weight.texture && layout(&self.packing) == layout(&weight.packing) && self.tensor.ty() == weight.tensor.ty();
        same && (self.tensor.bytes().as_ptr() == weight.tensor.bytes().as_ptr() || self.tensor.bytes() == weight.tensor.bytes())
    }
}

/// How many entries may stand in the table before those of dropped plans are removed.
const MAX_DEAD: usize = 4096;

/// All constants of a session that some plan still uses, by a hash of layout and contents.
#[derive(Default)]
pub(crate) struct Weights {
    resident: Mutex<HashMap<u64, Vec<Weak<Resident>>>>,
}

impl Weights {
    /// The buffers of a plan's weights, uploading those that are not there yet.
    pub(crate) async fn upload(&self, gpu: &Gpu, weights: &[Weight], tally: &Tally) -> Result<Vec<Arc<Resident>>> {
        let mut result = Vec::with_capacity(weights.len());
        let mut bytes = Vec::new();
        for weight in weights {
            let key = key(weight);
            let found = {
                let resident = self.resident.lock().unwrap_or_else(PoisonError::into_inner);
                resident.get(&key).and_then(|all| all.iter().filter_map(Weak::upgrade).find(|r| r.is(weight)))
            };
            if let Some(found) = found {
                result.push(found);
                continue;
            }
            match &weight.packing {
                Some(packing) => bytes = (packing.pack)(&weight.tensor, &packing.arguments),
                None => widen(weight.tensor.dtype(), weight.tensor.bytes(), &mut bytes),
            }
            let size = (bytes.len() as u64).max(1).next_multiple_of(16);
            let limit = gpu.caps().max_storage_binding.min(gpu.caps().max_buffer);
            if if weight.texture { !gpu.caps().texture_holds(size) } else { size > limit } {
                let name = &weight.name;
                return Err(Error::limit(format!(
                    "`{name}` takes {size} bytes on the GPU, but {} can bind at most {limit}",
                    gpu.caps()
                )));
            }
            let storage = if weight.texture {
                let texture = gpu.texture(&weight.name, size, tally).await?;
                gpu.write_texture(&texture, std::mem::take(&mut bytes));
                Storage::Texture(texture)
            } else {
                bytes.resize(bytes.len().next_multiple_of(4), 0);
                let buffer = gpu.buffer(&weight.name, size, Role::Storage, tally).await?;
                gpu.write(&buffer, 0, &bytes);
                Storage::Buffer(buffer)
            };
            let new = Arc::new(Resident { storage, tensor: weight.tensor.clone(), packing: weight.packing.clone() });
            let mut resident = self.resident.lock().unwrap_or_else(PoisonError::into_inner);
            let all = resident.entry(key).or_default();
            all.retain(|r| r.strong_count() > 0);
            all.push(Arc::downgrade(&new));
            if resident.len() > MAX_DEAD {
                resident.retain(|_, all| all.iter().any(|r| r.strong_count() > 0));
            }
            result.push(new);
        }
        Ok(result)
    }
}

fn key(weight: &Weight) -> u64 {
    let mut hasher = DefaultHasher::new();
    weight.tensor.ty().hash(&mut hasher);
    weight.packing.as_ref().map(|p| (p.layout, &p.arguments)).hash(&mut hasher);
    weight.texture.hash(&mut hasher);
    // A sample tells weights apart well enough; `is` compares all of them.
    let bytes = weight.tensor.bytes();
    bytes.iter().step_by((bytes.len() / 4096).max(1)).for_each(|b| hasher.write_u8(*b));
    hasher.finish()
}
