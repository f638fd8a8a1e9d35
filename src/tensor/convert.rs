//! Elements of any dtype as numbers, and numbers as elements of any dtype.

use super::dtype::{DType, Element};
use super::host::Tensor;
use super::shape::TensorType;
use crate::error::{Error, Result};
use half::{bf16, f16};

/// An element that stands for a number.
trait Number: Element {
    fn to_f64(self) -> f64;
    /// Truncated toward zero, saturated, and 0 for NaN.
    fn to_i128(self) -> i128;
    /// Rounded to nearest for floats, truncated and saturated for integers, `!= 0` for bool.
    fn from_f64(number: f64) -> Self;
    /// Wrapped to the width of an integer, rounded to nearest for floats, `!= 0` for bool.
    fn from_i128(number: i128) -> Self;
}

macro_rules! integers {
    ($($ty:ty),*) => {$(
        impl Number for $ty {
            fn to_f64(self) -> f64 {
                self as f64
            }
            fn to_i128(self) -> i128 {
                self.into()
            }
            fn from_f64(number: f64) -> Self {
                number as $ty
            }
            fn from_i128(number: i128) -> Self {
                // `as` between integers wraps, which is what two's-complement arithmetic of that width yields.
                number as $ty
            }
        }
    )*};
}

macro_rules! floats {
    ($($ty:ty, $from_f64:expr);*) => {$(
        impl Number for $ty {
            fn to_f64(self) -> f64 {
                self.into()
            }
            fn to_i128(self) -> i128 {
                f64::from(self) as i128
            }
            fn from_f64(number: f64) -> Self {
                $from_f64(number)
            }
            fn from_i128(number: i128) -> Self {
                $from_f64(number as f64)
            }
        }
    )*};
}

integers!(i8, i16, i32, i64, u8, u16, u32, u64);
floats!(f32, |x: f64| x as f32; f16, f16::from_f64; bf16, bf16::from_f64; f64, |x: f64| x);

impl Number for bool {
    fn to_f64(self) -> f64 {
        self.into()
    }
    fn to_i128(self) -> i128 {
        self.into()
    }
    fn from_f64(number: f64) -> Self {
        number != 0.0
    }
    fn from_i128(number: i128) -> Self {
        number != 0
    }
}

/// An expression in which `$T` is the Rust type of a dtype's elements.
macro_rules! with_elements {
    ($dtype:expr, $T:ident => $result:expr) => {
        match $dtype {
            DType::F32 => with_elements!(@ $T = f32, $result),
            DType::F16 => with_elements!(@ $T = f16, $result),
            DType::BF16 => with_elements!(@ $T = bf16, $result),
            DType::F64 => with_elements!(@ $T = f64, $result),
            DType::I8 => with_elements!(@ $T = i8, $result),
            DType::I16 => with_elements!(@ $T = i16, $result),
            DType::I32 => with_elements!(@ $T = i32, $result),
            DType::I64 => with_elements!(@ $T = i64, $result),
            DType::U8 => with_elements!(@ $T = u8, $result),
            DType::U16 => with_elements!(@ $T = u16, $result),
            DType::U32 => with_elements!(@ $T = u32, $result),
            DType::U64 => with_elements!(@ $T = u64, $result),
            DType::Bool => with_elements!(@ $T = bool, $result),
        }
    };
    (@ $T:ident = $ty:ty, $result:expr) => {{
        type $T = $ty;
        $result
    }};
}

/// The elements of a tensor, each converted.
fn each<T: Element, N>(tensor: &Tensor, convert: impl Fn(T) -> N) -> Vec<N> {
    T::from_bytes(tensor.bytes()).unwrap_or_default().iter().map(|element| convert(*element)).collect()
}

/// A tensor of numbers, each converted.
fn pack<T: Element, N: Copy>(ty: TensorType, numbers: &[N], convert: impl Fn(N) -> T) -> Result<Tensor> {
    let elements: Vec<T> = numbers.iter().map(|number| convert(*number)).collect();
    Tensor::from_bytes(ty, T::to_bytes(&elements)).map_err(|e| Error::internal(e.to_string()))
}

impl Tensor {
    /// Every element as f64 (bool as 0 or 1; 64-bit integers beyond 2^53 are rounded).
    pub fn to_f64(&self) -> Vec<f64> {
        with_elements!(self.dtype(), T => each::<T, _>(self, Number::to_f64))
    }

    /// Every element as an integer, floats truncated toward zero (saturating, NaN as 0).
    pub fn to_i128(&self) -> Vec<i128> {
        with_elements!(self.dtype(), T => each::<T, _>(self, Number::to_i128))
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
        with_elements!(ty.dtype, T => pack::<T, _>(ty, values, Number::from_f64))
    }

    /// A tensor of any dtype from integers: wrapped to the width of an integer type, rounded for floats, `!= 0` for bool.
    ///
    /// # Errors
    /// [`Internal`](crate::ErrorKind::Internal) when the number of values is not the type's.
    pub fn from_i128(ty: TensorType, values: &[i128]) -> Result<Self> {
        with_elements!(ty.dtype, T => pack::<T, _>(ty, values, Number::from_i128))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_saturate_from_floats_and_wrap_from_integers() {
        let ty = |dtype| TensorType::new(dtype, [3]);
        let bytes = Tensor::from_f64(ty(DType::U8), &[-1.0, 300.7, f64::NAN]).expect("three values");
        assert_eq!(bytes.to_i128(), [0, 255, 0]);
        let wrapped = Tensor::from_i128(ty(DType::I8), &[127, 128, -129]).expect("three values");
        assert_eq!(wrapped.to_f64(), [127.0, -128.0, 127.0]);
        let flags = Tensor::from_f64(ty(DType::Bool), &[0.0, -0.5, f64::NAN]).expect("three values");
        assert_eq!(flags.to_i64(), [0, 1, 1]);
    }

    #[test]
    fn floats_are_truncated_toward_zero() {
        let floats = Tensor::vector(&[-1.5f32, 1e30, f32::INFINITY]);
        assert_eq!(floats.to_i64(), [-1, i64::MAX, i64::MAX]);
        assert!(Tensor::from_f64(TensorType::new(DType::F32, [2]), &[1.0]).is_err());
    }
}
