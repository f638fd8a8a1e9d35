//! Examples by their numbers.

use crate::error::{Error, Result};
use crate::tensor::{Tensor, TensorType};

/// Examples to learn from.
pub trait Dataset: Send + Sync {
    /// How many there are.
    fn count(&self) -> usize;

    /// The inputs of an example by their names, each without the axis of the batch.
    ///
    /// # Errors
    /// Those of reading it.
    fn example(&self, number: usize) -> Result<Vec<(String, Tensor)>>;

    /// How long an example is, for batches of examples of like lengths.
    fn length(&self, number: usize) -> usize {
        let _ = number;
        0
    }
}

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
#[derive(Clone, Debug)]
pub struct Examples {
    count: usize,
    inputs: Vec<(String, Tensor)>,
}

impl Examples {
    /// Examples of these inputs.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) naming an input that does not have as many as the first, and when there is none.
    pub fn new(inputs: Vec<(String, Tensor)>) -> Result<Self> {
        let count = inputs.first().and_then(|(_, tensor)| tensor.shape().first().copied()).unwrap_or(0);
        if count == 0 {
            return Err(Error::invalid_argument("there are no examples"));
        }
        match inputs.iter().find(|(_, tensor)| tensor.shape().first() != Some(&count)) {
            Some((name, tensor)) => {
                Err(Error::invalid_argument(format!("input `{name}` is {}; expected {count} examples", tensor.ty())))
            }
            None => Ok(Examples { count, inputs }),
        }
    }
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
            let ty = TensorType::new(tensor.dtype(), &tensor.shape()[1..]);
            let bytes = ty.elements() * ty.dtype.size();
            Ok((name.clone(), Tensor::from_bytes(ty, &tensor.bytes()[number * bytes..(number + 1) * bytes])?))
        };
        self.inputs.iter().map(of).collect()
    }
}
