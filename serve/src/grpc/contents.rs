//! Elements in typed fields, which clients may send in place of bytes.

use super::messages::InferTensorContents;
use crate::failure::{Failure, Result};
use crate::protocol::Datatype;
use bytes::Bytes;

/// The elements as bytes.
///
/// # Errors
/// [`InvalidArgument`](crate::Code::InvalidArgument) for an integer that the type does not hold, and for the 16-bit floats, which have no
/// field.
pub(super) fn bytes(name: &str, datatype: Datatype, contents: &InferTensorContents) -> Result<Bytes> {
    fn all<T, const N: usize>(elements: &[T], bytes: impl Fn(&T) -> [u8; N]) -> Bytes {
        elements.iter().flat_map(bytes).collect()
    }
    fn narrow<T: Copy, U: TryFrom<T>, const N: usize>(name: &str, elements: &[T], bytes: fn(U) -> [u8; N]) -> Result<Bytes> {
        let outside = |_| Failure::invalid(format!("input `{name}` holds a number that its datatype does not"));
        let one = |element: &T| U::try_from(*element).map(bytes).map_err(outside);
        let parts = elements.iter().map(one).collect::<Result<Vec<_>>>()?;
        Ok(parts.concat().into())
    }
    Ok(match datatype {
        Datatype::Bool => all(&contents.bools, |element| [u8::from(*element)]),
        Datatype::Int8 => return narrow(name, &contents.ints, i8::to_le_bytes),
        Datatype::Int16 => return narrow(name, &contents.ints, i16::to_le_bytes),
        Datatype::Int32 => all(&contents.ints, |element| element.to_le_bytes()),
        Datatype::Int64 => all(&contents.int64s, |element| element.to_le_bytes()),
        Datatype::Uint8 => return narrow(name, &contents.uints, u8::to_le_bytes),
        Datatype::Uint16 => return narrow(name, &contents.uints, u16::to_le_bytes),
        Datatype::Uint32 => all(&contents.uints, |element| element.to_le_bytes()),
        Datatype::Uint64 => all(&contents.uint64s, |element| element.to_le_bytes()),
        Datatype::Fp32 => all(&contents.floats, |element| element.to_le_bytes()),
        Datatype::Fp64 => all(&contents.doubles, |element| element.to_le_bytes()),
        Datatype::Bytes => {
            let mut bytes = Vec::new();
            for string in &contents.bytes {
                let length = u32::try_from(string.len()).map_err(|_| Failure::invalid("a string is longer than 32 bits say"))?;
                bytes.extend_from_slice(&length.to_le_bytes());
                bytes.extend_from_slice(string);
            }
            bytes.into()
        }
        Datatype::Fp16 | Datatype::Bf16 => {
            return Err(Failure::invalid(format!("input `{name}`: expected the elements of {datatype} in raw_input_contents")));
        }
    })
}
