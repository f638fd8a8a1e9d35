//! What all operators share that only move data: an operator says where each output element stands in input 0, and the
//! shape rule, the reference, the views and the kernels follow from that.

use super::copy;
use super::view::StridedView;
use crate::error::{Error, Result};
use crate::graph::{Fact, Io, Op, required};
use crate::kernel::{Caps, Dispatch, Lowering, Operand};
use crate::tensor::{Shape, Tensor, View};
use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

/// One output of a movement: input 0 seen through `view`, whose elements in row-major order are those of an output of
/// shape `shape`. The two ranks differ where no strides can express the output under its own shape (Tile).
#[derive(Clone, Debug, PartialEq)]
pub struct Moved {
    /// Where the elements stand in input 0.
    pub view: View,
    /// The output's extents.
    pub shape: Shape,
}

impl Moved {
    /// An output whose shape is that of the view.
    pub fn new(view: View) -> Self {
        Moved { shape: view.shape.clone(), view }
    }

    /// Input 0 in its own order under another shape.
    pub fn reshaped(shape: Shape) -> Self {
        Moved::new(View::contiguous(&shape))
    }
}

/// An operator that only moves the elements of input 0. It is an [`Op`] by that.
pub trait Movement: Debug + Send + Sync + Any {
    /// The ONNX name, or the standard term where ONNX has none.
    const NAME: &'static str;

    /// Where each output stands in input 0.
    ///
    /// # Errors
    /// As [`Op::infer`].
    fn moves(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Moved>>;
}

impl<M: Movement> Op for M {
    fn name(&self) -> &'static str {
        M::NAME
    }

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let data = required(M::NAME, inputs, 0)?;
        let moves = self.moves(inputs)?;
        Ok(moves.into_iter().map(|m| Fact::new(data.dtype(), m.shape).bounded(data.bounds)).collect())
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let data = required(M::NAME, inputs, 0)?;
        let facts = facts(inputs);
        let facts: Vec<Option<&Fact>> = facts.iter().map(Option::as_ref).collect();
        self.moves(&facts)?.iter().map(|m| data.gather(&m.view).reshape(m.shape.clone())).collect()
    }

    fn candidates(&self, io: &Io, caps: &Caps) -> Result<Vec<Lowering>> {
        lowerings(&self.moves(&io.inputs)?, io, caps)
    }

    fn view(&self, inputs: &[Option<&Fact>], output: usize) -> Option<View> {
        let moves = self.moves(inputs).ok()?;
        let moved = moves.get(output)?;
        moved.view.reshape(&moved.shape)
    }

    fn absorb(&self, index: usize, view: &View, base: &Fact) -> Option<Arc<dyn Op>> {
        if index != 0 {
            return None;
        }
        let seen = Fact::new(base.dtype(), view.shape.clone());
        let moves = self.moves(&[Some(&seen)]).ok()?;
        let [moved] = moves.as_slice() else { return None };
        let view = moved.view.of(view)?.reshape(&moved.shape)?;
        Some(Arc::new(StridedView { view }))
    }
}

/// The ways to make outputs that are parts of input 0: no work, or strided copies.
///
/// # Errors
/// As [`Op::lower`].
pub(crate) fn lowerings(moves: &[Moved], io: &Io, caps: &Caps) -> Result<Vec<Lowering>> {
    let data = io.input(0)?;
    if data.scalar().is_none() {
        return Err(no_scalar(data));
    }
    if let [only] = moves
        && only.view.is_contiguous()
        && only.view.shape.elements() == data.ty.elements()
    {
        return Ok(vec![Lowering::Alias { input: 0 }]);
    }
    let mut outputs = Vec::with_capacity(moves.len());
    for (k, moved) in moves.iter().enumerate() {
        if io.used.get(k).copied().unwrap_or(true) && moved.shape.elements() > 0 {
            let to = View::contiguous(&moved.view.shape);
            outputs.push(copy::variants(&moved.view, &to, [Operand::Input(0), Operand::Output(k)], caps)?);
        }
    }
    // One lowering for each variant that any output has, the plain one standing in for outputs that lack it.
    let mut names: Vec<&'static str> = Vec::new();
    for (name, _) in outputs.iter().flatten() {
        if !names.contains(name) {
            names.push(name);
        }
    }
    let of = |variants: &Vec<(&str, Dispatch)>, wanted: &str| {
        let found = |name: &str| variants.iter().find(|(n, _)| *n == name).map(|(_, dispatch)| dispatch.clone());
        found(wanted).or_else(|| found(copy::PLAIN))
    };
    let lowering = |name| Lowering::dispatches(name, outputs.iter().filter_map(|v| of(v, name)).collect());
    Ok(if names.is_empty() { vec![Lowering::empty()] } else { names.into_iter().map(lowering).collect() })
}

/// The facts of arguments that are all there; the contents of input 0 are left out, since no movement looks at them.
pub(crate) fn facts(inputs: &[Option<&Tensor>]) -> Vec<Option<Fact>> {
    let fact = |(i, t): (usize, &Option<&Tensor>)| {
        t.map(|t| if i == 0 { Fact::new(t.dtype(), t.shape().clone()) } else { Fact::of(t.clone()) })
    };
    inputs.iter().enumerate().map(fact).collect()
}

/// The contents of an input that shapes depend on (axes, sizes, repeats), as integers.
///
/// # Errors
/// [`NeedsValue`](crate::ErrorKind::NeedsValue) when they are not known.
pub(crate) fn known(op: &'static str, inputs: &[Option<&Fact>], index: usize) -> Result<Vec<i64>> {
    let fact = required(op, inputs, index)?;
    if fact.dtype().is_float() {
        return Err(Error::invalid_model(format!("{op} expects integers as input {index}, found {}", fact.ty)));
    }
    fact.value.as_ref().map(Tensor::to_i64).ok_or_else(|| Error::needs_value(index))
}

/// As [`known`], for an input that may be left out.
pub(crate) fn known_optional(op: &'static str, inputs: &[Option<&Fact>], index: usize) -> Result<Option<Vec<i64>>> {
    match inputs.get(index).copied().flatten() {
        Some(_) => known(op, inputs, index).map(Some),
        None => Ok(None),
    }
}

/// The reason why a value is not on the GPU.
pub(crate) fn no_scalar(fact: &Fact) -> Error {
    Error::unsupported(format!("{fact:?} has no 32-bit form whose range is proven, so it lives on the host"))
}

/// A tensor of the elements of `source` at `positions`, `fill` (or zero) where there is none.
///
/// # Errors
/// [`Internal`](crate::ErrorKind::Internal) when there are not as many positions as `shape` has elements.
pub(crate) fn pick(
    source: &Tensor,
    fill: Option<&Tensor>,
    shape: &Shape,
    positions: impl IntoIterator<Item = Option<usize>>,
) -> Result<Tensor> {
    let size = source.dtype().size();
    let zero = [0u8; 8];
    let fill = fill.map_or(&zero[..size], |f| &f.bytes()[..size.min(f.bytes().len())]);
    let mut bytes = Vec::with_capacity(shape.elements() * size);
    for position in positions {
        bytes.extend_from_slice(position.map_or(fill, |p| &source.bytes()[p * size..(p + 1) * size]));
    }
    let ty = crate::tensor::TensorType::new(source.dtype(), shape.clone());
    Tensor::from_bytes(ty, &bytes).map_err(|e| Error::internal(e.to_string()))
}

/// The index along each axis of element `position` of a row-major tensor.
pub(crate) fn unravel(mut position: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for axis in (0..shape.len()).rev() {
        let extent = shape[axis].max(1);
        index[axis] = position % extent;
        position /= extent;
    }
    index
}

/// An index into an extent, counted from the end when negative, as ONNX has it.
///
/// # Errors
/// [`InvalidInput`](crate::ErrorKind::InvalidInput) when it lies outside.
pub(crate) fn wrap(index: i64, extent: usize) -> Result<usize> {
    let extent = extent as i64;
    let wrapped = if index < 0 { index.saturating_add(extent) } else { index };
    if wrapped < 0 || wrapped >= extent {
        return Err(Error::invalid_input(format!(
            "index {index} is outside an axis of {extent}: expected {} to {}",
            -extent,
            extent - 1
        )));
    }
    Ok(wrapped as usize)
}
