//! Element types as the protocol names them.

use crate::failure::{Failure, Result};
use gristmill::DType;
use std::fmt;

/// The element type of a tensor in a request or response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Datatype {
    /// One byte, 0 or 1.
    Bool,
    /// Unsigned 8-bit integer.
    Uint8,
    /// Unsigned 16-bit integer.
    Uint16,
    /// Unsigned 32-bit integer.
    Uint32,
    /// Unsigned 64-bit integer.
    Uint64,
    /// Signed 8-bit integer.
    Int8,
    /// Signed 16-bit integer.
    Int16,
    /// Signed 32-bit integer.
    Int32,
    /// Signed 64-bit integer.
    Int64,
    /// 16-bit IEEE float.
    Fp16,
    /// Brain float.
    Bf16,
    /// 32-bit IEEE float.
    Fp32,
    /// 64-bit IEEE float.
    Fp64,
    /// Strings of bytes, each behind its length in four bytes. No model of the engine takes them; classes are returned so.
    Bytes,
}

/// Types, their names, and the engine's.
const TABLE: [(Datatype, &str, Option<DType>); 14] = [
    (Datatype::Bool, "BOOL", Some(DType::Bool)),
    (Datatype::Uint8, "UINT8", Some(DType::U8)),
    (Datatype::Uint16, "UINT16", Some(DType::U16)),
    (Datatype::Uint32, "UINT32", Some(DType::U32)),
    (Datatype::Uint64, "UINT64", Some(DType::U64)),
    (Datatype::Int8, "INT8", Some(DType::I8)),
    (Datatype::Int16, "INT16", Some(DType::I16)),
    (Datatype::Int32, "INT32", Some(DType::I32)),
    (Datatype::Int64, "INT64", Some(DType::I64)),
    (Datatype::Fp16, "FP16", Some(DType::F16)),
    (Datatype::Bf16, "BF16", Some(DType::BF16)),
    (Datatype::Fp32, "FP32", Some(DType::F32)),
    (Datatype::Fp64, "FP64", Some(DType::F64)),
    (Datatype::Bytes, "BYTES", None),
];

impl Datatype {
    /// Every element type.
    pub fn all() -> impl Iterator<Item = Datatype> {
        TABLE.iter().map(|(datatype, ..)| *datatype)
    }

    /// The type of a name.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::Code::InvalidArgument) for a name that the protocol does not know.
    pub fn named(name: &str) -> Result<Self> {
        let found = TABLE.iter().find(|(_, other, _)| *other == name).map(|(datatype, ..)| *datatype);
        found.ok_or_else(|| {
            let names: Vec<&str> = TABLE.iter().map(|(_, name, _)| *name).collect();
            let found: String = name.chars().take(32).collect();
            Failure::invalid(format!("expected a datatype among {}, found `{found}`", names.join(", ")))
        })
    }

    /// The name that the protocol gives it.
    pub fn name(self) -> &'static str {
        TABLE.iter().find(|(datatype, ..)| *datatype == self).map_or("", |(_, name, _)| *name)
    }

    /// The engine's type; none for [`Bytes`](Datatype::Bytes).
    pub fn dtype(self) -> Option<DType> {
        TABLE.iter().find(|(datatype, ..)| *datatype == self).and_then(|(.., dtype)| *dtype)
    }

    /// Bytes of an element; none where elements differ in length.
    pub fn size(self) -> Option<usize> {
        self.dtype().map(DType::size)
    }
}

impl From<DType> for Datatype {
    fn from(dtype: DType) -> Self {
        TABLE.iter().find(|(.., other)| *other == Some(dtype)).map_or(Datatype::Bytes, |(datatype, ..)| *datatype)
    }
}

impl fmt::Display for Datatype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_of_the_engine_has_a_name() {
        for dtype in DType::ALL {
            let datatype = Datatype::from(dtype);
            assert_eq!(datatype.dtype(), Some(dtype));
            assert_eq!(Datatype::named(datatype.name()), Ok(datatype));
        }
        assert_eq!(Datatype::Bytes.size(), None);
        assert!(Datatype::named("FLOAT").is_err());
    }
}
