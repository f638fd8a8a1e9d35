//! Floor 0: dtypes, shapes, strided views and host tensors. Knows nothing of graphs or GPUs.

mod axes;
mod convert;
mod dtype;
mod host;
mod shape;
mod view;

pub use axes::{JoinedAxis, joined_axes};
pub use dtype::{DType, Element, Scalar};
pub use host::{Tensor, TensorView};
pub use shape::{MAX_ELEMENTS, MAX_RANK, Shape, TensorType, broadcast};
pub use view::View;
