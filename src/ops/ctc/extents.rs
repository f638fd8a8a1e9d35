//! What the operators of CTC ask of the types of their inputs.

use crate::error::{Error, Result};
use crate::tensor::{DType, TensorType};

/// Logits as `[time, batch, classes]`, and a tensor of a length for each sequence.
pub(super) fn frames(name: &str, blank: usize, logits: &TensorType, lengths: &TensorType) -> Result<[usize; 3]> {
    let [time, batch, classes] = logits.shape[..] else {
        return Err(Error::invalid_model(format!("{name} expects logits [time, batch, classes], found {logits}")));
    };
    if !logits.dtype.is_float() || blank >= classes {
        return Err(Error::invalid_model(format!("{name} expects floats of more than {blank} classes, the blank, found {logits}")));
    }
    lengths_of(name, batch, lengths)?;
    Ok([time, batch, classes])
}

/// A tensor of a length for each sequence.
pub(super) fn lengths_of(name: &str, batch: usize, lengths: &TensorType) -> Result<()> {
    if !is_integer(lengths) || lengths.shape[..] != [batch] {
        return Err(Error::invalid_model(format!("{name} expects lengths of i32 or i64 [{batch}], found {lengths}")));
    }
    Ok(())
}

pub(super) fn is_integer(ty: &TensorType) -> bool {
    matches!(ty.dtype, DType::I32 | DType::I64)
}
