//! Einsum: products of operands whose axes are named, summed over the names that the output lacks.

mod equation;
mod expand;

use super::Registration;
use crate::error::{Error, Result};
use crate::graph::{Edit, Fact, Io, Node, Op, required};
use crate::kernel::{Caps, Lowering};
use crate::tensor::{DType, Shape, Tensor, TensorType, View};
use equation::{Equation, Label};
use std::sync::Arc;

pub(super) static REGISTRATION: Registration = Registration { operators: &["Einsum"], shaders: &[] };

/// ONNX Einsum. It expands into transposes, products and sums, so that matrix products and attention are found in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Einsum {
    /// Terms of letters, as numpy.einsum takes them.
    pub equation: String,
}

/// An Einsum of an equation.
pub fn einsum(equation: impl Into<String>) -> Arc<dyn Op> {
    Arc::new(Einsum { equation: equation.into() })
}

impl Einsum {
    fn parse(&self, types: &[&TensorType]) -> Result<Equation> {
        let first = types.first().ok_or_else(|| Error::invalid_model("Einsum needs an operand"))?;
        if let Some(other) = types.iter().find(|t| t.dtype != first.dtype || t.dtype == DType::Bool) {
            return Err(Error::invalid_model(format!(
                "Einsum takes operands of one number type, found {} and {}",
                first.dtype, other.dtype
            )));
        }
        Equation::parse(&self.equation, &types.iter().map(|t| &t.shape).collect::<Vec<_>>())
    }
}

/// All operands, which must be there.
fn operands<'a, T>(inputs: &[Option<&'a T>]) -> Result<Vec<&'a T>> {
    (0..inputs.len()).map(|k| required("Einsum", inputs, k)).collect()
}

/// An operand as seen by a walk over `labels`: axes it lacks, or has with extent 1, stand still; repeated ones step together.
fn walk(own: &[Label], shape: &Shape, labels: &[Label], extents: &[usize]) -> View {
    let step = |label: &Label| {
        let axes = own.iter().zip(shape.iter().zip(shape.strides()));
        axes.filter(|(l, (extent, _))| *l == label && **extent != 1).map(|(_, (_, stride))| stride as i64).sum()
    };
    View { shape: extents.into(), strides: labels.iter().map(step).collect(), offset: 0 }
}

/// Sums of products of the elements that the walks meet; the walks go over the output and, inside it, the labels summed.
fn contract<T: Copy + Default>(
    data: &[Vec<T>],
    walks: &[View],
    outputs: usize,
    one: T,
    add: fn(T, T) -> T,
    multiply: fn(T, T) -> T,
) -> Vec<T> {
    let mut positions: Vec<_> = walks.iter().map(View::positions).collect();
    let total = walks.first().map_or(0, |w| w.shape.elements());
    let terms = total.checked_div(outputs).unwrap_or(0);
    let mut product = || {
        let factors = positions.iter_mut().zip(data).map(|(p, d)| p.next().map_or(one, |at| d[at]));
        factors.fold(one, multiply)
    };
    (0..outputs).map(|_| (0..terms).fold(T::default(), |sum, _| add(sum, product()))).collect()
}

impl Op for Einsum {
    fn name(&self) -> &'static str {
        "Einsum"
    }

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let types: Vec<&TensorType> = operands(inputs)?.into_iter().map(|f| &f.ty).collect();
        let equation = self.parse(&types)?;
        Ok(vec![Fact::new(types[0].dtype, equation.shape(&equation.output))])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let tensors = operands(inputs)?;
        let equation = self.parse(&tensors.iter().map(|t| t.ty()).collect::<Vec<_>>())?;
        let summed = equation.extents.keys().filter(|l| !equation.output.contains(l));
        let labels: Vec<Label> = equation.output.iter().chain(summed).copied().collect();
        let extents = equation.shape(&labels);
        let walks: Vec<View> =
            equation.operands.iter().zip(&tensors).map(|(own, t)| walk(own, t.shape(), &labels, &extents)).collect();
        let ty = TensorType::new(tensors[0].dtype(), equation.shape(&equation.output));
        let outputs = ty.elements();
        let output = if ty.dtype.is_float() {
            let data: Vec<_> = tensors.iter().map(|t| t.to_f64()).collect();
            Tensor::from_f64(ty, &contract(&data, &walks, outputs, 1.0, |a, b| a + b, |a, b| a * b))?
        } else {
            let data: Vec<_> = tensors.iter().map(|t| t.to_i128()).collect();
            Tensor::from_i128(ty, &contract(&data, &walks, outputs, 1, i128::wrapping_add, i128::wrapping_mul))?
        };
        Ok(vec![output])
    }

    fn candidates(&self, _io: &Io, _caps: &Caps) -> Result<Vec<Lowering>> {
        Err(Error::unsupported(format!("the equation `{}` was not expanded into simpler operators", self.equation)))
    }

    fn expand(&self, node: &Node, inputs: &[Option<&Fact>], edit: &mut Edit) -> Result<Option<Vec<Node>>> {
        let types: Vec<&TensorType> = operands(inputs)?.into_iter().map(|f| &f.ty).collect();
        let equation = self.parse(&types)?;
        expand::expand(&equation, node, &types, edit).map(Some)
    }
}
