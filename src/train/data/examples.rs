//! Examples in memory, and those of files.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unreachable,
    clippy::unwrap_used
)]

use super::dataset::Dataset;
use super::fingerprint::Fingerprint;
use super::lengths::{self, SUFFIX};
use super::subset::Subset;
use crate::error::{Error, Result};
use crate::tensor::{Tensor, TensorType};
use crate::train::safetensors::Safetensors;
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// Examples in memory: tensors whose first axis counts them.
///
/// ```
/// use gristmill::Tensor;
/// use gristmill::train::{Dataset, Examples};
///
/// let x = Tensor::new([3, 2], &[0.0f32, 1.0, 2.0, 3.0, 4.0, 5.0])?;
/// let examples = Examples::new(vec![("x".into(), x), ("y".into(), Tensor::vector(&[7i64, 8, 9]))])?;
/// let second = examples.example(1)?;
/// assert_eq!(examples.count(), 3);
/// assert_eq!(second[0].1.as_slice::<f32>()?, [2.0, 3.0]);
/// assert_eq!(second[1].1, Tensor::scalar(8i64));
/// # Ok::<(), gristmill::Error>(())
/// ```
///
/// Sequences of several lengths stand padded beside their lengths; an example has its own length.
///
/// ```
/// use gristmill::Tensor;
/// use gristmill::train::{Dataset, Examples};
///
/// let words = Tensor::new([2, 3], &[1u8, 2, 3, 4, 0, 0])?;
/// let lengths = Tensor::vector(&[3u8, 1]);
/// let examples = Examples::new(vec![("word".into(), words), ("word_lengths".into(), lengths)])?.cut()?;
/// assert_eq!(examples.example(1)?[0].1, Tensor::vector(&[4u8]));
/// assert_eq!(examples.length(1), 1);
/// # Ok::<(), gristmill::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Examples {
    count: usize,
    inputs: Vec<(String, Tensor)>,
    /// Inputs by their names, and how long their sequences are.
    lengths: Vec<(String, Arc<Vec<usize>>)>,
    /// The input whose lengths are those of the examples; the first that has lengths where it is not said.
    measured: Option<String>,
    fingerprint: Arc<OnceLock<String>>,
}

impl Examples {
    /// Examples of these inputs.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) naming an input that does not have as many as the first, and when there is none.
    pub fn new(inputs: Vec<(String, Tensor)>) -> Result<Self> {
        let count = inputs.first().and_then(|(_, tensor)| tensor.shape().first().copied()).unwrap_or(0);
        // Without elements a tensor may count any number of examples.
        if count == 0 || inputs.iter().all(|(_, tensor)| tensor.elements() == 0) {
            return Err(Error::invalid_argument("there are no examples"));
        }
        match inputs.iter().find(|(_, tensor)| tensor.shape().first() != Some(&count)) {
            Some((name, tensor)) => {
                Err(Error::invalid_argument(format!("input `{name}` is {}; expected {count} examples", tensor.ty())))
            }
            None => Ok(Examples { count, inputs, lengths: Vec::new(), measured: None, fingerprint: Arc::default() }),
        }
    }

    /// The examples of a safetensors file: all its tensors, whose first axes count them, [cut](Examples::cut) to their lengths.
    ///
    /// # Errors
    /// As [`Safetensors::load`], [`new`](Examples::new) and [`cut`](Examples::cut), naming the file.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = Safetensors::load(path)?;
        let named = |error: Error| Error::new(error.kind(), format!("{}: {error}", path.display()));
        Examples::new(file.tensors).and_then(Examples::cut).map_err(named)
    }

    /// Cuts each input `NAME` that stands beside `NAME_lengths` to the lengths of its sequences, which lie along axis 1. Lengths stay inputs.
    ///
    /// # Errors
    /// As [`with_lengths`](Examples::with_lengths).
    pub fn cut(self) -> Result<Self> {
        let has = |name: &String| self.inputs.iter().any(|(known, _)| known == name);
        let pair =
            |(name, _): &(String, Tensor)| Some((name.clone(), format!("{name}{SUFFIX}"))).filter(|(_, lengths)| has(lengths));
        let pairs: Vec<(String, String)> = self.inputs.iter().filter_map(pair).collect();
        pairs.iter().try_fold(self, |examples, (input, lengths)| examples.with_lengths(input, lengths))
    }

    /// Cuts an input to the lengths that another holds.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for inputs that are not there; [`InvalidInput`](crate::ErrorKind::InvalidInput)
    /// naming lengths that are no integers, not one for each example, or one that is negative or beyond the axis.
    pub fn with_lengths(mut self, input: &str, lengths: &str) -> Result<Self> {
        let found = lengths::checked(lengths, self.input(lengths)?, input, self.input(input)?)?;
        self.lengths.retain(|(known, _)| known != input);
        self.lengths.push((input.to_string(), Arc::new(found)));
        self.fingerprint = Arc::default();
        Ok(self)
    }

    /// Takes the lengths of an input for those of the examples, by which buckets tell them apart.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for an input without lengths.
    pub fn measured_by(mut self, input: &str) -> Result<Self> {
        if self.lengths.iter().all(|(known, _)| known != input) {
            return Err(Error::invalid_argument(format!("input `{input}` has no lengths: expected `{input}{SUFFIX}` beside it")));
        }
        self.measured = Some(input.to_string());
        Ok(self)
    }

    /// These inputs alone.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for one that is not there.
    pub fn only(mut self, names: &[&str]) -> Result<Self> {
        names.iter().try_for_each(|name| self.input(name).map(drop))?;
        self.inputs.retain(|(name, _)| names.contains(&name.as_str()));
        self.lengths.retain(|(name, _)| names.contains(&name.as_str()));
        self.measured = self.measured.filter(|name| names.contains(&name.as_str()));
        self.fingerprint = Arc::default();
        Ok(self)
    }

    /// The examples whose element of an input is 0, and those where it is not, both without that input: what is for training, and what is held
    /// out.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for an input that is not there; [`InvalidInput`](crate::ErrorKind::InvalidInput)
    /// where it is not one integer or bool for each example, and where one of the parts would be empty.
    pub fn split_by(mut self, name: &str) -> Result<[Subset<Examples>; 2]> {
        let marks = self.input(name)?.clone();
        if marks.dtype().is_float() || marks.shape().rank() != 1 {
            let message = format!("input `{name}` is {}; expected one integer or bool for each example", marks.ty());
            return Err(Error::invalid_input(message));
        }
        self.inputs.retain(|(known, _)| known != name);
        self.fingerprint = Arc::default();
        if self.inputs.is_empty() {
            return Err(Error::invalid_argument("there are no examples"));
        }
        let marks = marks.to_i128();
        let part = |marked: bool| {
            let numbers = marks.iter().enumerate().filter(|(_, mark)| (**mark != 0) == marked).map(|(number, _)| number).collect();
            Subset::new(self.clone(), numbers).map_err(|error| Error::invalid_input(format!("input `{name}`: {}", error.message())))
        };
        Ok([part(false)?, part(true)?])
    }

    /// Names and tensors, as they stand side by side.
    pub fn inputs(&self) -> &[(String, Tensor)] {
        &self.inputs
    }

    fn input(&self, name: &str) -> Result<&Tensor> {
        let found = self.inputs.iter().find(|(known, _)| known == name);
        found.map(|(_, tensor)| tensor).ok_or_else(|| {
            let known: Vec<&str> = self.inputs.iter().map(|(known, _)| known.as_str()).collect();
            Error::invalid_argument(format!("there is no input `{name}`, but {known:?}"))
        })
    }

    fn lengths_of(&self, name: &str) -> Option<&[usize]> {
        self.lengths.iter().find(|(known, _)| known == name).map(|(_, lengths)| lengths.as_slice())
    }
}

/// The first `length` steps of an example of a tensor, or all of it.
fn part(tensor: &Tensor, number: usize, length: Option<usize>) -> Option<Tensor> {
    let mut dims = tensor.shape().get(1..)?.to_vec();
    let size = tensor.dtype().size();
    let whole = TensorType::new(tensor.dtype(), dims.clone()).elements().checked_mul(size)?;
    if let (Some(first), Some(length)) = (dims.first_mut(), length) {
        *first = length;
    }
    let ty = TensorType::new(tensor.dtype(), dims);
    let begin = number.checked_mul(whole)?;
    let end = begin.checked_add(ty.elements().checked_mul(size)?)?;
    Tensor::from_bytes(ty, tensor.bytes().get(begin..end)?).ok()
}

impl Dataset for Examples {
    fn count(&self) -> usize {
        self.count
    }

    fn example(&self, number: usize) -> Result<Vec<(String, Tensor)>> {
        if number >= self.count {
            return Err(Error::invalid_argument(format!("there is no example {number}, but {}", self.count)));
        }
        let of = |(name, tensor): &(String, Tensor)| {
            let length = self.lengths_of(name).and_then(|lengths| lengths.get(number).copied());
            let part = part(tensor, number, length).ok_or_else(|| Error::internal("lengths that were checked"))?;
            Ok((name.clone(), part))
        };
        self.inputs.iter().map(of).collect()
    }

    fn length(&self, number: usize) -> usize {
        let lengths = match &self.measured {
            Some(name) => self.lengths_of(name),
            None => self.lengths.first().map(|(_, lengths)| lengths.as_slice()),
        };
        lengths.and_then(|lengths| lengths.get(number).copied()).unwrap_or(0)
    }

    fn fingerprint(&self) -> Option<String> {
        let find = || {
            let data = Fingerprint::of(self.inputs.iter().map(|(name, tensor)| (name.as_str(), tensor)));
            let add = |hash: Fingerprint, (name, _): &(String, _)| hash.and(name.as_bytes());
            self.lengths.iter().fold(data, add).text()
        };
        Some(self.fingerprint.get_or_init(find).clone())
    }
}
