//! Tensors of requests and responses.

use super::datatype::Datatype;
use crate::failure::{Code, Failure, Result};
use bytes::Bytes;

/// The most tensors of a request, and the most outputs it may name.
pub const MAX_TENSORS: usize = 1024;

/// The highest rank that the engine's kernels serve.
const MAX_RANK: usize = 8;

/// The most elements of a tensor: indices are 32-bit on the device.
const MAX_ELEMENTS: usize = 1 << 31;

/// A named tensor: its type, its shape, and its elements in row-major order, little-endian.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InferTensor {
    /// The name of the input or output.
    pub name: String,
    /// The element type.
    pub datatype: Datatype,
    /// The extents, outermost first.
    pub shape: Vec<usize>,
    /// The elements; those of [`Datatype::Bytes`] stand each behind its length, a 32-bit integer.
    pub data: Bytes,
}

/// The number of elements of a shape.
///
/// # Errors
/// [`TooLarge`](Code::TooLarge) for a rank above 8, and for more than 2^31 elements; an extent of 0 counts as 1 there, since the
/// others could overflow all the same.
pub fn elements(name: &str, shape: &[usize]) -> Result<usize> {
    if shape.len() > MAX_RANK {
        let message = format!("tensor `{name}` has rank {}: expected at most {MAX_RANK}", shape.len());
        return Err(Failure::new(Code::TooLarge, message));
    }
    let product = shape.iter().try_fold(1usize, |product, extent| product.checked_mul((*extent).max(1)));
    match product.filter(|product| *product <= MAX_ELEMENTS) {
        Some(_) if shape.contains(&0) => Ok(0),
        Some(product) => Ok(product),
        None => {
            let message = format!("tensor `{name}` of shape {shape:?} is too large: expected at most {MAX_ELEMENTS} elements");
            Err(Failure::new(Code::TooLarge, message))
        }
    }
}

impl InferTensor {
    /// A tensor whose bytes fit its type and shape.
    ///
    /// # Errors
    /// Those of [`elements`]; [`InvalidArgument`](Code::InvalidArgument) where there are more or fewer bytes than elements need, a
    /// bool is neither 0 nor 1, or strings are cut short.
    pub fn new(name: impl Into<String>, datatype: Datatype, shape: Vec<usize>, data: Bytes) -> Result<Self> {
        let tensor = InferTensor { name: name.into(), datatype, shape, data };
        tensor.check()?;
        Ok(tensor)
    }

    fn check(&self) -> Result<()> {
        let InferTensor { name, datatype, shape, data } = self;
        let elements = elements(name, shape)?;
        let Some(size) = datatype.size() else {
            let found = strings(data).try_fold(0usize, |count, string| string.map(|_| count.saturating_add(1)));
            let found = found.ok_or_else(|| Failure::invalid(format!("tensor `{name}`: the last of its strings is cut short")))?;
            return match found == elements {
                true => Ok(()),
                false => {
                    Err(Failure::invalid(format!("tensor `{name}` of shape {shape:?}: expected {elements} strings, found {found}")))
                }
            };
        };
        let expected = elements.saturating_mul(size);
        if data.len() != expected {
            let found = data.len();
            return Err(Failure::invalid(format!(
                "tensor `{name}` of type {datatype} and shape {shape:?}: expected {expected} bytes, found {found}"
            )));
        }
        if *datatype == Datatype::Bool && data.iter().any(|byte| *byte > 1) {
            return Err(Failure::invalid(format!("tensor `{name}` is BOOL and holds a byte that is neither 0 nor 1")));
        }
        Ok(())
    }
}

/// The strings of a tensor of [`Datatype::Bytes`]; a last `None` where the bytes end within one.
pub(super) fn strings(mut data: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    std::iter::from_fn(move || {
        if data.is_empty() {
            return None;
        }
        let split = data.split_first_chunk::<4>().and_then(|(length, rest)| {
            let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
            rest.split_at_checked(length)
        });
        data = split.map_or(&[], |(_, rest)| rest);
        Some(split.map(|(string, _)| string))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(datatype: Datatype, shape: &[usize], data: &[u8]) -> Result<InferTensor> {
        InferTensor::new("x", datatype, shape.to_vec(), Bytes::copy_from_slice(data))
    }

    #[test]
    fn bytes_must_fit_the_shape() {
        assert!(of(Datatype::Fp16, &[2, 1], &[0; 4]).is_ok());
        assert!(of(Datatype::Fp16, &[2, 1], &[0; 5]).is_err());
        assert!(of(Datatype::Fp32, &[0, 7], &[]).is_ok());
        assert!(of(Datatype::Bool, &[2], &[0, 2]).is_err());
        let huge = of(Datatype::Int8, &[0, usize::MAX, 3], &[]).expect_err("it overflows");
        assert_eq!(huge.code(), Code::TooLarge);
        assert_eq!(of(Datatype::Int8, &[1; 9], &[0]).expect_err("the rank is too high").code(), Code::TooLarge);
    }

    #[test]
    fn strings_are_counted() {
        let two = [1, 0, 0, 0, b'a', 0, 0, 0, 0];
        assert!(of(Datatype::Bytes, &[2], &two).is_ok());
        assert!(of(Datatype::Bytes, &[3], &two).is_err());
        assert!(of(Datatype::Bytes, &[2], &two[..8]).is_err());
        assert!(of(Datatype::Bytes, &[1], &[255, 255, 255, 255, 1]).is_err());
    }
}
