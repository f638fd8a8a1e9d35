//! Tensors in host memory: contiguous, row-major, shared without copying.

use super::{DType, Element, Shape, TensorType, View};
use crate::error::{Error, Result};
use half::{bf16, f16};
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
    /// Whether all elements are half floats, once somebody asked.
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

    /// The same data under another shape of as many elements.
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

    /// True when each element is a float that a half float holds exactly, as those of a model that was kept in half precision
    /// are. Found out once; tensors that do not hold halves mostly show it within their first few elements.
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

    /// Every element as f64 (bool as 0 or 1; 64-bit integers beyond 2^53 are rounded).
    pub fn to_f64(&self) -> Vec<f64> {
        fn each<T: Element>(t: &Tensor, f: impl Fn(T) -> f64) -> Vec<f64> {
            T::from_bytes(t.bytes()).unwrap_or_default().iter().map(|x| f(*x)).collect()
        }
        match self.dtype() {
            DType::F32 => each(self, |x: f32| x.into()),
            DType::F16 => each(self, |x: f16| x.into()),
            DType::BF16 => each(self, |x: bf16| x.into()),
            DType::F64 => each(self, |x: f64| x),
            _ => self.to_i128().into_iter().map(|x| x as f64).collect(),
        }
    }

    /// Every element as an integer, floats truncated toward zero (saturating, NaN as 0).
    pub fn to_i128(&self) -> Vec<i128> {
        fn each<T: Element>(t: &Tensor, f: impl Fn(T) -> i128) -> Vec<i128> {
            T::from_bytes(t.bytes()).unwrap_or_default().iter().map(|x| f(*x)).collect()
        }
        match self.dtype() {
            DType::I8 => each(self, |x: i8| x.into()),
            DType::I16 => each(self, |x: i16| x.into()),
            DType::I32 => each(self, |x: i32| x.into()),
            DType::I64 => each(self, |x: i64| x.into()),
            DType::U8 => each(self, |x: u8| x.into()),
            DType::U16 => each(self, |x: u16| x.into()),
            DType::U32 => each(self, |x: u32| x.into()),
            DType::U64 => each(self, |x: u64| x.into()),
            DType::Bool => each(self, |x: bool| x.into()),
            _ => self.to_f64().into_iter().map(|x| x as i128).collect(),
        }
    }

    /// Every element as i64; what [`to_i128`](Tensor::to_i128) gives, saturated.
    pub fn to_i64(&self) -> Vec<i64> {
        self.to_i128().into_iter().map(|x| x.clamp(i64::MIN.into(), i64::MAX.into()) as i64).collect()
    }

    /// A tensor of any dtype from f64 values: rounded to nearest for floats, truncated and saturated for integers,
    /// `!= 0` for bool. There must be as many values as the type has elements.
    ///
    /// # Errors
    /// [`Internal`](crate::ErrorKind::Internal) when the number of values is not the type's.
    pub fn from_f64(ty: TensorType, values: &[f64]) -> Result<Self> {
        fn bytes<T: Element>(values: &[f64], f: impl Fn(f64) -> T) -> Vec<u8> {
            values.iter().flat_map(|x| T::to_bytes(&[f(*x)]).to_vec()).collect()
        }
        let data = match ty.dtype {
            DType::F32 => bytes(values, |x| x as f32),
            DType::F16 => bytes(values, f16::from_f64),
            DType::BF16 => bytes(values, bf16::from_f64),
            DType::F64 => bytes(values, |x| x),
            DType::Bool => bytes(values, |x| x != 0.0),
            DType::I8 => bytes(values, |x| x as i8),
            DType::I16 => bytes(values, |x| x as i16),
            DType::I32 => bytes(values, |x| x as i32),
            DType::I64 => bytes(values, |x| x as i64),
            DType::U8 => bytes(values, |x| x as u8),
            DType::U16 => bytes(values, |x| x as u16),
            DType::U32 => bytes(values, |x| x as u32),
            DType::U64 => bytes(values, |x| x as u64),
        };
        Self::from_bytes(ty, &data).map_err(|e| Error::internal(e.to_string()))
    }

    /// A tensor of any dtype from integers: wrapped to the width of an integer type, rounded for floats, `!= 0` for bool.
    ///
    /// # Errors
    /// [`Internal`](crate::ErrorKind::Internal) when the number of values is not the type's.
    pub fn from_i128(ty: TensorType, values: &[i128]) -> Result<Self> {
        fn bytes<T: Element>(values: &[i128], f: impl Fn(i128) -> T) -> Vec<u8> {
            values.iter().flat_map(|x| T::to_bytes(&[f(*x)]).to_vec()).collect()
        }
        // `as` between integers wraps, which is what two's-complement arithmetic of that width yields.
        let data = match ty.dtype {
            DType::I8 => bytes(values, |x| x as i8),
            DType::I16 => bytes(values, |x| x as i16),
            DType::I32 => bytes(values, |x| x as i32),
            DType::I64 => bytes(values, |x| x as i64),
            DType::U8 => bytes(values, |x| x as u8),
            DType::U16 => bytes(values, |x| x as u16),
            DType::U32 => bytes(values, |x| x as u32),
            DType::U64 => bytes(values, |x| x as u64),
            DType::Bool => bytes(values, |x| x != 0),
            _ => return Self::from_f64(ty, &values.iter().map(|x| *x as f64).collect::<Vec<_>>()),
        };
        Self::from_bytes(ty, &data).map_err(|e| Error::internal(e.to_string()))
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
