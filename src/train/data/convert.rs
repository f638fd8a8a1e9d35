//! Numbers as they are stored, and as a network takes them.

use super::dataset::{Dataset, Shuffle};
use super::fingerprint::derived;
use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::tensor::{DType, Tensor, TensorType};

/// How the numbers of an input become those that a network takes: `x * scale + offset`, in a dtype.
#[derive(Clone, Debug, PartialEq)]
pub struct Conversion {
    /// The name of the input.
    pub input: String,
    /// The dtype that they get.
    pub dtype: DType,
    /// What they are multiplied by.
    pub scale: f64,
    /// What is added then.
    pub offset: f64,
}

impl Conversion {
    /// The same numbers in another dtype.
    pub fn to(input: impl Into<String>, dtype: DType) -> Self {
        Conversion { input: input.into(), dtype, scale: 1.0, offset: 0.0 }
    }

    /// `(x / divisor - mean) / deviation` in f32: pixels as networks like them.
    pub fn normalized(input: impl Into<String>, divisor: f64, mean: f64, deviation: f64) -> Self {
        Conversion { input: input.into(), dtype: DType::F32, scale: 1.0 / (divisor * deviation), offset: -mean / deviation }
    }

    /// The numbers of a tensor, converted.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a number that the dtype, where it is none of floats, does not have.
    pub fn apply(&self, tensor: &Tensor) -> Result<Tensor> {
        let ty = TensorType::new(self.dtype, tensor.shape().clone());
        if self.scale == 1.0 && self.offset == 0.0 {
            return match (self.dtype == tensor.dtype(), tensor.dtype().is_float() || self.dtype.is_float()) {
                (true, _) => Ok(tensor.clone()),
                (false, true) => self.of_floats(ty, tensor.to_f64()),
                (false, false) => self.of_integers(ty, tensor.to_i128()),
            };
        }
        self.of_floats(ty, tensor.to_f64().iter().map(|x| x * self.scale + self.offset).collect())
    }

    fn of_floats(&self, ty: TensorType, numbers: Vec<f64>) -> Result<Tensor> {
        let tensor = Tensor::from_f64(ty, &numbers)?;
        if !self.dtype.is_float() {
            // What was truncated or saturated differs, compared as integers too: of floats, the greatest i64 is equal to the next number.
            let alike = |wanted: f64, found: i128| wanted == found as f64 && wanted as i128 == found;
            let wrong = numbers.iter().zip(tensor.to_i128()).position(|(wanted, found)| !alike(*wanted, found));
            wrong.map_or(Ok(()), |at| Err(self.wrong(at, numbers[at])))?;
        }
        Ok(tensor)
    }

    fn of_integers(&self, ty: TensorType, numbers: Vec<i128>) -> Result<Tensor> {
        let (least, most) = self.dtype.range().unwrap_or((i128::MIN, i128::MAX));
        match numbers.iter().position(|number| *number < least || *number > most) {
            Some(at) => Err(self.wrong(at, numbers[at])),
            None => Tensor::from_i128(ty, &numbers),
        }
    }

    fn wrong(&self, at: usize, number: impl std::fmt::Display) -> Error {
        Error::invalid_input(format!("element {at} of input `{}` is {number}, which is no {}", self.input, self.dtype))
    }
}

/// A dataset whose inputs are converted, example by example as they are read.
///
/// ```
/// use gristmill::Tensor;
/// use gristmill::train::{Conversion, Converted, Dataset, Examples};
///
/// let pixels = Tensor::new([1, 2], &[0u8, 255])?;
/// let examples = Examples::new(vec![("image".into(), pixels)])?;
/// let converted = Converted::new(examples, vec![Conversion::normalized("image", 255.0, 0.5, 0.25)]);
/// assert_eq!(converted.example(0)?[0].1, Tensor::vector(&[-2.0f32, 2.0]));
/// # Ok::<(), gristmill::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Converted<D> {
    data: D,
    conversions: Vec<Conversion>,
}

impl<D: Dataset> Converted<D> {
    /// A dataset with these conversions; inputs that have none stay as they are.
    pub fn new(data: D, conversions: Vec<Conversion>) -> Self {
        Converted { data, conversions }
    }

    /// A dataset whose inputs have the dtypes that a graph wants of those of their names, beside these conversions.
    pub fn for_graph(data: D, graph: &Graph, mut conversions: Vec<Conversion>) -> Self {
        for input in graph.inputs() {
            let name = &graph.value(input.value).name;
            if conversions.iter().all(|conversion| conversion.input != *name) {
                conversions.push(Conversion::to(name, input.dtype));
            }
        }
        Converted { data, conversions }
    }
}

impl<D: Dataset> Dataset for Converted<D> {
    fn count(&self) -> usize {
        self.data.count()
    }

    fn example(&self, number: usize) -> Result<Vec<(String, Tensor)>> {
        let mut inputs = self.data.example(number)?;
        for (name, tensor) in &mut inputs {
            if let Some(conversion) = self.conversions.iter().find(|conversion| conversion.input == *name) {
                let named = |error: Error| Error::new(error.kind(), format!("example {number}: {}", error.message()));
                *tensor = conversion.apply(tensor).map_err(named)?;
            }
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
        derived(self.data.fingerprint(), &format!("{:?}", self.conversions))
    }
}
