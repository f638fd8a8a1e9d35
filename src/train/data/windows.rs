//! Windows of one long text.

use super::dataset::{Dataset, Shuffle};
use super::fingerprint::{Fingerprint, derived};
use super::order::below;
use crate::error::{Error, Result};
use crate::tensor::{Tensor, TensorType};
use crate::train::safetensors::Safetensors;
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// Windows of a text of tokens, for networks that foretell the next one: example `n` has `context` tokens from place `n` as `tokens`, and those
/// from place `n + 1` as `target`.
///
/// There is an example for each place, but an epoch goes through the text once, in windows that lie side by side. A loader that shuffles begins
/// them at another place in each epoch; one that does not begins at the start.
///
/// ```
/// use gristmill::Tensor;
/// use gristmill::train::{Dataset, TokenWindows};
///
/// let text = TokenWindows::new(Tensor::vector(b"to be or not to be"), 4)?;
/// let inputs = text.example(3)?;
/// assert_eq!(inputs[0], ("tokens".into(), Tensor::vector(b"be o")));
/// assert_eq!(inputs[1], ("target".into(), Tensor::vector(b"e or")));
/// assert_eq!((text.count(), text.epoch(None)), (14, vec![0, 4, 8, 12]));
/// # Ok::<(), gristmill::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct TokenWindows {
    text: Tensor,
    /// The tokens of the text that are taken.
    taken: std::ops::Range<usize>,
    context: usize,
    fingerprint: Arc<OnceLock<String>>,
}

/// A draw that no place of an order has.
const OFFSET: u64 = u64::MAX;

impl TokenWindows {
    /// Windows of a vector of integers.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for anything else, and where there are not more tokens than a context has.
    pub fn new(text: Tensor, context: usize) -> Result<Self> {
        let [length] = *text.shape().dims() else {
            return Err(Error::invalid_argument(format!("a text is {}; expected a vector", text.ty())));
        };
        if !text.dtype().is_integer() {
            return Err(Error::invalid_argument(format!("a text is {}; expected integers", text.ty())));
        }
        TokenWindows { text, taken: 0..length, context, fingerprint: Arc::default() }.checked()
    }

    /// Windows of the tensor of a name in a safetensors file.
    ///
    /// # Errors
    /// As [`Safetensors::load`] and [`new`](TokenWindows::new), naming the file; [`InvalidInput`](crate::ErrorKind::InvalidInput) where it has no
    /// such tensor.
    pub fn load(path: impl AsRef<Path>, name: &str, context: usize) -> Result<Self> {
        let path = path.as_ref();
        let file = Safetensors::load(path)?;
        let text =
            file.get(name).ok_or_else(|| Error::invalid_input(format!("{}: there is no tensor `{name}`", path.display())))?;
        let named = |error: Error| Error::new(error.kind(), format!("{}: tensor `{name}`: {error}", path.display()));
        TokenWindows::new(text.clone(), context).map_err(named)
    }

    /// The beginning of the text, and a share of it at its end that is held out.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for a share that is not between 0 and 1, and where a part has not more tokens than a
    /// context.
    pub fn split(self, held_out: f64) -> Result<[Self; 2]> {
        if !(held_out > 0.0 && held_out < 1.0) {
            return Err(Error::invalid_argument(format!("a share of {held_out} cannot be held out; expected one between 0 and 1")));
        }
        let length = self.taken.len();
        // Below the length, since the share is above 0.
        let first = self.taken.start + ((length as f64 * (1.0 - held_out)) as usize).min(length);
        let part = |taken| TokenWindows { taken, fingerprint: Arc::default(), ..self.clone() }.checked();
        Ok([part(self.taken.start..first)?, part(first..self.taken.end)?])
    }

    /// How many tokens the text has.
    pub fn tokens(&self) -> usize {
        self.taken.len()
    }

    fn checked(self) -> Result<Self> {
        let (length, context) = (self.taken.len(), self.context);
        match context > 0 && length > context {
            true => Ok(self),
            false => Err(Error::invalid_argument(format!(
                "a text of {length} tokens has no window of {context}: expected a context of 1 or more, and more tokens than that"
            ))),
        }
    }

    fn part(&self, start: usize) -> Result<Tensor> {
        let size = self.text.dtype().size();
        let bytes = &self.text.bytes()[start * size..(start + self.context) * size];
        Tensor::from_bytes(TensorType::new(self.text.dtype(), [self.context]), bytes)
    }
}

impl Dataset for TokenWindows {
    fn count(&self) -> usize {
        self.taken.len() - self.context
    }

    fn example(&self, number: usize) -> Result<Vec<(String, Tensor)>> {
        if number >= self.count() {
            return Err(Error::invalid_argument(format!("there is no example {number}, but {}", self.count())));
        }
        let start = self.taken.start + number;
        Ok(vec![("tokens".into(), self.part(start)?), ("target".into(), self.part(start + 1)?)])
    }

    fn epoch(&self, shuffle: Option<Shuffle>) -> Vec<usize> {
        let (length, context) = (self.taken.len(), self.context);
        let (windows, offset) = match shuffle {
            // As many for each offset: what the greatest leaves.
            Some(by) => {
                let windows = ((length - context) / context).max(1);
                let offsets = context.min(length - windows * context);
                (windows, below(offsets as u64, by, OFFSET) as usize)
            }
            None => ((length - 1) / context, 0),
        };
        (0..windows).map(|window| offset + window * context).collect()
    }

    fn fingerprint(&self) -> Option<String> {
        let find = || {
            let size = self.text.dtype().size();
            let bytes = &self.text.bytes()[self.taken.start * size..self.taken.end * size];
            Fingerprint::default().and(self.text.dtype().to_string().as_bytes()).and(bytes).text()
        };
        derived(Some(self.fingerprint.get_or_init(find).clone()), &format!("windows {}", self.context))
    }
}
