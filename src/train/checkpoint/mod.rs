//! Checkpoints as files: each written whole or not at all, the last few kept.

mod checksum;
mod file;
mod folder;
mod whole;

pub use file::{Saved, load, save};
pub use folder::CheckpointFolder;
pub(super) use whole::write_whole;
