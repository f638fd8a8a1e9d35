//! Tensors made from shapes and a few numbers: Shape, Size, ConstantOfShape, Range and EyeLike. Their values are known
//! before a run whenever their shapes are, so they are folded; only large constants and ranges are made on the GPU.

use super::Registration;
use super::movement::{known, no_scalar};
use super::pad::bits;
use super::scatter::scalar_number;
use crate::error::{Error, Result};
use crate::graph::{Fact, Io, Op, required};
use crate::kernel::{Access, Caps, Dispatch, Kernel, Lowering, Operand, params, shader};
use crate::tensor::{DType, MAX_ELEMENTS, Shape as Extents, Tensor, TensorType};
use std::sync::Arc;

/// The operators of this file.
pub static REGISTRATION: Registration =
    Registration { operators: &["Shape", "Size", "ConstantOfShape", "Range", "EyeLike"], shaders: &[&PROGRESSION] };

params! {
    /// Parameters of `progression.wgsl`, the first two as bit patterns.
    struct ProgressionParams {
        start: u32,
        step: u32,
        count: u32,
    }
}

shader!(static PROGRESSION: ProgressionParams = "progression");

const WORKGROUP: u32 = 64;

/// The numbers from `start` on in steps of `step` (none for a constant), each a tensor of one element.
fn progression(io: &Io, start: &Tensor, step: Option<&Tensor>, caps: &Caps) -> Result<Vec<Lowering>> {
    let output = io.outputs[0];
    if output.ty.elements() == 0 {
        return Ok(vec![Lowering::empty()]);
    }
    let scalar = output.scalar().ok_or_else(|| no_scalar(output))?;
    let count = output.ty.elements() as u32;
    let params = ProgressionParams { start: bits(start, scalar), step: step.map_or(0, |s| bits(s, scalar)), count };
    let kernel = Kernel::new(&PROGRESSION, &[Access::Write], [WORKGROUP, 1, 1]).set("SCALAR", scalar_number(scalar));
    let grid = Dispatch::linear_grid(u64::from(count).div_ceil(WORKGROUP.into()), caps)?;
    let dispatch = Dispatch::new(kernel, params, vec![Operand::Output(0)], grid).work(0, output.gpu_bytes());
    Ok(vec![Lowering::dispatches("progression", vec![dispatch])])
}

fn folded(op: &'static str) -> Result<Vec<Lowering>> {
    Err(Error::unsupported(format!("{op} is folded before a run and has no kernel")))
}

/// ONNX Shape: the extents of a tensor from axis `start` up to `end`.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// The first axis; from the end when negative, clamped to the rank.
    pub start: i64,
    /// One past the last axis, likewise; `None` for the rank.
    pub end: Option<i64>,
}

/// The extents of a tensor from axis `start` up to `end`.
pub fn shape(start: i64, end: Option<i64>) -> Arc<dyn Op> {
    Arc::new(Shape { start, end })
}

impl Shape {
    fn extents(&self, shape: &Extents) -> Tensor {
        let rank = shape.rank() as i64;
        let place = |axis: i64| if axis < 0 { axis.saturating_add(rank) } else { axis }.clamp(0, rank) as usize;
        let (start, end) = (place(self.start), place(self.end.unwrap_or(rank)));
        let dims: Vec<i64> = shape.get(start..end).unwrap_or_default().iter().map(|d| *d as i64).collect();
        Tensor::vector(&dims)
    }
}

impl Op for Shape {
    fn name(&self) -> &'static str {
        "Shape"
    }

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        Ok(vec![Fact::of(self.extents(required("Shape", inputs, 0)?.shape()))])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        Ok(vec![self.extents(required("Shape", inputs, 0)?.shape())])
    }

    fn candidates(&self, _: &Io, _: &Caps) -> Result<Vec<Lowering>> {
        folded("Shape")
    }
}

/// ONNX Size: the number of elements of a tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Size;

/// The number of elements of a tensor.
pub fn size() -> Arc<dyn Op> {
    Arc::new(Size)
}

impl Op for Size {
    fn name(&self) -> &'static str {
        "Size"
    }

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        Ok(vec![Fact::of(Tensor::scalar(required("Size", inputs, 0)?.ty.elements() as i64))])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        Ok(vec![Tensor::scalar(required("Size", inputs, 0)?.elements() as i64)])
    }

    fn candidates(&self, _: &Io, _: &Caps) -> Result<Vec<Lowering>> {
        folded("Size")
    }
}

/// ONNX ConstantOfShape: one number throughout a tensor whose shape is input 0.
#[derive(Clone, Debug, PartialEq)]
pub struct ConstantOfShape {
    /// A tensor of one element.
    pub value: Tensor,
}

/// `value` (a tensor of one element; f32 zero by default) throughout a tensor whose shape is input 0.
pub fn constant_of_shape(value: Option<Tensor>) -> Arc<dyn Op> {
    Arc::new(ConstantOfShape { value: value.unwrap_or_else(|| Tensor::scalar(0.0f32)) })
}

impl ConstantOfShape {
    fn output(&self, dims: &[i64]) -> Result<TensorType> {
        let extent =
            |n: &i64| usize::try_from(*n).map_err(|_| Error::invalid_model(format!("expected no negative extent, found {dims:?}")));
        let shape = dims.iter().map(extent).collect::<Result<Vec<_>>>()?;
        if self.value.elements() != 1 {
            return Err(Error::invalid_model(format!("ConstantOfShape expects a value of one element, found {}", self.value.ty())));
        }
        Ok(TensorType::new(self.value.dtype(), shape))
    }
}

impl Op for ConstantOfShape {
    fn name(&self) -> &'static str {
        "ConstantOfShape"
    }

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let ty = self.output(&known("ConstantOfShape", inputs, 0)?)?;
        Ok(vec![Fact { ty, value: None, bounds: Fact::of(self.value.clone()).bounds }])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let ty = self.output(&required("ConstantOfShape", inputs, 0)?.to_i64())?;
        Ok(vec![Tensor::from_bytes(ty.clone(), &self.value.bytes().repeat(ty.elements()))?])
    }

    fn candidates(&self, io: &Io, caps: &Caps) -> Result<Vec<Lowering>> {
        progression(io, &self.value, None, caps)
    }
}

/// ONNX Range: the numbers from input 0 up to (without) input 1 in steps of input 2.
#[derive(Clone, Debug, PartialEq)]
pub struct Range;

/// The numbers from input 0 up to (without) input 1 in steps of input 2.
pub fn range() -> Arc<dyn Op> {
    Arc::new(Range)
}

impl Range {
    /// The number of elements: `ceil((limit - start) / delta)`.
    fn count(start: &Tensor, limit: &Tensor, delta: &Tensor) -> Result<usize> {
        let count = if start.dtype().is_float() {
            let [start, limit, delta] = [start, limit, delta].map(|t| t.to_f64().first().copied().unwrap_or(f64::NAN));
            if delta == 0.0 || !(start.is_finite() && limit.is_finite() && delta.is_finite()) {
                return Err(Error::invalid_input(format!(
                    "expected a finite range with a step, found {start} to {limit} by {delta}"
                )));
            }
            ((limit - start) / delta).ceil().max(0.0) as u128
        } else {
            let [start, limit, delta] = [start, limit, delta].map(|t| t.to_i128().first().copied().unwrap_or(0));
            if delta == 0 {
                return Err(Error::invalid_input(format!("a range from {start} to {limit} has a step of 0: expected any other")));
            }
            let span = if delta > 0 { limit - start } else { start - limit };
            span.max(0).unsigned_abs().div_ceil(delta.unsigned_abs())
        };
        match usize::try_from(count) {
            Ok(count) if count <= MAX_ELEMENTS => Ok(count),
            _ => Err(Error::limit(format!("a range of {count} numbers: expected at most {MAX_ELEMENTS}"))),
        }
    }
}

impl Op for Range {
    fn name(&self) -> &'static str {
        "Range"
    }

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let mut values = Vec::with_capacity(3);
        for index in 0..3 {
            let fact = required("Range", inputs, index)?;
            if fact.ty.elements() != 1 {
                return Err(Error::invalid_model(format!("Range expects a scalar as input {index}, found {}", fact.ty)));
            }
            values.push(fact.value.as_ref().ok_or_else(|| Error::needs_value(index))?);
        }
        if values.iter().any(|v| v.dtype() != values[0].dtype()) {
            return Err(Error::invalid_model(format!("Range expects three scalars of one dtype, found {values:?}")));
        }
        let count = Range::count(values[0], values[1], values[2])?;
        let mut fact = Fact::new(values[0].dtype(), [count]);
        if !fact.dtype().is_float() && count > 0 {
            let [start, delta] = [values[0], values[2]].map(|v| v.to_i128().first().copied().unwrap_or(0));
            let last = start + delta * (count as i128 - 1);
            fact.bounds = Some((start.min(last), start.max(last)));
        }
        Ok(vec![fact])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let [start, limit, delta] = [required("Range", inputs, 0)?, required("Range", inputs, 1)?, required("Range", inputs, 2)?];
        let count = Range::count(start, limit, delta)?;
        let ty = TensorType::new(start.dtype(), [count]);
        Ok(vec![if start.dtype().is_float() {
            let [start, delta] = [start, delta].map(|t| t.to_f64().first().copied().unwrap_or(0.0));
            Tensor::from_f64(ty, &(0..count).map(|k| start + k as f64 * delta).collect::<Vec<_>>())?
        } else {
            let [start, delta] = [start, delta].map(|t| t.to_i128().first().copied().unwrap_or(0));
            Tensor::from_i128(ty, &(0..count).map(|k| start + k as i128 * delta).collect::<Vec<_>>())?
        }])
    }

    fn candidates(&self, io: &Io, caps: &Caps) -> Result<Vec<Lowering>> {
        let value = |index| io.input(index)?.value.as_ref().ok_or_else(|| Error::needs_value(index));
        progression(io, value(0)?, Some(value(2)?), caps)
    }
}

/// ONNX EyeLike: ones on a diagonal of a matrix shaped like input 0.
#[derive(Clone, Debug, PartialEq)]
pub struct EyeLike {
    /// The output's element type; `None` for the input's.
    pub dtype: Option<DType>,
    /// Which diagonal: above the main one when positive, below it when negative.
    pub k: i64,
}

/// Ones on diagonal `k` of a matrix shaped like input 0.
pub fn eye_like(dtype: Option<DType>, k: i64) -> Arc<dyn Op> {
    Arc::new(EyeLike { dtype, k })
}

impl EyeLike {
    fn matrix(&self, input: &TensorType) -> Result<Tensor> {
        let [rows, columns] = <[usize; 2]>::try_from(input.shape.dims())
            .map_err(|_| Error::invalid_model(format!("EyeLike expects a matrix, found {input}")))?;
        let ty = TensorType::new(self.dtype.unwrap_or(input.dtype), [rows, columns]).checked()?;
        let one = Tensor::from_i128(TensorType::new(ty.dtype, Extents::scalar()), &[1])?;
        let size = ty.dtype.size();
        let mut bytes = vec![0; ty.elements() * size];
        for row in 0..rows {
            let column = i128::from(self.k) + row as i128;
            if (0..columns as i128).contains(&column) {
                let place = row * columns + column as usize;
                bytes[place * size..(place + 1) * size].copy_from_slice(one.bytes());
            }
        }
        Tensor::from_bytes(ty, &bytes)
    }
}

impl Op for EyeLike {
    fn name(&self) -> &'static str {
        "EyeLike"
    }

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        Ok(vec![Fact::of(self.matrix(&required("EyeLike", inputs, 0)?.ty)?)])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        Ok(vec![self.matrix(required("EyeLike", inputs, 0)?.ty())?])
    }

    fn candidates(&self, _: &Io, _: &Caps) -> Result<Vec<Lowering>> {
        folded("EyeLike")
    }
}
