//! Index arithmetic of references.

use crate::error::{Error, Result};
use crate::tensor::{Shape, Tensor, TensorType};
use std::cmp::Ordering;

/// A tensor as `[outer, length, inner]` around one axis.
pub(crate) fn around(shape: &Shape, axis: usize) -> (usize, usize, usize) {
    (shape.product(0..axis), shape[axis], shape.product(axis + 1..shape.rank()))
}

/// The index along each axis of element `position` of a row-major tensor.
pub(crate) fn unravel(mut position: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for axis in (0..shape.len()).rev() {
        let extent = shape[axis].max(1);
        index[axis] = position % extent;
        position /= extent;
    }
    index
}

/// An index into an extent, counted from the end when negative, as ONNX has it.
///
/// # Errors
/// [`InvalidInput`](crate::ErrorKind::InvalidInput) when it lies outside.
pub(crate) fn wrap(index: i64, extent: usize) -> Result<usize> {
    let extent = extent as i64;
    let wrapped = if index < 0 { index.saturating_add(extent) } else { index };
    if wrapped < 0 || wrapped >= extent {
        return Err(Error::invalid_input(format!(
            "index {index} is outside an axis of {extent}: expected {} to {}",
            -extent,
            extent - 1
        )));
    }
    Ok(wrapped as usize)
}

/// A tensor of the elements of `source` at `positions`, `fill` (or zero) where there is none.
///
/// # Errors
/// [`Internal`](crate::ErrorKind::Internal) when there are not as many positions as `shape` has elements.
pub(crate) fn pick(
    source: &Tensor,
    fill: Option<&Tensor>,
    shape: &Shape,
    positions: impl IntoIterator<Item = Option<usize>>,
) -> Result<Tensor> {
    let size = source.dtype().size();
    let zero = [0u8; 8];
    let fill = fill.map_or(&zero[..size], |f| &f.bytes()[..size.min(f.bytes().len())]);
    let mut bytes = Vec::with_capacity(shape.elements() * size);
    for position in positions {
        bytes.extend_from_slice(position.map_or(fill, |p| &source.bytes()[p * size..(p + 1) * size]));
    }
    let ty = TensorType::new(source.dtype(), shape.clone());
    Tensor::from_bytes(ty, &bytes).map_err(|e| Error::internal(e.to_string()))
}

/// Ascending, NaN last and equal to itself.
pub(crate) fn compare_floats(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}
