//! Elements between the host's dtypes and the GPU's three scalars.

use crate::error::{Error, Result};
use crate::graph::Fact;
use crate::tensor::{DType, Element, Scalar, Tensor, TensorType, TensorView};
use half::{bf16, f16};

/// Inputs of 64-bit integers are assumed to lie between minus this and this; a run that breaks the assumption gets a plan
/// without it. f32 holds all of these integers exactly.
pub(crate) const ASSUMED: i128 = 1 << 24;

fn each<T: Element>(bytes: &[u8], out: &mut Vec<u8>, convert: impl Fn(T) -> u32) {
    let elements = T::from_bytes(bytes).unwrap_or_default();
    out.extend(elements.iter().flat_map(|x| convert(*x).to_ne_bytes()));
}

/// The bytes of a tensor as the scalars of a storage buffer. 64-bit integers must be known to fit.
pub(crate) fn widen(dtype: DType, bytes: &[u8], out: &mut Vec<u8>) {
    out.clear();
    match dtype {
        DType::F32 | DType::I32 | DType::U32 => out.extend_from_slice(bytes),
        DType::F16 => each(bytes, out, |x: f16| x.to_f32().to_bits()),
        DType::BF16 => each(bytes, out, |x: bf16| x.to_f32().to_bits()),
        DType::F64 => each(bytes, out, |x: f64| (x as f32).to_bits()),
        DType::I8 => each(bytes, out, |x: i8| x as u32),
        DType::I16 => each(bytes, out, |x: i16| x as u32),
        DType::I64 => each(bytes, out, |x: i64| x as u32),
        DType::U8 => each(bytes, out, |x: u8| x.into()),
        DType::U16 => each(bytes, out, |x: u16| x.into()),
        DType::U64 => each(bytes, out, |x: u64| x as u32),
        DType::Bool => each(bytes, out, |x: bool| x.into()),
    }
}

/// A tensor of any dtype from the scalars of a storage buffer.
pub(crate) fn narrow(ty: &TensorType, scalar: Scalar, bytes: &[u8]) -> Result<Tensor> {
    fn pack<T: Element>(ty: &TensorType, bytes: &[u8], convert: impl Fn(u32) -> T) -> Result<Tensor> {
        let words = bytes.chunks_exact(4).map(|b| b.try_into().map_or(0, u32::from_ne_bytes));
        let elements: Vec<T> = words.map(convert).collect();
        Tensor::new(ty.shape.clone(), &elements).map_err(|e| Error::internal(e.message().to_string()))
    }
    match ty.dtype {
        DType::F32 | DType::I32 | DType::U32 => Tensor::from_bytes(ty.clone(), bytes),
        DType::F16 => pack(ty, bytes, |x| f16::from_f32(f32::from_bits(x))),
        DType::BF16 => pack(ty, bytes, |x| bf16::from_f32(f32::from_bits(x))),
        DType::F64 => pack(ty, bytes, |x| f64::from(f32::from_bits(x))),
        DType::I8 => pack(ty, bytes, |x| x as i8),
        DType::I16 => pack(ty, bytes, |x| x as i16),
        DType::I64 if scalar == Scalar::U32 => pack(ty, bytes, i64::from),
        DType::I64 => pack(ty, bytes, |x| i64::from(x as i32)),
        DType::U8 => pack(ty, bytes, |x| x as u8),
        DType::U16 => pack(ty, bytes, |x| x as u16),
        DType::U64 => pack(ty, bytes, u64::from),
        DType::Bool => pack(ty, bytes, |x| x != 0),
    }
}

/// Whether every element of a 64-bit integer tensor lies within the assumed bounds; true for other dtypes.
pub(crate) fn within_assumed(view: &TensorView<'_>) -> bool {
    match view.dtype() {
        DType::I64 => i64::from_bytes(view.bytes()).is_some_and(|all| all.iter().all(|x| i128::from(*x).abs() <= ASSUMED)),
        DType::U64 => u64::from_bytes(view.bytes()).is_some_and(|all| all.iter().all(|x| i128::from(*x) <= ASSUMED)),
        _ => true,
    }
}

/// What is known of an input of this type, of which the contents are not; `bounded` says whether 64-bit integers lie within the
/// assumed bounds.
pub(crate) fn assumed(ty: &TensorType, bounded: bool) -> Fact {
    let bounds = match ty.dtype {
        DType::I64 if bounded => Some((-ASSUMED, ASSUMED)),
        DType::U64 if bounded => Some((0, ASSUMED)),
        _ => None,
    };
    Fact { ty: ty.clone(), value: None, bounds }
}
