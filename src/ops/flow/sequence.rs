//! Operators that make sequences of tensors, and tensors of sequences.

use crate::error::{Error, Result};
use crate::graph::{Fact, Flow, Flowing, Node, Op, Structure, ValueId, Writer};
use crate::ops::Registration;
use crate::ops::compose::Compose;
use crate::ops::concat::concat;
use crate::ops::slice::split;
use crate::tensor::{DType, Shape, Tensor, TensorType};
use std::sync::Arc;

/// The operators of this file.
pub static REGISTRATION: Registration = Registration { operators: &["SplitToSequence", "ConcatFromSequence"], shaders: &[] };

/// The most tensors that one is split into.
const MAX_PARTS: usize = 1 << 14;

/// ONNX SplitToSequence: consecutive parts of input 0 along an axis. Input 1 holds the size of all of them but the last, which may be
/// smaller, or the sizes of each; where it is left out, all are slices.
#[derive(Clone, Copy, Debug)]
pub struct SplitToSequence {
    /// The axis that is split.
    pub axis: i64,
    /// Whether slices keep the axis.
    pub keepdims: bool,
}

/// Parts along an axis, see [`SplitToSequence`].
pub fn split_to_sequence(axis: i64, keepdims: bool) -> Arc<dyn Op> {
    Arc::new(Flowing(SplitToSequence { axis, keepdims }))
}

/// How a tensor is split.
struct Parts {
    axis: usize,
    sizes: Vec<usize>,
    /// The shape of each where they are not the whole rank.
    slice: Option<Shape>,
}

impl Parts {
    /// The sizes as an input of Split, and its operator.
    fn split(&self) -> (Tensor, Arc<dyn Op>) {
        let sizes: Vec<i64> = self.sizes.iter().map(|size| *size as i64).collect();
        (Tensor::vector(&sizes), split(self.axis as i64, sizes.len()))
    }
}

impl SplitToSequence {
    /// How a tensor of this shape is split.
    fn parts(self, shape: &Shape, sizes: Option<&Tensor>) -> Result<Parts> {
        let axis = shape.axis(self.axis)?;
        let extent = shape[axis];
        let limited = |count: usize| match count > MAX_PARTS {
            true => Err(Error::limit(format!("SplitToSequence makes {count} tensors: expected at most {MAX_PARTS}"))),
            false => Ok(count),
        };
        let Some(sizes) = sizes else {
            let kept = shape.iter().enumerate().filter(|(k, _)| *k != axis).map(|(_, extent)| *extent);
            let slice = (!self.keepdims).then(|| kept.collect::<Vec<_>>().into());
            return Ok(Parts { axis, sizes: vec![1; limited(extent)?], slice });
        };
        typed(sizes.ty())?;
        let asked = sizes.to_i128();
        let wrong = || Error::invalid_input(format!("cannot split an extent of {extent} into sizes {}", shown(&asked)));
        let found: Vec<usize> = asked.iter().map(|size| usize::try_from(*size)).collect::<Result<_, _>>().map_err(|_| wrong())?;
        let sizes = match (sizes.shape().rank(), found.first()) {
            (0, Some(0)) => return Err(wrong()),
            (0, Some(size)) => {
                let count = limited(extent.div_ceil(*size))?;
                (0..count).map(|k| (*size).min(extent - k * size)).collect()
            }
            _ => found,
        };
        limited(sizes.len())?;
        match sizes.iter().try_fold(0usize, |sum, size| sum.checked_add(*size)) {
            Some(sum) if sum == extent => Ok(Parts { axis, sizes, slice: None }),
            _ => Err(wrong()),
        }
    }
}

/// The first of some numbers.
fn shown(numbers: &[i128]) -> String {
    let first: Vec<String> = numbers.iter().take(16).map(ToString::to_string).collect();
    format!("[{}{}]", first.join(", "), if numbers.len() > 16 { ", ..." } else { "" })
}

/// Checks the type of sizes.
fn typed(ty: &TensorType) -> Result<()> {
    if ty.dtype.is_float() || ty.dtype == DType::Bool || ty.shape.rank() > 1 {
        return Err(Error::invalid_model(format!("SplitToSequence takes one size, or a list of sizes, as integers, found {ty}")));
    }
    Ok(())
}

impl Flow for SplitToSequence {
    fn name(&self) -> &'static str {
        "SplitToSequence"
    }

    crate::attributes!(axis, keepdims);

    fn evaluate(&self, inputs: &[Structure<Tensor>], _: u64) -> Result<Vec<Structure<Tensor>>> {
        let (tensor, sizes) = arguments(inputs)?;
        let parts = self.parts(tensor.shape(), sizes)?;
        if parts.sizes.is_empty() {
            return Ok(vec![Structure::Sequence(vec![])]);
        }
        let (sizes, split) = parts.split();
        let tensors = split.reference(&[Some(tensor), Some(&sizes)])?;
        let tensor = |part: Tensor| match &parts.slice {
            Some(shape) => Tensor::from_bytes(TensorType::new(part.dtype(), shape.clone()), part.bytes()),
            None => Ok(part),
        };
        Ok(vec![Structure::Sequence(tensors.into_iter().map(tensor).collect::<Result<_>>()?)])
    }

    fn write(&self, _: &Node, inputs: &[Structure<ValueId>], writer: &mut Writer) -> Result<Vec<Structure<ValueId>>> {
        let (tensor, sizes) = arguments(inputs)?;
        let sizes = match sizes {
            None => None,
            Some(id) => {
                let Fact { ty, value, .. } = writer.fact(*id)?;
                typed(ty)?;
                Some(value.clone().ok_or_else(|| Error::needs_value(1))?)
            }
        };
        let parts = self.parts(writer.fact(*tensor)?.shape(), sizes.as_ref())?;
        if parts.sizes.is_empty() {
            return Ok(vec![Structure::Sequence(vec![])]);
        }
        let (sizes, split) = parts.split();
        let sizes = writer.tensor(sizes);
        let mut tensors = writer.apply_all(split, &[Some(*tensor), Some(sizes)], parts.sizes.len())?;
        if let Some(shape) = &parts.slice {
            tensors = tensors.into_iter().map(|part| writer.reshape(part, shape)).collect::<Result<_>>()?;
        }
        Ok(vec![Structure::Sequence(tensors)])
    }
}

/// The tensor that is split, and the sizes.
fn arguments<T>(inputs: &[Structure<T>]) -> Result<(&T, Option<&T>)> {
    let tensor = inputs.first().unwrap_or(&Structure::Absent).tensor()?;
    match inputs.get(1) {
        None | Some(Structure::Absent) => Ok((tensor, None)),
        Some(sizes) => Ok((tensor, Some(sizes.tensor()?))),
    }
}

/// ONNX ConcatFromSequence: the tensors of a sequence one after another along an axis of theirs, or a new one.
#[derive(Clone, Copy, Debug)]
pub struct ConcatFromSequence {
    /// The axis.
    pub axis: i64,
    /// Whether it is a new one.
    pub new_axis: bool,
}

/// The tensors of a sequence as one, see [`ConcatFromSequence`].
pub fn concat_from_sequence(axis: i64, new_axis: bool) -> Arc<dyn Op> {
    Arc::new(Flowing(ConcatFromSequence { axis, new_axis }))
}

impl ConcatFromSequence {
    /// The shape under which a tensor is joined to others.
    fn joined(self, shape: &Shape) -> Result<Shape> {
        if !self.new_axis {
            return Ok(shape.clone());
        }
        let axis = Shape::new(vec![1; shape.rank() + 1]).axis(self.axis)?;
        let (before, behind) = shape.split_at(axis);
        Ok([before, &[1], behind].concat().into())
    }
}

/// The tensors of the sequence that is joined.
fn joined<T>(inputs: &[Structure<T>]) -> Result<&[T]> {
    match inputs.first().unwrap_or(&Structure::Absent).sequence()? {
        [] => Err(Error::invalid_input("ConcatFromSequence of an empty sequence: expected one tensor or more")),
        tensors => Ok(tensors),
    }
}

impl Flow for ConcatFromSequence {
    fn name(&self) -> &'static str {
        "ConcatFromSequence"
    }

    crate::attributes!(axis, new_axis);

    fn evaluate(&self, inputs: &[Structure<Tensor>], _: u64) -> Result<Vec<Structure<Tensor>>> {
        let mut tensors = Vec::new();
        for tensor in joined(inputs)? {
            let ty = TensorType::new(tensor.dtype(), self.joined(tensor.shape())?);
            tensors.push(Tensor::from_bytes(ty, tensor.bytes())?);
        }
        let facts: Vec<Fact> = tensors.iter().map(|tensor| Fact::new(tensor.dtype(), tensor.shape().clone())).collect();
        let concat = concat(self.axis);
        for fact in concat.infer(&facts.iter().map(Some).collect::<Vec<_>>())? {
            fact.ty.checked()?;
        }
        let outputs = concat.reference(&tensors.iter().map(Some).collect::<Vec<_>>())?;
        Ok(outputs.into_iter().map(Structure::Tensor).collect())
    }

    fn write(&self, _: &Node, inputs: &[Structure<ValueId>], writer: &mut Writer) -> Result<Vec<Structure<ValueId>>> {
        let mut tensors = joined(inputs)?.to_vec();
        if self.new_axis {
            for tensor in &mut tensors {
                let shape = self.joined(writer.fact(*tensor)?.shape())?;
                *tensor = writer.reshape(*tensor, &shape)?;
            }
        }
        Ok(vec![Structure::Tensor(writer.apply(concat(self.axis), &tensors)?)])
    }
}
