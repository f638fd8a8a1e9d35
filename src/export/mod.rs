//! Floor 8: a [`Graph`] to model files.

mod onnx;

pub use onnx::OnnxOptions;

use crate::error::Result;
use crate::graph::{Graph, Model};

impl Graph {
    /// The graph as an ONNX file: its nodes in their order, its constants as initializers. Equal graphs make equal bytes.
    ///
    /// Nodes are written by ONNX's operators, in the oldest operator set from 21 on that has all of them. What has no operator of its own
    /// there, and is others composed, is written as these. States are inputs and outputs of the file ([`OnnxOptions`]).
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) naming every node that ONNX has no form of: gradients, updates, what passes make.
    /// [`Limit`](crate::ErrorKind::Limit) beyond 2 GiB, the most that such a file holds.
    pub fn to_onnx(&self) -> Result<Vec<u8>> {
        onnx::export(self, &OnnxOptions::default())
    }

    /// The graph as an ONNX file, see [`to_onnx`](Graph::to_onnx).
    ///
    /// # Errors
    /// As `to_onnx`; [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for a state that is to be a constant and has no initial value.
    pub fn to_onnx_with(&self, options: &OnnxOptions) -> Result<Vec<u8>> {
        onnx::export(self, options)
    }
}

impl Model {
    /// The model as an ONNX file, see [`Graph::to_onnx`].
    ///
    /// # Errors
    /// As `Graph::to_onnx`.
    pub fn to_onnx(&self) -> Result<Vec<u8>> {
        self.graph().to_onnx()
    }
}
