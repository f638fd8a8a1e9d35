//! Shapes of row-major tensors, their strides and broadcasting.

use super::dtype::DType;
use crate::error::{Error, Result};
use std::fmt;
use std::ops::Deref;

/// The highest rank a kernel serves.
pub const MAX_RANK: usize = 8;

/// The most elements a tensor may have: indices are 32-bit on the GPU.
pub const MAX_ELEMENTS: usize = 1 << 31;

/// The extents of a tensor, outermost first. Rank 0 is a scalar; an extent may be 0.
#[derive(Clone, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct Shape(Vec<usize>);

impl Shape {
    /// A shape from its extents.
    pub fn new(dims: impl Into<Vec<usize>>) -> Self {
        Shape(dims.into())
    }

    /// The shape of a scalar.
    pub fn scalar() -> Self {
        Shape(Vec::new())
    }

    /// Number of extents.
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// The extents.
    pub fn dims(&self) -> &[usize] {
        &self.0
    }

    /// Number of elements; saturates, so that a hostile shape exceeds [`MAX_ELEMENTS`] instead of wrapping.
    pub fn elements(&self) -> usize {
        if self.0.contains(&0) { 0 } else { self.0.iter().fold(1, |n: usize, d| n.saturating_mul(*d)) }
    }

    /// Row-major strides in elements.
    pub fn strides(&self) -> Vec<usize> {
        let mut strides = vec![1usize; self.0.len()];
        for i in (1..self.0.len()).rev() {
            strides[i - 1] = strides[i].saturating_mul(self.0[i]);
        }
        strides
    }

    /// An axis counted from the end when negative, as an index.
    ///
    /// # Errors
    /// [`InvalidModel`](crate::ErrorKind::InvalidModel) when it is outside `-rank..rank`.
    pub fn axis(&self, axis: i64) -> Result<usize> {
        let rank = self.0.len() as i64;
        if axis < -rank || axis >= rank {
            return Err(Error::invalid_model(format!(
                "axis {axis} is outside the rank of {self}: expected {} to {}",
                -rank,
                rank - 1
            )));
        }
        Ok(if axis < 0 { axis + rank } else { axis } as usize)
    }

    /// The product of the extents in a range of axes.
    pub fn product(&self, axes: std::ops::Range<usize>) -> usize {
        Shape(self.0[axes].to_vec()).elements()
    }
}

impl Deref for Shape {
    type Target = [usize];
    fn deref(&self) -> &[usize] {
        &self.0
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    fn from(dims: [usize; N]) -> Self {
        Shape(dims.to_vec())
    }
}

impl From<&[usize]> for Shape {
    fn from(dims: &[usize]) -> Self {
        Shape(dims.to_vec())
    }
}

impl From<Vec<usize>> for Shape {
    fn from(dims: Vec<usize>) -> Self {
        Shape(dims)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dims: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.pad(&format!("[{}]", dims.join(",")))
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The shape that all of `shapes` broadcast to (numpy's rule, "Multidirectional Broadcasting" of the ONNX specification).
///
/// # Errors
/// [`InvalidModel`](crate::ErrorKind::InvalidModel) when two extents differ and neither is 1.
pub fn broadcast<'a>(shapes: impl IntoIterator<Item = &'a Shape>) -> Result<Shape> {
    let mut out: Vec<usize> = Vec::new();
    for shape in shapes {
        if shape.rank() > out.len() {
            out.splice(0..0, std::iter::repeat_n(1, shape.rank() - out.len()));
        }
        let skip = out.len() - shape.rank();
        for (i, &d) in shape.iter().enumerate() {
            let o = &mut out[skip + i];
            if *o == 1 {
                *o = d;
            } else if d != 1 && d != *o {
                return Err(Error::invalid_model(format!("shapes do not broadcast: {shape} against {}", Shape(out))));
            }
        }
    }
    Ok(Shape(out))
}

/// Element type and shape of a tensor.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TensorType {
    /// The element type.
    pub dtype: DType,
    /// The extents.
    pub shape: Shape,
}

impl TensorType {
    /// A type from its two parts.
    pub fn new(dtype: DType, shape: impl Into<Shape>) -> Self {
        TensorType { dtype, shape: shape.into() }
    }

    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.shape.elements()
    }

    /// Checks that rank and size are within [`MAX_RANK`] and [`MAX_ELEMENTS`].
    ///
    /// # Errors
    /// [`Limit`](crate::ErrorKind::Limit) otherwise.
    pub fn checked(self) -> Result<Self> {
        if self.shape.rank() > MAX_RANK {
            return Err(Error::limit(format!("rank {} of {self}: expected at most {MAX_RANK}", self.shape.rank())));
        }
        // An extent of 0 counts as 1: the strides of other axes could overflow all the same.
        if self.shape.iter().fold(1, |n: usize, d| n.saturating_mul((*d).max(1))) > MAX_ELEMENTS {
            return Err(Error::limit(format!("a tensor of type {self} is too large: expected at most {MAX_ELEMENTS} elements")));
        }
        Ok(self)
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}{}", self.dtype, self.shape))
    }
}

impl fmt::Debug for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
