//! How long the sequences of padded tensors are.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unreachable,
    clippy::unwrap_used
)]

use crate::error::{Error, Result};
use crate::tensor::Tensor;

/// What stands behind a name for the lengths of what has it.
pub(super) const SUFFIX: &str = "_lengths";

/// The lengths of an input's sequences, which lie along its axis 1.
///
/// # Errors
/// [`InvalidInput`](crate::ErrorKind::InvalidInput) naming lengths that are no integers, not one for each example, or one that is negative or
/// beyond the axis.
pub(super) fn checked(name: &str, lengths: &Tensor, input: &str, sequences: &Tensor) -> Result<Vec<usize>> {
    let wrong = |why: String| Error::invalid_input(format!("lengths `{name}` of input `{input}`: {why}"));
    let [count, longest, ..] = *sequences.shape().dims() else {
        return Err(wrong(format!("the input is {}; expected a second axis, along which its sequences lie", sequences.ty())));
    };
    if !lengths.dtype().is_integer() || lengths.shape().dims() != [count] {
        return Err(wrong(format!("expected {count} integers, one for each example, found {}", lengths.ty())));
    }
    let fits = |length: &i128| usize::try_from(*length).ok().filter(|length| *length <= longest);
    let numbers = lengths.to_i128();
    let all: Vec<usize> = numbers.iter().map_while(fits).collect();
    match numbers.get(all.len()) {
        Some(length) => Err(wrong(format!("that of example {} is {length}; expected 0 to {longest}", all.len()))),
        None => Ok(all),
    }
}
