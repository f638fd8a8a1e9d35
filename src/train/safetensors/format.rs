//! What a file holds, and the words of its format.

use crate::tensor::{DType, Tensor};
use std::borrow::Cow;

/// The most bytes of a header, as the format's own readers allow.
pub(super) const MAX_HEADER: usize = 100_000_000;
/// The entry of a header that is no tensor.
pub(super) const METADATA: &str = "__metadata__";

/// What a safetensors file holds: tensors by their names, and texts that the file says of itself, in the order of its header.
///
/// ```
/// use gristmill::Tensor;
/// use gristmill::train::Safetensors;
///
/// let file = Safetensors {
///     metadata: vec![("made by".into(), "an example".into())],
///     tensors: vec![("weight".into(), Tensor::new([2, 1], &[0.5f32, 1.5])?)],
/// };
/// let mut bytes = Vec::new();
/// file.write(&mut bytes)?;
/// assert_eq!(Safetensors::from_bytes(&bytes)?, file);
/// # Ok::<(), gristmill::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Safetensors {
    /// Names and texts.
    pub metadata: Vec<(String, String)>,
    /// Names and tensors.
    pub tensors: Vec<(String, Tensor)>,
}

impl Safetensors {
    /// The tensor of a name.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.tensors.iter().find(|(known, _)| known == name).map(|(_, tensor)| tensor)
    }

    /// What the file says of itself under a name.
    pub fn metadata(&self, name: &str) -> Option<&str> {
        self.metadata.iter().find(|(known, _)| known == name).map(|(_, text)| text.as_str())
    }
}

/// The word of the format for a dtype.
pub(super) fn word(dtype: DType) -> &'static str {
    match dtype {
        DType::F32 => "F32",
        DType::F16 => "F16",
        DType::BF16 => "BF16",
        DType::F64 => "F64",
        DType::I8 => "I8",
        DType::I16 => "I16",
        DType::I32 => "I32",
        DType::I64 => "I64",
        DType::U8 => "U8",
        DType::U16 => "U16",
        DType::U32 => "U32",
        DType::U64 => "U64",
        DType::Bool => "BOOL",
    }
}

/// Elements of so many bytes between this machine's byte order and the format's.
pub(super) fn little_endian(bytes: &[u8], size: usize) -> Cow<'_, [u8]> {
    if cfg!(target_endian = "little") {
        return Cow::Borrowed(bytes);
    }
    let mut turned = bytes.to_vec();
    turned.chunks_mut(size.max(1)).for_each(<[u8]>::reverse);
    Cow::Owned(turned)
}
