//! Files of named tensors in the safetensors format: a length in eight bytes, a header in JSON, the bytes of all tensors.
//!
//! Every byte of a file is hostile: the lints below keep panics, wrapping arithmetic and unchecked conversions out of this folder, and
//! nothing here allocates by a number that stands in a file before the file is known to be as long.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unreachable,
    clippy::unwrap_used
)]

mod format;
mod header;
mod read;
mod write;

pub use format::Safetensors;
