//! Elements written as JSON: numbers, booleans and strings in nested lists, read straight into bytes.

use super::datatype::Datatype;
use half::{bf16, f16};
use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// The deepest nesting of lists, more than any tensor's rank.
const MAX_DEPTH: usize = 16;

/// Reads elements in row-major order, as bytes. Lists may be nested or flat.
///
/// # Errors
/// What is wrong, with its place: an element of another type or out of its range, or more elements than `limit`.
pub(super) fn read(data: &RawValue, datatype: Datatype, limit: usize) -> Result<Vec<u8>, serde_json::Error> {
    let mut bytes = Vec::new();
    let mut count = 0;
    let mut reader = serde_json::Deserializer::from_str(data.get());
    Elements { datatype, limit, depth: 0, count: &mut count, bytes: &mut bytes }.deserialize(&mut reader)?;
    Ok(bytes)
}

/// What is read next: a list or an element.
struct Elements<'a> {
    datatype: Datatype,
    limit: usize,
    depth: usize,
    count: &'a mut usize,
    bytes: &'a mut Vec<u8>,
}

impl Elements<'_> {
    fn push<E: Error>(self, element: Option<impl AsRef<[u8]>>, found: impl fmt::Display) -> Result<(), E> {
        let datatype = self.datatype;
        let element = element.ok_or_else(|| E::custom(format!("expected an element of type {datatype}, found {found}")))?;
        if *self.count >= self.limit {
            return Err(E::custom(format!("more elements than the {} of the shape", self.limit)));
        }
        *self.count = self.count.saturating_add(1);
        self.bytes.extend_from_slice(element.as_ref());
        Ok(())
    }

    /// A number that is whole.
    fn integer<E: Error>(self, value: i128) -> Result<(), E> {
        let bytes = match self.datatype {
            Datatype::Uint8 => u8::try_from(value).ok().map(|v| v.to_le_bytes().to_vec()),
            Datatype::Uint16 => u16::try_from(value).ok().map(|v| v.to_le_bytes().to_vec()),
            Datatype::Uint32 => u32::try_from(value).ok().map(|v| v.to_le_bytes().to_vec()),
            Datatype::Uint64 => u64::try_from(value).ok().map(|v| v.to_le_bytes().to_vec()),
            Datatype::Int8 => i8::try_from(value).ok().map(|v| v.to_le_bytes().to_vec()),
            Datatype::Int16 => i16::try_from(value).ok().map(|v| v.to_le_bytes().to_vec()),
            Datatype::Int32 => i32::try_from(value).ok().map(|v| v.to_le_bytes().to_vec()),
            Datatype::Int64 => i64::try_from(value).ok().map(|v| v.to_le_bytes().to_vec()),
            Datatype::Fp16 | Datatype::Bf16 | Datatype::Fp32 | Datatype::Fp64 => return self.float(double(value)),
            Datatype::Bool | Datatype::Bytes => None,
        };
        self.push(bytes, value)
    }

    /// A number with a fraction or an exponent; one beyond the type's range is refused.
    fn float<E: Error>(self, value: f64) -> Result<(), E> {
        let bytes = match self.datatype {
            Datatype::Fp64 => value.is_finite().then(|| value.to_le_bytes().to_vec()),
            Datatype::Fp32 => Some(single(value)).filter(|v| v.is_finite()).map(|v| v.to_le_bytes().to_vec()),
            Datatype::Fp16 => Some(f16::from_f64(value)).filter(|v| v.is_finite()).map(|v| v.to_le_bytes().to_vec()),
            Datatype::Bf16 => Some(bf16::from_f64(value)).filter(|v| v.is_finite()).map(|v| v.to_le_bytes().to_vec()),
            _ => None,
        };
        self.push(bytes, value)
    }
}

#[allow(clippy::as_conversions, reason = "rounding to the nearest float is what is meant")]
fn double(value: i128) -> f64 {
    value as f64
}

#[allow(
    clippy::as_conversions,
    reason = "rounding to the nearest float is what is meant; what is beyond the range becomes infinite"
)]
fn single(value: f64) -> f32 {
    value as f32
}

impl<'de> DeserializeSeed<'de> for Elements<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Elements<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "elements of type {}, or lists of them", self.datatype)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let depth = self.depth.saturating_add(1);
        if depth > MAX_DEPTH {
            return Err(A::Error::custom(format!("expected lists nested at most {MAX_DEPTH} deep")));
        }
        let Elements { datatype, limit, count, bytes, .. } = self;
        while list.next_element_seed(Elements { datatype, limit, depth, count: &mut *count, bytes: &mut *bytes })?.is_some() {}
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        let element = (self.datatype == Datatype::Bool).then_some([u8::from(value)]);
        self.push(element, value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.integer(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.integer(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.float(value)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        let length = u32::try_from(value.len()).ok().filter(|_| self.datatype == Datatype::Bytes);
        let element = length.map(|length| [&length.to_le_bytes(), value.as_bytes()].concat());
        self.push(element, "text")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, datatype: Datatype, limit: usize) -> Result<Vec<u8>, String> {
        let raw: &RawValue = serde_json::from_str(text).map_err(|e| e.to_string())?;
        read(raw, datatype, limit).map_err(|e| e.to_string())
    }

    #[test]
    fn lists_may_be_nested_or_flat() {
        let nested = of("[[1, 2], [3, 4.5]]", Datatype::Fp32, 4);
        assert_eq!(nested, of("[1, 2, 3, 4.5]", Datatype::Fp32, 4));
        assert_eq!(nested.map(|bytes| bytes.len()), Ok(16));
        assert_eq!(of("[true, false]", Datatype::Bool, 2), Ok(vec![1, 0]));
        assert_eq!(of("[\"ab\", \"\"]", Datatype::Bytes, 2), Ok(vec![2, 0, 0, 0, b'a', b'b', 0, 0, 0, 0]));
        assert_eq!(of("[-9223372036854775808]", Datatype::Int64, 1), Ok(i64::MIN.to_le_bytes().to_vec()));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (text, datatype) in [
            ("[256]", Datatype::Uint8),
            ("[-1]", Datatype::Uint64),
            ("[1.0]", Datatype::Int32),
            ("[1e39]", Datatype::Fp32),
            ("[65520]", Datatype::Fp16),
            ("[1]", Datatype::Bool),
            ("[\"1\"]", Datatype::Fp32),
            ("[null]", Datatype::Fp32),
            ("[{}]", Datatype::Fp32),
            ("[1, 2]", Datatype::Bytes),
            ("[1, 2, 3]", Datatype::Int8),
        ] {
            assert!(of(text, datatype, 2).is_err(), "{text} as {datatype}");
        }
        let deep = "[".repeat(17) + &"]".repeat(17);
        assert!(of(&deep, Datatype::Int8, 1).is_err());
    }
}
