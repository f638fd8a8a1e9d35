//! Models on disk: folders, their configuration, and models read, described and made warm. What serves requests stands above.

mod config;
mod devices;
mod embedder;
mod interface;
mod layout;
mod loaded;
mod padding;
mod probe;

pub use config::{Batching, Embeddings, ModelConfig, Pad, Pooling, Queue, Sequences};
pub use devices::{Device, DeviceMemory, Devices, Placed, Placement};
pub use embedder::Embedder;
pub use interface::{BatchDimension, Interface, TensorDescription};
pub use layout::{Folder, Version, is_name, scan};
pub use loaded::LoadedModel;
pub use padding::{Mask, Padding};
