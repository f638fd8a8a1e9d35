//! What a value of an open graph may be: a tensor, a sequence of tensors, or nothing.

use crate::error::{Error, Result};
use std::fmt;

/// A tensor, or what ONNX makes of tensors: sequences of them, and optional ones. `T` stands for a tensor: its contents, what is known of
/// it, the value that it is in a graph, or where it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Structure<T> {
    /// One tensor, or an optional that holds one.
    Tensor(T),
    /// A sequence of tensors, or an optional that holds one.
    Sequence(Vec<T>),
    /// An argument that is left out, or an optional that holds nothing.
    Absent,
}

/// What a declared input may be given as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// A tensor.
    #[default]
    Tensor,
    /// A sequence of tensors.
    Sequence,
    /// A tensor, or nothing.
    OptionalTensor,
    /// A sequence of tensors, or nothing.
    OptionalSequence,
}

impl Form {
    /// Whether a run may leave the input out.
    pub fn is_optional(self) -> bool {
        matches!(self, Form::OptionalTensor | Form::OptionalSequence)
    }

    /// Whether the input is a sequence where it is given.
    pub fn is_sequence(self) -> bool {
        matches!(self, Form::Sequence | Form::OptionalSequence)
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Form::Tensor => "a tensor",
            Form::Sequence => "a sequence of tensors",
            Form::OptionalTensor => "a tensor or nothing",
            Form::OptionalSequence => "a sequence of tensors or nothing",
        })
    }
}

impl<T> Structure<T> {
    /// The same of other things.
    ///
    /// # Errors
    /// The first that `change` reports.
    pub fn try_map<'a, U>(&'a self, mut change: impl FnMut(&'a T) -> Result<U>) -> Result<Structure<U>> {
        Ok(match self {
            Structure::Tensor(tensor) => Structure::Tensor(change(tensor)?),
            Structure::Sequence(tensors) => Structure::Sequence(tensors.iter().map(change).collect::<Result<_>>()?),
            Structure::Absent => Structure::Absent,
        })
    }

    /// The same of other things.
    pub fn map<'a, U>(&'a self, mut change: impl FnMut(&'a T) -> U) -> Structure<U> {
        match self {
            Structure::Tensor(tensor) => Structure::Tensor(change(tensor)),
            Structure::Sequence(tensors) => Structure::Sequence(tensors.iter().map(change).collect()),
            Structure::Absent => Structure::Absent,
        }
    }

    /// Whether it is nothing.
    pub fn is_absent(&self) -> bool {
        matches!(self, Structure::Absent)
    }

    /// All its tensors, in order.
    pub fn tensors(&self) -> &[T] {
        match self {
            Structure::Tensor(tensor) => std::slice::from_ref(tensor),
            Structure::Sequence(tensors) => tensors,
            Structure::Absent => &[],
        }
    }

    /// The tensor that it is.
    ///
    /// # Errors
    /// [`InvalidModel`](crate::ErrorKind::InvalidModel) where it is none.
    pub fn tensor(&self) -> Result<&T> {
        match self {
            Structure::Tensor(tensor) => Ok(tensor),
            Structure::Sequence(_) => Err(Error::invalid_model("expected a tensor, found a sequence of tensors")),
            Structure::Absent => Err(Error::invalid_model("expected a tensor, found nothing")),
        }
    }

    /// The tensors of the sequence that it is.
    ///
    /// # Errors
    /// [`InvalidModel`](crate::ErrorKind::InvalidModel) where it is none.
    pub fn sequence(&self) -> Result<&[T]> {
        match self {
            Structure::Sequence(tensors) => Ok(tensors),
            Structure::Tensor(_) => Err(Error::invalid_model("expected a sequence of tensors, found one tensor")),
            Structure::Absent => Err(Error::invalid_model("expected a sequence of tensors, found nothing")),
        }
    }
}
