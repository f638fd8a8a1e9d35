//! Examples side by side.

use super::order::Place;
use crate::error::{Error, Result};
use crate::tensor::{DType, Shape, Tensor, TensorType, TensorView};

/// How an input whose first axis differs from example to example is made as long as the others of its batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Padding {
    /// The name of the input.
    pub input: String,
    /// What stands past the end of an example.
    pub value: f64,
    /// The axis becomes the longest of the batch, or the next multiple of this: each new length of a batch is planned anew. 1 or more.
    pub multiple: usize,
}

/// Examples side by side.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Where it stands in the data.
    pub place: Place,
    /// The numbers of its examples.
    pub examples: Vec<usize>,
    /// Names and tensors, whose first axis counts the examples.
    pub inputs: Vec<(String, Tensor)>,
}

impl Batch {
    /// The input of a name.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.inputs.iter().find(|(known, _)| known == name).map(|(_, tensor)| tensor)
    }

    /// The inputs of these names, as a step takes them; those that the batch has not are left out, for the step to miss.
    pub fn views<'a>(&'a self, names: &[String]) -> Vec<(&'a str, TensorView<'a>)> {
        let wanted = self.inputs.iter().filter(|(name, _)| names.contains(name));
        wanted.map(|(name, tensor)| (name.as_str(), tensor.view())).collect()
    }
}

/// Inputs of examples, which are one or more, as inputs of a batch.
pub(super) fn stacked(examples: &[Vec<(String, Tensor)>], padding: &[Padding]) -> Result<Vec<(String, Tensor)>> {
    let Some(first) = examples.first() else { return Ok(Vec::new()) };
    let mut inputs = Vec::with_capacity(first.len());
    for (name, model) in first {
        let find = |example: &Vec<(String, Tensor)>| {
            let found = example.iter().find(|(known, _)| known == name);
            found.map(|(_, tensor)| tensor.clone()).ok_or_else(|| Error::invalid_input(format!("an example has no input `{name}`")))
        };
        let tensors: Vec<Tensor> = examples.iter().map(find).collect::<Result<_>>()?;
        let padding = padding.iter().find(|padding| padding.input == *name);
        let shape = common(name, model, &tensors, padding)?;
        let dims: Vec<usize> = [tensors.len()].into_iter().chain(shape.iter().copied()).collect();
        let ty =
            TensorType::new(model.dtype(), dims).checked().map_err(|error| Error::limit(format!("input `{name}`: {error}")))?;
        let element = match padding {
            Some(padding) => filling(padding, model.dtype())?,
            None => Tensor::zeros(TensorType::new(model.dtype(), [1])),
        };
        let bytes = shape.elements() * model.dtype().size();
        let mut data = Vec::with_capacity(tensors.len() * bytes);
        for tensor in &tensors {
            data.extend_from_slice(tensor.bytes());
            let missing = (bytes - tensor.bytes().len()) / model.dtype().size();
            (0..missing).for_each(|_| data.extend_from_slice(element.bytes()));
        }
        inputs.push((name.clone(), Tensor::from_bytes(ty, &data)?));
    }
    Ok(inputs)
}

/// The shape that all examples of an input get.
fn common(name: &str, model: &Tensor, tensors: &[Tensor], padding: Option<&Padding>) -> Result<Shape> {
    let wrong = |tensor: &Tensor, why: &str| {
        Error::invalid_input(format!("input `{name}` is {} in one example and {} in another: {why}", model.ty(), tensor.ty()))
    };
    let mut dims = model.shape().dims().to_vec();
    for tensor in tensors {
        let rest = |tensor: &Tensor| tensor.shape().get(1..).map(<[usize]>::to_vec);
        if tensor.dtype() != model.dtype() || tensor.shape().rank() != dims.len() || rest(tensor) != rest(model) {
            return Err(wrong(tensor, "only the first axis can be padded"));
        }
        if let (Some(most), Some(extent)) = (dims.first_mut(), tensor.shape().first()) {
            if extent != most && padding.is_none() {
                return Err(wrong(tensor, "it has no padding"));
            }
            *most = (*most).max(*extent);
        }
    }
    if let (Some(most), Some(padding)) = (dims.first_mut(), padding) {
        let multiple = most.checked_next_multiple_of(padding.multiple.max(1));
        *most =
            multiple.ok_or_else(|| Error::limit(format!("input `{name}` would be padded to multiples of {}", padding.multiple)))?;
    }
    Ok(Shape::new(dims))
}

/// What stands past the end, as one element.
fn filling(padding: &Padding, dtype: DType) -> Result<Tensor> {
    let Padding { input, value, .. } = padding;
    let element = Tensor::from_f64(TensorType::new(dtype, [1]), &[*value])?;
    match dtype.is_float() || element.to_f64() == [*value] {
        true => Ok(element),
        false => Err(Error::invalid_input(format!("input `{input}` is padded with {value}, which is no {dtype}: convert it"))),
    }
}
