//! Gristmill runs neural networks on any GPU through hand-written WGSL compute kernels.
#![warn(missing_docs)]

mod error;
pub mod gpu;
pub mod graph;
pub mod import;
pub mod kernel;
pub mod ops;
pub mod passes;
pub mod plan;
pub mod session;
pub mod tensor;

pub use error::{Error, ErrorKind, Result};
pub use gpu::{Counters, Gpu, GpuBuffer, GpuInput, Power};
pub use graph::Model;
pub use session::{Explanation, GpuOutputs, Options, Outputs, Profile, Session, Tolerance, Validation};
pub use tensor::{DType, Element, Shape, Tensor, TensorType, TensorView};
pub use wgpu;
