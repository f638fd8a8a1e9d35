//! Gristmill runs neural networks on any GPU through hand-written WGSL compute kernels.
#![warn(missing_docs)]

mod error;
pub mod graph;
pub mod import;
pub mod kernel;
pub mod ops;
pub mod passes;
pub mod tensor;

pub use error::{Error, ErrorKind, Result};
pub use graph::Model;
pub use tensor::{DType, Element, Shape, Tensor, TensorType, TensorView};
