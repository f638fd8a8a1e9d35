//! Floor 6: the device. The only module that names wgpu; above it, GPU work is the [`Plan`](crate::plan::Plan)'s data and
//! a few opaque types.

mod adapter;
mod allocate;
mod blocking;
mod buffer;
mod cache_file;
mod clock;
mod compile;
mod counters;
mod device;
mod driver_cache;
mod fault;
mod lent;
mod limits;
mod opaque;
mod pipeline;
mod progress;
mod read;
mod recording;
mod submit;
mod texture;
mod timestamps;
mod weak_cache;

pub use adapter::Power;
pub use buffer::{GpuBuffer, GpuInput};
pub use cache_file::CacheFolder;
pub use counters::Counters;
pub use device::Gpu;
pub use progress::{KernelEvent, Progress};

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use blocking::block_on;
pub(crate) use buffer::{Range, Role};
pub(crate) use cache_file::CacheFile;
pub(crate) use clock::Clock;
pub(crate) use compile::Compile;
pub(crate) use counters::Tally;
pub(crate) use lent::Lent;
pub(crate) use opaque::{BoxedFuture, Keeper, Opaque, OpaqueBox, boxed};
pub(crate) use pipeline::Pipeline;
pub(crate) use recording::{BindGroup, Bound, Command, Copy, Recording};
pub(crate) use texture::GpuTexture;
pub(crate) use timestamps::Timestamps;
