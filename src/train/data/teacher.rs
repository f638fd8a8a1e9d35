//! What a decoder is given, and what it is to say.

use super::dataset::{Dataset, Shuffle};
use super::fingerprint::derived;
use super::lengths::SUFFIX;
use crate::error::{Error, Result};
use crate::tensor::{DType, Tensor, TensorType};

/// A dataset with a pair for teacher forcing: of each example's `target` of tokens `t1 ... tn` it makes the input of a decoder, `begin t1 ... tn`,
/// and the target, `t1 ... tn end`. Where there is a `target_lengths`, it grows by one.
///
/// ```
/// use gristmill::Tensor;
/// use gristmill::train::{Dataset, Examples, TeacherForcing};
///
/// let examples = Examples::new(vec![("target".into(), Tensor::new([1, 2], &[5u8, 6])?)])?;
/// let forced = TeacherForcing { begin: 1, end: 2, ..TeacherForcing::new(examples) };
/// let inputs = forced.example(0)?;
/// assert_eq!(inputs[0], ("target".into(), Tensor::vector(&[5u8, 6, 2])));
/// assert_eq!(inputs[1], ("decoder_input".into(), Tensor::vector(&[1u8, 5, 6])));
/// # Ok::<(), gristmill::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct TeacherForcing<D> {
    /// The examples.
    pub data: D,
    /// The input that a decoder is to say, a vector of integers in each example.
    pub target: String,
    /// The name of what the decoder is given.
    pub decoder_input: String,
    /// The token that stands before the first.
    pub begin: i64,
    /// The token that stands behind the last.
    pub end: i64,
}

impl<D: Dataset> TeacherForcing<D> {
    /// Of `target` the `decoder_input`, with 0 for begin and end.
    pub fn new(data: D) -> Self {
        TeacherForcing { data, target: "target".into(), decoder_input: "decoder_input".into(), begin: 0, end: 0 }
    }

    /// A token as the bytes of one element.
    fn token(&self, token: i64, dtype: DType) -> Result<Tensor> {
        let fits = dtype.is_integer() && dtype.range().is_some_and(|(least, most)| (least..=most).contains(&token.into()));
        match fits {
            true => Tensor::from_i128(TensorType::new(dtype, [1]), &[token.into()]),
            false => Err(Error::invalid_input(format!("input `{}` is {dtype}, which has no token {token}", self.target))),
        }
    }

    /// What the decoder is given, and what it is to say.
    fn pair(&self, tokens: &Tensor) -> Result<[Tensor; 2]> {
        let [length] = *tokens.shape().dims() else {
            return Err(Error::invalid_input(format!(
                "input `{}` is {} in an example; expected a vector",
                self.target,
                tokens.ty()
            )));
        };
        let (begin, end) = (self.token(self.begin, tokens.dtype())?, self.token(self.end, tokens.dtype())?);
        let ty = TensorType::new(tokens.dtype(), [length + 1]);
        let given = Tensor::from_bytes(ty.clone(), &[begin.bytes(), tokens.bytes()].concat())?;
        Ok([given, Tensor::from_bytes(ty, &[tokens.bytes(), end.bytes()].concat())?])
    }

    /// A length that grows by one.
    fn longer(&self, length: &Tensor) -> Result<Tensor> {
        let longer = length.to_i128().first().map_or(1, |length| length.saturating_add(1));
        match length.dtype().range().filter(|(_, most)| longer <= *most) {
            Some(_) => Tensor::from_i128(length.ty().clone(), &[longer]),
            None => Err(Error::invalid_input(format!("`{}{SUFFIX}` is {}, which has no {longer}", self.target, length.dtype()))),
        }
    }
}

impl<D: Dataset> Dataset for TeacherForcing<D> {
    fn count(&self) -> usize {
        self.data.count()
    }

    fn example(&self, number: usize) -> Result<Vec<(String, Tensor)>> {
        let mut inputs = self.data.example(number)?;
        let lengths = format!("{}{SUFFIX}", self.target);
        let named = |error: Error| Error::new(error.kind(), format!("example {number}: {}", error.message()));
        let mut given = None;
        for (name, tensor) in &mut inputs {
            if *name == self.target {
                let [before, after] = self.pair(tensor).map_err(named)?;
                (*tensor, given) = (after, Some(before));
            } else if *name == lengths {
                *tensor = self.longer(tensor).map_err(named)?;
            }
        }
        match given {
            Some(given) => inputs.push((self.decoder_input.clone(), given)),
            None => return Err(Error::invalid_input(format!("an example has no input `{}`", self.target))),
        }
        Ok(inputs)
    }

    fn length(&self, number: usize) -> usize {
        self.data.length(number)
    }

    fn epoch(&self, shuffle: Option<Shuffle>) -> Vec<usize> {
        self.data.epoch(shuffle)
    }

    fn fingerprint(&self) -> Option<String> {
        let TeacherForcing { target, decoder_input, begin, end, .. } = self;
        derived(self.data.fingerprint(), &format!("teacher {target:?} {decoder_input:?} {begin} {end}"))
    }
}
