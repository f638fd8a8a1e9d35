//! Elements picked by index: Gather, GatherElements and GatherND. An index counts from the end when negative; the kernels
//! clamp what lies outside, the reference reports it.

mod gradient;

pub(crate) use self::gradient::slices_sum;
use super::Registration;
use super::movement::{self, Moved};
use super::shared::{WORKGROUP, around, axis_parameters, in_units, indices, on_gpu, one_each, pick, unit, unravel, wrap};
use crate::error::{Error, Result};
use crate::graph::{Fact, Gradient, Io, Node, Op, ValueId, Writer, required};
use crate::kernel::{Access, Caps, Kernel, Lowering, Offers, Operand, Parameters, Shader, params, preludes, shader, u32s};
use crate::tensor::{MAX_RANK, Shape, Tensor, TensorType, View};
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

fn picked(data: &Fact, shape: impl Into<Shape>) -> Vec<Fact> {
    vec![Fact::new(data.dtype(), shape).bounded(data.bounds)]
}

/// One dispatch over `count` invocations that reads data and indices.
fn dispatch<P: Parameters>(kernel: Kernel, params: P, count: usize, bytes: usize, caps: &Caps) -> Result<Lowering> {
    let bindings = vec![Operand::Input(0), Operand::Input(1), Operand::Output(0)];
    Ok(Lowering::new(vec![one_each(kernel, params, count, bindings, caps)?.work(0, bytes as u64)]))
}

fn kernel(shader: &'static Shader) -> Kernel {
    let access = [Access::Read, Access::Read, Access::Write];
    Kernel::new(shader, &access, [WORKGROUP, 1, 1]).prelude(&preludes::DIVIDE).prelude(&preludes::INDEX)
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

    crate::attributes!(axis);

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

    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        let (data, indices, output) = (io.input(0)?, io.input(1)?, io.outputs[0]);
        if let Some(moved) = self.moved(&io.inputs) {
            return movement::offer(&[moved], io, offers);
        }
        on_gpu(data, indices)?;
        let (_, extent, inner) = around(data.shape(), data.shape().axis(self.axis)?);
        let caps = offers.caps();
        offers.only("gather", || {
            let unit = unit([inner]);
            let groups = output.ty.elements() / unit;
            let [extent, indices, inner, count] = u32s([extent, indices.ty.elements(), inner / unit, groups])?;
            let kernel = in_units(kernel(&GATHER), unit);
            dispatch(kernel, GatherParams { extent, indices, inner, count }, groups, output.ty.elements() * 8, caps)
        });
        Ok(())
    }

    fn gradient(&self, node: &Node, upstream: &[Option<ValueId>], _: &[bool], writer: &mut Writer) -> Result<Gradient> {
        gradient::of_slices(self, node, upstream, writer)
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

    crate::attributes!(axis);

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

    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        let (data, indices) = (io.input(0)?, io.input(1)?);
        on_gpu(data, indices)?;
        let axis = data.shape().axis(self.axis)?;
        let caps = offers.caps();
        offers.only("gather_elements", || {
            let strides = data.shape().strides();
            let elements = indices.ty.elements();
            let [axis_extent, axis_stride, count] = u32s([data.shape()[axis], strides[axis], elements])?;
            let [axes] = u32s([strides.len()])?;
            let params = GatherElementsParams {
                extents: axis_parameters(indices.shape().iter().copied(), 1)?,
                strides: axis_parameters(strides.iter().enumerate().map(|(k, stride)| if k == axis { 0 } else { *stride }), 0)?,
                axis_extent,
                axis_stride,
                count,
            };
            dispatch(kernel(&GATHER_ELEMENTS).set("AXES", axes), params, elements, elements * 12, caps)
        });
        Ok(())
    }

    fn gradient(&self, node: &Node, upstream: &[Option<ValueId>], _: &[bool], writer: &mut Writer) -> Result<Gradient> {
        gradient::of_elements(self.axis, node, upstream, writer)
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

    /// Extents of the axes that a tuple points along, and their strides in units of so many elements, for a kernel.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) for empty tuples.
    pub(super) fn axes(self, data: &Shape, unit: usize) -> Result<([u32; MAX_RANK], [u32; MAX_RANK])> {
        if self.depth == 0 {
            return Err(Error::unsupported("its tuples of indices are empty"));
        }
        let strides = data.strides();
        let strides = self.indexed().map(|axis| strides[axis] / unit);
        Ok((axis_parameters(self.indexed().map(|axis| data[axis]), 1)?, axis_parameters(strides, 0)?))
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

    crate::attributes!(batch_dims);

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

    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        let (data, indices, output) = (io.input(0)?, io.input(1)?, io.outputs[0]);
        on_gpu(data, indices)?;
        let tuples = Tuples::new("GatherND", self.batch_dims, data.shape(), indices.shape())?;
        let caps = offers.caps();
        offers.only("gather_nd", || {
            let length = tuples.inner(data.shape());
            let unit = unit([length]);
            let groups = output.ty.elements() / unit;
            let batch = data.shape().product(tuples.batch..data.shape().rank());
            let rows = tuples.rows(indices.shape());
            let [depth, rows, batch_stride, inner, count] = u32s([tuples.depth, rows, batch / unit, length / unit, groups])?;
            let (extents, strides) = tuples.axes(data.shape(), unit)?;
            let params = GatherNdParams { extents, strides, depth, rows, batch_stride, inner, count };
            let kernel = in_units(kernel(&GATHER_ND).prelude(&preludes::INDEX_TUPLES), unit);
            dispatch(kernel, params, groups, output.ty.elements() * 8, caps)
        });
        Ok(())
    }

    fn gradient(&self, node: &Node, upstream: &[Option<ValueId>], _: &[bool], writer: &mut Writer) -> Result<Gradient> {
        gradient::of_tuples(self.batch_dims, node, upstream, writer)
    }
}
