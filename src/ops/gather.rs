//! Elements picked by index: Gather, GatherElements and GatherND. An index counts from the end when negative; the kernels
//! clamp what lies outside, the reference reports it.

use super::Registration;
use super::movement::{Moved, lowerings, no_scalar, pick, unravel, wrap};
use crate::error::{Error, Result};
use crate::graph::{Fact, Io, Op, required};
use crate::kernel::{Access, Caps, Dispatch, Kernel, Lowering, Operand, Parameters, Shader, params, preludes, shader};
use crate::tensor::{DType, MAX_RANK, Scalar, Shape, Tensor, TensorType, View};
use std::sync::Arc;

params! {
    /// Parameters of `gather.wgsl`.
    struct GatherParams {
        extent: u32,
        indices: u32,
        inner: u32,
        count: u32,
    }
}

params! {
    /// Parameters of `gather_elements.wgsl`.
    struct GatherElementsParams {
        extents: [u32; 8],
        strides: [u32; 8],
        axis_extent: u32,
        axis_stride: u32,
        count: u32,
    }
}

params! {
    /// Parameters of `gather_nd.wgsl`.
    struct GatherNdParams {
        extents: [u32; 8],
        strides: [u32; 8],
        depth: u32,
        rows: u32,
        batch_stride: u32,
        inner: u32,
        count: u32,
    }
}

shader!(static GATHER: GatherParams = "gather");
shader!(static GATHER_ELEMENTS: GatherElementsParams = "gather_elements");
shader!(static GATHER_ND: GatherNdParams = "gather_nd");

/// The operators of this file.
pub static REGISTRATION: Registration =
    Registration { operators: &["Gather", "GatherElements", "GatherND"], shaders: &[&GATHER, &GATHER_ELEMENTS, &GATHER_ND] };

const WORKGROUP: u32 = 64;

/// Checks the dtype of an input of indices.
pub(super) fn indices<'a>(op: &'static str, inputs: &[Option<&'a Fact>]) -> Result<&'a Fact> {
    let indices = required(op, inputs, 1)?;
    match indices.dtype() {
        DType::I32 | DType::I64 => Ok(indices),
        _ => Err(Error::invalid_model(format!("{op} expects indices of i32 or i64, found {}", indices.ty))),
    }
}

/// Checks that data and indices of a kernel are on the GPU, and that there is something to pick from.
pub(super) fn on_gpu(data: &Fact, indices: &Fact) -> Result<()> {
    if data.scalar().is_none() {
        return Err(no_scalar(data));
    }
    if indices.scalar() != Some(Scalar::I32) {
        return Err(no_scalar(indices));
    }
    if data.ty.elements() == 0 && indices.ty.elements() > 0 {
        return Err(Error::unsupported(format!("{} has no element that an index could name", data.ty)));
    }
    Ok(())
}

fn picked(data: &Fact, shape: impl Into<Shape>) -> Vec<Fact> {
    vec![Fact::new(data.dtype(), shape).bounded(data.bounds)]
}

/// One dispatch over `count` invocations that reads data and indices.
fn dispatch<P: Parameters>(kernel: Kernel, params: P, count: usize, bytes: usize, caps: &Caps) -> Result<Lowering> {
    let grid = Dispatch::linear_grid((count as u64).div_ceil(WORKGROUP.into()), caps)?;
    let bindings = vec![Operand::Input(0), Operand::Input(1), Operand::Output(0)];
    Ok(Lowering::dispatches(kernel.shader.name, vec![Dispatch::new(kernel, params, bindings, grid).work(0, bytes as u64)]))
}

fn kernel(shader: &'static Shader) -> Kernel {
    Kernel::new(shader, &[Access::Read, Access::Read, Access::Write], [WORKGROUP, 1, 1]).prelude(&preludes::DIVIDE)
}

/// ONNX Gather: whole slices along an axis, picked by index.
#[derive(Clone, Debug, PartialEq)]
pub struct Gather {
    /// The axis of the data that the indices replace.
    pub axis: i64,
}

/// Slices of input 0 along an axis, picked by the indices in input 1.
pub fn gather(axis: i64) -> Arc<dyn Op> {
    Arc::new(Gather { axis })
}

impl Gather {
    fn shape(&self, data: &Shape, indices: &Shape) -> Result<(Shape, usize)> {
        let axis = data.axis(self.axis)?;
        Ok(([&data[..axis], &indices[..], &data[axis + 1..]].concat().into(), axis))
    }

    /// The output as a slice, where the indices are known and follow each other in equal steps (one index above all).
    fn moved(&self, inputs: &[Option<&Fact>]) -> Option<Moved> {
        let (data, indices) = (inputs.first().copied()??.shape(), inputs.get(1).copied()??.value.as_ref()?);
        let (shape, axis) = self.shape(data, indices.shape()).ok()?;
        let places = indices.to_i64().into_iter().map(|i| wrap(i, data[axis]).ok()).collect::<Option<Vec<_>>>()?;
        let (first, second) = (*places.first()?, places.get(1).copied());
        let step = second.map_or(1, |second| second as i64 - first as i64);
        let even = places.windows(2).all(|pair| pair[1] as i64 - pair[0] as i64 == step);
        even.then(|| Moved { view: View::contiguous(data).slice(axis, first, places.len(), step), shape })
    }
}

impl Op for Gather {
    fn name(&self) -> &'static str {
        "Gather"
    }

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let (data, indices) = (required("Gather", inputs, 0)?, indices("Gather", inputs)?);
        Ok(picked(data, self.shape(data.shape(), indices.shape())?.0))
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let (data, indices) = (required("Gather", inputs, 0)?, required("Gather", inputs, 1)?);
        let (shape, axis) = self.shape(data.shape(), indices.shape())?;
        let extent = data.shape()[axis];
        let inner = data.shape().product(axis + 1..data.shape().rank());
        let indices = indices.to_i64().into_iter().map(|i| wrap(i, extent)).collect::<Result<Vec<_>>>()?;
        let mut positions = Vec::with_capacity(shape.elements());
        for outer in 0..data.shape().product(0..axis) {
            for index in &indices {
                let start = (outer * extent + index) * inner;
                positions.extend((start..start + inner).map(Some));
            }
        }
        Ok(vec![pick(data, None, &shape, positions)?])
    }

    fn candidates(&self, io: &Io, caps: &Caps) -> Result<Vec<Lowering>> {
        let (data, indices, output) = (io.input(0)?, io.input(1)?, io.outputs[0]);
        if output.ty.elements() == 0 {
            return Ok(vec![Lowering::empty()]);
        }
        if let Some(moved) = self.moved(&io.inputs) {
            return lowerings(&[moved], io, caps);
        }
        on_gpu(data, indices)?;
        let axis = data.shape().axis(self.axis)?;
        let inner = data.shape().product(axis + 1..data.shape().rank());
        let unit = if inner.is_multiple_of(4) { 4 } else { 1 };
        let count = output.ty.elements() / unit;
        let kernel = kernel(&GATHER).prelude(if unit == 4 { &preludes::WIDTH4 } else { &preludes::WIDTH1 });
        let params = GatherParams {
            extent: data.shape()[axis] as u32,
            indices: indices.ty.elements() as u32,
            inner: (inner / unit) as u32,
            count: count as u32,
        };
        Ok(vec![dispatch(kernel, params, count, output.ty.elements() * 8, caps)?])
    }

    fn view(&self, inputs: &[Option<&Fact>], _: usize) -> Option<View> {
        let moved = self.moved(inputs)?;
        moved.view.reshape(&moved.shape)
    }
}

/// ONNX GatherElements: each output element is picked along an axis by the index that stands in its place.
#[derive(Clone, Debug, PartialEq)]
pub struct GatherElements {
    /// The axis along which the indices point.
    pub axis: i64,
}

/// Elements of input 0, picked along an axis by the index in input 1 at the same place.
pub fn gather_elements(axis: i64) -> Arc<dyn Op> {
    Arc::new(GatherElements { axis })
}

/// Checks that indices of GatherElements and ScatterElements fit their data.
pub(super) fn elements_axis(op: &str, axis: i64, data: &TensorType, indices: &TensorType) -> Result<usize> {
    let axis = data.shape.axis(axis)?;
    let fits = |k: usize| k == axis || indices.shape[k] <= data.shape[k];
    if indices.shape.rank() != data.shape.rank() || !(0..data.shape.rank()).all(fits) {
        return Err(Error::invalid_model(format!("{op} along axis {axis} expects indices no larger than {data}, found {indices}")));
    }
    Ok(axis)
}

impl Op for GatherElements {
    fn name(&self) -> &'static str {
        "GatherElements"
    }

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let (data, indices) = (required("GatherElements", inputs, 0)?, indices("GatherElements", inputs)?);
        elements_axis("GatherElements", self.axis, &data.ty, &indices.ty)?;
        Ok(picked(data, indices.shape().clone()))
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let (data, indices) = (required("GatherElements", inputs, 0)?, required("GatherElements", inputs, 1)?);
        let axis = elements_axis("GatherElements", self.axis, data.ty(), indices.ty())?;
        let strides = data.shape().strides();
        let mut positions = Vec::with_capacity(indices.elements());
        for (place, index) in indices.to_i64().into_iter().enumerate() {
            let mut at = unravel(place, indices.shape());
            at[axis] = wrap(index, data.shape()[axis])?;
            positions.push(Some(at.iter().zip(&strides).map(|(i, s)| i * s).sum()));
        }
        Ok(vec![pick(data, None, indices.shape(), positions)?])
    }

    fn candidates(&self, io: &Io, caps: &Caps) -> Result<Vec<Lowering>> {
        let (data, indices) = (io.input(0)?, io.input(1)?);
        if indices.ty.elements() == 0 {
            return Ok(vec![Lowering::empty()]);
        }
        on_gpu(data, indices)?;
        let axis = data.shape().axis(self.axis)?;
        let strides = data.shape().strides();
        let mut params = GatherElementsParams {
            extents: [1; MAX_RANK],
            strides: [0; MAX_RANK],
            axis_extent: data.shape()[axis] as u32,
            axis_stride: strides[axis] as u32,
            count: indices.ty.elements() as u32,
        };
        for (k, (&extent, &stride)) in indices.shape().iter().zip(&strides).enumerate() {
            params.extents[k] = extent as u32;
            params.strides[k] = if k == axis { 0 } else { stride as u32 };
        }
        let kernel = kernel(&GATHER_ELEMENTS).set("AXES", data.shape().rank() as u32);
        Ok(vec![dispatch(kernel, params, indices.ty.elements(), indices.ty.elements() * 12, caps)?])
    }
}

/// ONNX GatherND: slices picked by index tuples, which stand along the last axis of input 1.
#[derive(Clone, Debug, PartialEq)]
pub struct GatherNd {
    /// How many leading axes data and indices share.
    pub batch_dims: i64,
}

/// Slices of input 0, picked by the index tuples along the last axis of input 1.
pub fn gather_nd(batch_dims: i64) -> Arc<dyn Op> {
    Arc::new(GatherNd { batch_dims })
}

/// How tuples of indices point into data, for GatherND and ScatterND.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tuples {
    /// Leading axes in common.
    pub(super) batch: usize,
    /// Indices in a tuple.
    pub(super) depth: usize,
}

impl Tuples {
    pub(super) fn new(op: &str, batch_dims: i64, data: &Shape, indices: &Shape) -> Result<Self> {
        let error =
            || Error::invalid_model(format!("{op} cannot pick from {data} by tuples {indices} with {batch_dims} axes in common"));
        let batch = usize::try_from(batch_dims).map_err(|_| error())?;
        let (depth, rest) = indices.split_last().ok_or_else(error)?;
        if batch > rest.len() || batch + depth > data.rank() || rest[..batch] != data[..batch] {
            return Err(error());
        }
        Ok(Tuples { batch, depth: *depth })
    }

    /// The axes of `data` that a tuple points along.
    pub(super) fn indexed(self) -> std::ops::Range<usize> {
        self.batch..self.batch + self.depth
    }

    /// Elements of the slice that one tuple names.
    pub(super) fn inner(self, data: &Shape) -> usize {
        data.product(self.batch + self.depth..data.rank())
    }

    /// Tuples for each index of the common axes.
    pub(super) fn rows(self, indices: &Shape) -> usize {
        indices.product(self.batch..indices.rank() - 1)
    }

    /// The first element that each tuple names.
    pub(super) fn starts(self, data: &Shape, indices: &Tensor) -> Result<Vec<usize>> {
        let strides = data.strides();
        let rows = self.rows(indices.shape());
        let batch_stride = data.product(self.batch..data.rank());
        let values = indices.to_i64();
        let tuples = indices.shape().product(0..indices.shape().rank() - 1);
        let start = |t: usize| {
            let tuple = &values[t * self.depth..(t + 1) * self.depth];
            let mut position = t / rows.max(1) * batch_stride;
            for (axis, index) in self.indexed().zip(tuple) {
                position += wrap(*index, data[axis])? * strides[axis];
            }
            Ok(position)
        };
        (0..tuples).map(start).collect()
    }
}

impl Op for GatherNd {
    fn name(&self) -> &'static str {
        "GatherND"
    }

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let (data, indices) = (required("GatherND", inputs, 0)?, indices("GatherND", inputs)?);
        let tuples = Tuples::new("GatherND", self.batch_dims, data.shape(), indices.shape())?;
        let shape = [&indices.shape()[..indices.shape().rank() - 1], &data.shape()[tuples.indexed().end..]].concat();
        Ok(picked(data, shape))
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let (data, indices) = (required("GatherND", inputs, 0)?, required("GatherND", inputs, 1)?);
        let tuples = Tuples::new("GatherND", self.batch_dims, data.shape(), indices.shape())?;
        let inner = tuples.inner(data.shape());
        let shape = [&indices.shape()[..indices.shape().rank() - 1], &data.shape()[tuples.indexed().end..]].concat();
        let positions = tuples.starts(data.shape(), indices)?.into_iter().flat_map(|start| (start..start + inner).map(Some));
        Ok(vec![pick(data, None, &shape.into(), positions)?])
    }

    fn candidates(&self, io: &Io, caps: &Caps) -> Result<Vec<Lowering>> {
        let (data, indices, output) = (io.input(0)?, io.input(1)?, io.outputs[0]);
        if output.ty.elements() == 0 {
            return Ok(vec![Lowering::empty()]);
        }
        on_gpu(data, indices)?;
        let tuples = Tuples::new("GatherND", self.batch_dims, data.shape(), indices.shape())?;
        if tuples.depth == 0 {
            return Err(Error::unsupported("GatherND by empty tuples"));
        }
        let inner = tuples.inner(data.shape());
        let unit = if inner.is_multiple_of(4) { 4 } else { 1 };
        let count = output.ty.elements() / unit;
        let strides = data.shape().strides();
        let mut params = GatherNdParams {
            extents: [1; MAX_RANK],
            strides: [0; MAX_RANK],
            depth: tuples.depth as u32,
            rows: tuples.rows(indices.shape()) as u32,
            batch_stride: (data.shape().product(tuples.batch..data.shape().rank()) / unit) as u32,
            inner: (inner / unit) as u32,
            count: count as u32,
        };
        for (k, axis) in tuples.indexed().enumerate() {
            params.extents[k] = data.shape()[axis] as u32;
            params.strides[k] = (strides[axis] / unit) as u32;
        }
        let kernel = kernel(&GATHER_ND).prelude(if unit == 4 { &preludes::WIDTH4 } else { &preludes::WIDTH1 });
        Ok(vec![dispatch(kernel, params, count, output.ty.elements() * 8, caps)?])
    }
}
