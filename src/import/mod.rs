//! Floor 8: model files to a [`Graph`](crate::graph::Graph).
//!
//! Every byte of a file is hostile: the lints below keep panics, wrapping arithmetic and unchecked conversions out of
//! this folder, and nothing here allocates by a number that stands in a file.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unreachable,
    clippy::unwrap_used
)]

pub mod onnx;

use crate::error::Result;
use crate::graph::Model;
use std::path::Path;

impl Model {
    /// Reads an ONNX file. External data are looked for in the folder of the file and nowhere else.
    ///
    /// # Errors
    /// [`Io`](crate::ErrorKind::Io) when a file cannot be read, [`InvalidModel`](crate::ErrorKind::InvalidModel) when it
    /// is malformed, [`Unsupported`](crate::ErrorKind::Unsupported) naming the first operator or type that is not
    /// implemented, [`Limit`](crate::ErrorKind::Limit) when a tensor or the graph is too large.
    pub fn load(path: impl AsRef<Path>) -> Result<Model> {
        onnx::load(path.as_ref()).map(Model::from_graph)
    }

    /// A model from bytes in memory. A model with external data needs the `folder` in which they lie.
    ///
    /// # Errors
    /// Those of [`load`](Model::load).
    pub fn from_bytes(bytes: &[u8], folder: Option<&Path>) -> Result<Model> {
        onnx::from_bytes(bytes, folder).map(Model::from_graph)
    }
}
