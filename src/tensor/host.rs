//! Tensors in host memory: contiguous, row-major, shared without copying.

use super::dtype::{DType, Element};
use super::shape::{Shape, TensorType};
use super::view::View;
use crate::error::{Error, Result};
use half::f16;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

/// An immutable tensor in host memory; cloning shares the data.
#[derive(Clone, PartialEq)]
pub struct Tensor {
    ty: TensorType,
    data: Arc<Words>,
}

/// Eight-byte words, so that every element type is aligned; the last word may be part empty.
struct Words {
    words: Vec<u64>,
    /// Whether all elements are half floats; known once it was asked for.
    halves: OnceLock<bool>,
}

impl From<Vec<u64>> for Words {
    fn from(words: Vec<u64>) -> Self {
        Words { words, halves: OnceLock::new() }
    }
}

impl Deref for Words {
    type Target = [u64];

    fn deref(&self) -> &[u64] {
        &self.words
    }
}

impl PartialEq for Words {
    fn eq(&self, other: &Self) -> bool {
        self.words == other.words
    }
}

/// A borrowed tensor: type and bytes that live elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct TensorView<'a> {
    dtype: DType,
    shape: &'a [usize],
    bytes: &'a [u8],
}

impl<'a> TensorView<'a> {
    /// A view of the caller's elements, row-major.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) when the shape does not have as many elements as given.
    pub fn new<T: Element>(shape: &'a [usize], elements: &'a [T]) -> Result<Self> {
        if Shape::from(shape).elements() != elements.len() {
            return Err(Error::invalid_input(format!(
                "expected {} elements for shape {}, found {}",
                Shape::from(shape).elements(),
                Shape::from(shape),
                elements.len()
            )));
        }
        Ok(TensorView { dtype: T::DTYPE, shape, bytes: T::to_bytes(elements) })
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The extents.
    pub fn shape(&self) -> &'a [usize] {
        self.shape
    }

    /// The bytes of all elements, row-major, in this machine's byte order.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// An owned copy.
    pub fn to_tensor(&self) -> Tensor {
        Tensor::pack(TensorType::new(self.dtype, self.shape), self.bytes)
    }
}

impl Tensor {
    /// A tensor from elements in row-major order.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) when the shape does not have as many elements as given.
    pub fn new<T: Element>(shape: impl Into<Shape>, elements: &[T]) -> Result<Self> {
        Self::from_bytes(TensorType::new(T::DTYPE, shape), T::to_bytes(elements))
    }

    /// A tensor of rank 0.
    pub fn scalar<T: Element>(value: T) -> Self {
        Self::pack(TensorType::new(T::DTYPE, Shape::scalar()), T::to_bytes(&[value]))
    }

    /// A tensor of rank 1.
    pub fn vector<T: Element>(elements: &[T]) -> Self {
        Self::pack(TensorType::new(T::DTYPE, [elements.len()]), T::to_bytes(elements))
    }

    /// A tensor from its bytes in row-major order and this machine's byte order.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) when there are not exactly as many bytes as the type has, or a
    /// bool is neither 0 nor 1.
    pub fn from_bytes(ty: TensorType, bytes: &[u8]) -> Result<Self> {
        let expected = ty.elements().saturating_mul(ty.dtype.size());
        if expected != bytes.len() {
            return Err(Error::invalid_input(format!(
                "expected {expected} bytes for a tensor of type {ty}, found {}",
                bytes.len()
            )));
        }
        if ty.dtype == DType::Bool && bytes.iter().any(|b| *b > 1) {
            return Err(Error::invalid_input("a bool tensor holds a byte that is neither 0 nor 1"));
        }
        Ok(Self::pack(ty, bytes))
    }

    /// All elements zero (false).
    pub fn zeros(ty: TensorType) -> Self {
        let words = (ty.elements() * ty.dtype.size()).div_ceil(8);
        Tensor { ty, data: Arc::new(vec![0; words].into()) }
    }

    fn pack(ty: TensorType, bytes: &[u8]) -> Self {
        let mut data = vec![0u64; bytes.len().div_ceil(8)];
        bytemuck::cast_slice_mut(&mut data)[..bytes.len()].copy_from_slice(bytes);
        Tensor { ty, data: Arc::new(data.into()) }
    }

    /// Element type and shape.
    pub fn ty(&self) -> &TensorType {
        &self.ty
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        self.ty.dtype
    }

    /// The shape.
    pub fn shape(&self) -> &Shape {
        &self.ty.shape
    }

    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.ty.elements()
    }

    /// The bytes of all elements.
    pub fn bytes(&self) -> &[u8] {
        &bytemuck::cast_slice::<u64, u8>(&self.data)[..self.elements() * self.dtype().size()]
    }

    /// A borrowed view, as a session takes it.
    pub fn view(&self) -> TensorView<'_> {
        TensorView { dtype: self.ty.dtype, shape: &self.ty.shape, bytes: self.bytes() }
    }

    /// The elements as a slice.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) when `T` is not the tensor's element type.
    pub fn as_slice<T: Element>(&self) -> Result<&[T]> {
        if T::DTYPE != self.dtype() {
            return Err(Error::invalid_argument(format!("expected a tensor of {}, found {}", T::DTYPE, self.ty)));
        }
        T::from_bytes(self.bytes()).ok_or_else(|| Error::internal("the bytes of a tensor are no valid elements"))
    }

    /// Gives the data another shape of as many elements, without a copy.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) when the number of elements differs.
    pub fn reshape(&self, shape: impl Into<Shape>) -> Result<Self> {
        let shape = shape.into();
        if shape.elements() != self.elements() {
            return Err(Error::invalid_argument(format!("{} cannot be reshaped to {shape}", self.ty)));
        }
        Ok(Tensor { ty: TensorType::new(self.dtype(), shape), data: self.data.clone() })
    }

    /// True when a half float holds each element exactly, as is so for models that were stored in half precision. Computed once;
    /// in other tensors, one of the first few elements mostly decides it.
    pub fn is_halves(&self) -> bool {
        let exact = |x: &f32| f16::from_f32(*x).to_f32().to_bits() == x.to_bits();
        match self.dtype() {
            DType::F16 => true,
            DType::F32 => *self.data.halves.get_or_init(|| self.as_slice().is_ok_and(|all| all.iter().all(exact))),
            _ => false,
        }
    }

    /// The elements seen through `view`, copied in its order. The view must lie inside this tensor.
    pub fn gather(&self, view: &View) -> Self {
        let size = self.dtype().size();
        let source = self.bytes();
        let mut bytes = Vec::with_capacity(view.shape.elements() * size);
        for p in view.positions() {
            bytes.extend_from_slice(&source[p * size..(p + 1) * size]);
        }
        Self::pack(TensorType::new(self.dtype(), view.shape.clone()), &bytes)
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.ty)?;
        if self.elements() <= 8 {
            let text: Vec<String> = if self.dtype().is_float() {
                self.to_f64().iter().map(ToString::to_string).collect()
            } else {
                self.to_i128().iter().map(ToString::to_string).collect()
            };
            write!(f, "{{{}}}", text.join(","))?;
        }
        Ok(())
    }
}
