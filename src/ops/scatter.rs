//! A tensor with some elements replaced or combined: ScatterElements and ScatterND. The output starts as a copy of the
//! data. Replacing runs over the updates; combining runs over the elements, each of which looks for its updates, so that
//! the result does not depend on the order in which invocations run.

use super::Registration;
use super::concat::union;
use super::copy;
use super::gather::{Tuples, elements_axis, indices, on_gpu};
use super::movement::{unravel, wrap};
use crate::error::{Error, Result};
use crate::graph::{Bounds, Fact, Io, Op, required};
use crate::kernel::{Access, Caps, Dispatch, Kernel, Lowering, Operand, Parameters, Shader, params, preludes, shader};
use crate::tensor::{MAX_RANK, Scalar, Shape, Tensor, View};
use std::sync::Arc;

params! {
    /// Parameters of `scatter_elements.wgsl` and `scatter_elements_combine.wgsl`; strides are those of what the
    /// invocations do not run over.
    struct ElementsParams {
        extents: [u32; 8],
        update_extents: [u32; 8],
        strides: [u32; 8],
        axis: u32,
        first: u32,
        end: u32,
        count: u32,
    }
}

params! {
    /// Parameters of `scatter_nd.wgsl` and `scatter_nd_combine.wgsl`.
    struct TuplesParams {
        extents: [u32; 8],
        strides: [u32; 8],
        depth: u32,
        inner: u32,
        first: u32,
        end: u32,
        count: u32,
    }
}

shader!(static ELEMENTS: ElementsParams = "scatter_elements");
shader!(static ELEMENTS_COMBINE: ElementsParams = "scatter_elements_combine");
shader!(static TUPLES: TuplesParams = "scatter_nd");
shader!(static TUPLES_COMBINE: TuplesParams = "scatter_nd_combine");

/// The operators of this file.
pub static REGISTRATION: Registration = Registration {
    operators: &["ScatterElements", "ScatterND"],
    shaders: &[&ELEMENTS, &ELEMENTS_COMBINE, &TUPLES, &TUPLES_COMBINE],
};

const WORKGROUP: u32 = 64;

/// What becomes of an element and its update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Combine {
    /// The sum.
    Add,
    /// The product.
    Mul,
    /// The larger.
    Max,
    /// The smaller.
    Min,
}

impl Combine {
    /// What the ONNX attribute `reduction` names; `none` is `None`.
    ///
    /// # Errors
    /// [`InvalidModel`](crate::ErrorKind::InvalidModel) when there is no such reduction.
    pub fn from_name(name: &str) -> Result<Option<Self>> {
        Ok(Some(match name {
            "none" => return Ok(None),
            "add" => Combine::Add,
            "mul" => Combine::Mul,
            "max" => Combine::Max,
            "min" => Combine::Min,
            _ => return Err(Error::invalid_model(format!("expected reduction none, add, mul, max or min, found `{name}`"))),
        }))
    }

    fn float(self, a: f64, b: f64) -> f64 {
        match self {
            Combine::Add => a + b,
            Combine::Mul => a * b,
            Combine::Max => a.max(b),
            Combine::Min => a.min(b),
        }
    }

    fn integer(self, a: i128, b: i128) -> i128 {
        match self {
            // Wrapping at 128 bits and then at the dtype's width is wrapping at the latter.
            Combine::Add => a.wrapping_add(b),
            Combine::Mul => a.wrapping_mul(b),
            Combine::Max => a.max(b),
            Combine::Min => a.min(b),
        }
    }
}

/// The kernel's number for a scalar type.
pub(super) fn scalar_number(scalar: Scalar) -> u32 {
    match scalar {
        Scalar::F32 => 0,
        Scalar::I32 => 1,
        Scalar::U32 => 2,
    }
}

/// The output's fact, once shapes have been checked.
fn scattered(op: &str, data: &Fact, updates: &Fact, expected: &[usize], combine: Option<Combine>) -> Result<Vec<Fact>> {
    if updates.dtype() != data.dtype() || updates.shape()[..] != *expected {
        return Err(Error::invalid_model(format!(
            "{op} expects updates of {}{}, found {}",
            data.dtype(),
            Shape::from(expected),
            updates.ty
        )));
    }
    let both = || union(data.bounds(), updates.bounds());
    let bounds: Option<Bounds> = match combine {
        _ if updates.ty.elements() == 0 => data.bounds,
        None | Some(Combine::Max | Combine::Min) => both(),
        Some(Combine::Add) => data.bounds().zip(updates.bounds()).and_then(|(d, u)| {
            let reach = |bound: i128, by: i128| by.checked_mul(updates.ty.elements() as i128)?.checked_add(bound);
            let (low, high) = (reach(d.0, u.0.min(0))?, reach(d.1, u.1.max(0))?);
            // Beyond the dtype's range it wraps, and nothing is known.
            data.dtype().range().filter(|r| low >= r.0 && high <= r.1).map(|_| (low, high))
        }),
        Some(Combine::Mul) => None,
    };
    Ok(vec![Fact { ty: data.ty.clone(), value: None, bounds }])
}

/// `data` with `updates`, update `k` at element `targets[k]`, one after another.
fn apply(data: &Tensor, updates: &Tensor, targets: &[usize], combine: Option<Combine>) -> Result<Tensor> {
    let Some(combine) = combine else {
        let size = data.dtype().size();
        let mut bytes = data.bytes().to_vec();
        for (update, &target) in updates.bytes().chunks_exact(size).zip(targets) {
            bytes[target * size..(target + 1) * size].copy_from_slice(update);
        }
        return Tensor::from_bytes(data.ty().clone(), &bytes);
    };
    if data.dtype().is_float() {
        let mut values = data.to_f64();
        for (update, &target) in updates.to_f64().into_iter().zip(targets) {
            values[target] = combine.float(values[target], update);
        }
        Tensor::from_f64(data.ty().clone(), &values)
    } else {
        let mut values = data.to_i128();
        for (update, &target) in updates.to_i128().into_iter().zip(targets) {
            values[target] = combine.integer(values[target], update);
        }
        Tensor::from_i128(data.ty().clone(), &values)
    }
}

/// The scalar type that data, updates and output share on the GPU, after a check that arithmetic on it wraps as the dtype
/// does.
fn scalar(io: &Io, combine: Option<Combine>) -> Result<Scalar> {
    let (data, updates, output) = (io.input(0)?, io.input(2)?, io.outputs[0]);
    on_gpu(data, io.input(1)?)?;
    let scalar = data.scalar().filter(|s| updates.scalar() == Some(*s) && output.scalar() == Some(*s));
    let scalar = scalar.ok_or_else(|| super::movement::no_scalar(output))?;
    let narrow = data.dtype().size() < 4 && !data.dtype().is_float();
    if narrow && matches!(combine, Some(Combine::Add | Combine::Mul)) {
        return Err(Error::unsupported(format!("sums and products of {} wrap differently on the GPU", data.dtype())));
    }
    Ok(scalar)
}

/// The first dispatch: the output is the data.
fn start(data: &Fact, caps: &Caps) -> Result<Dispatch> {
    let whole = View::contiguous(data.shape());
    copy::strided(&whole, &whole, [Operand::Input(0), Operand::Output(0)], caps)
}

fn dispatch<P: Parameters>(kernel: Kernel, params: P, count: u32, io: &Io, caps: &Caps) -> Result<Dispatch> {
    let grid = Dispatch::linear_grid(u64::from(count).div_ceil(WORKGROUP.into()), caps)?;
    let bindings = vec![Operand::Input(1), Operand::Input(2), Operand::Output(0)];
    Ok(Dispatch::new(kernel, params, bindings, grid).work(0, io.input(2)?.gpu_bytes() * 3))
}

fn kernel(shader: &'static Shader) -> Kernel {
    Kernel::new(shader, &[Access::Read, Access::Read, Access::Write], [WORKGROUP, 1, 1])
}

fn combining(shader: &'static Shader, scalar: Scalar, combine: Combine) -> Kernel {
    kernel(shader).prelude(&preludes::COMBINE).set("SCALAR", scalar_number(scalar)).set("REDUCTION", combine as u32)
}

/// The numbers `0..count` in ranges no longer than `length`.
fn ranges(count: u32, length: u32) -> impl Iterator<Item = (u32, u32)> {
    let length = length.max(1);
    (0..count.div_ceil(length)).map(move |k| (k * length, count.min((k + 1) * length)))
}

/// ONNX ScatterElements: each update goes to the element that the index at its place names along an axis.
#[derive(Clone, Debug, PartialEq)]
pub struct ScatterElements {
    /// The axis along which the indices point.
    pub axis: i64,
    /// How updates are combined with what is there; `None` replaces it.
    pub combine: Option<Combine>,
}

/// Input 0 with the updates in input 2 at the indices in input 1 along an axis.
pub fn scatter_elements(axis: i64, combine: Option<Combine>) -> Arc<dyn Op> {
    Arc::new(ScatterElements { axis, combine })
}

impl Op for ScatterElements {
    fn name(&self) -> &'static str {
        "ScatterElements"
    }

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let (data, indices) = (required("ScatterElements", inputs, 0)?, indices("ScatterElements", inputs)?);
        elements_axis("ScatterElements", self.axis, &data.ty, &indices.ty)?;
        scattered("ScatterElements", data, required("ScatterElements", inputs, 2)?, indices.shape(), self.combine)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let [data, indices, updates] = [0, 1, 2].map(|k| required("ScatterElements", inputs, k));
        let (data, indices) = (data?, indices?);
        let axis = elements_axis("ScatterElements", self.axis, data.ty(), indices.ty())?;
        let strides = data.shape().strides();
        let target = |(place, index): (usize, i64)| {
            let mut at = unravel(place, indices.shape());
            at[axis] = wrap(index, data.shape()[axis])?;
            Ok(at.iter().zip(&strides).map(|(i, s)| i * s).sum())
        };
        let targets = indices.to_i64().into_iter().enumerate().map(target).collect::<Result<Vec<usize>>>()?;
        Ok(vec![apply(data, updates?, &targets, self.combine)?])
    }

    fn candidates(&self, io: &Io, caps: &Caps) -> Result<Vec<Lowering>> {
        let (data, indices) = (io.input(0)?, io.input(1)?);
        if data.ty.elements() == 0 {
            return Ok(vec![Lowering::empty()]);
        }
        let scalar = scalar(io, self.combine)?;
        let mut dispatches = vec![start(data, caps)?];
        let updates = indices.ty.elements();
        if updates > 0 {
            let axis = data.shape().axis(self.axis)?;
            let small = |shape: &[usize]| {
                let mut all = [1; MAX_RANK];
                all.iter_mut().zip(shape).for_each(|(slot, d)| *slot = *d as u32);
                all
            };
            let mut params = ElementsParams {
                extents: small(data.shape()),
                update_extents: small(indices.shape()),
                strides: small(&data.shape().strides()),
                axis: axis as u32,
                first: 0,
                end: 0,
                count: updates as u32,
            };
            let axes = data.shape().rank() as u32;
            match self.combine {
                None => dispatches.push(dispatch(kernel(&ELEMENTS).set("AXES", axes), params, params.count, io, caps)?),
                Some(combine) => {
                    params.strides = small(&indices.shape().strides());
                    params.count = data.ty.elements() as u32;
                    for (first, end) in ranges(indices.shape()[axis] as u32, caps.max_loop / 2) {
                        (params.first, params.end) = (first, end);
                        let kernel = combining(&ELEMENTS_COMBINE, scalar, combine).set("AXES", axes);
                        dispatches.push(dispatch(kernel, params, params.count, io, caps)?);
                    }
                }
            }
        }
        Ok(vec![Lowering::dispatches("scatter_elements", dispatches)])
    }
}

/// ONNX ScatterND: each slice of updates goes where the tuple of indices at its place points.
#[derive(Clone, Debug, PartialEq)]
pub struct ScatterNd {
    /// How updates are combined with what is there; `None` replaces it.
    pub combine: Option<Combine>,
}

/// Input 0 with the slices in input 2 at the index tuples along the last axis of input 1.
pub fn scatter_nd(combine: Option<Combine>) -> Arc<dyn Op> {
    Arc::new(ScatterNd { combine })
}

impl Op for ScatterNd {
    fn name(&self) -> &'static str {
        "ScatterND"
    }

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let (data, indices) = (required("ScatterND", inputs, 0)?, indices("ScatterND", inputs)?);
        let tuples = Tuples::new("ScatterND", 0, data.shape(), indices.shape())?;
        let expected = [&indices.shape()[..indices.shape().rank() - 1], &data.shape()[tuples.depth..]].concat();
        scattered("ScatterND", data, required("ScatterND", inputs, 2)?, &expected, self.combine)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let [data, indices, updates] = [0, 1, 2].map(|k| required("ScatterND", inputs, k));
        let (data, indices) = (data?, indices?);
        let tuples = Tuples::new("ScatterND", 0, data.shape(), indices.shape())?;
        let inner = tuples.inner(data.shape());
        let starts = tuples.starts(data.shape(), indices)?;
        let targets: Vec<usize> = starts.into_iter().flat_map(|start| start..start + inner).collect();
        Ok(vec![apply(data, updates?, &targets, self.combine)?])
    }

    fn candidates(&self, io: &Io, caps: &Caps) -> Result<Vec<Lowering>> {
        let (data, indices, updates) = (io.input(0)?, io.input(1)?, io.input(2)?);
        if data.ty.elements() == 0 {
            return Ok(vec![Lowering::empty()]);
        }
        let scalar = scalar(io, self.combine)?;
        let tuples = Tuples::new("ScatterND", 0, data.shape(), indices.shape())?;
        if tuples.depth == 0 {
            return Err(Error::unsupported("ScatterND by empty tuples"));
        }
        let mut dispatches = vec![start(data, caps)?];
        if updates.ty.elements() > 0 {
            let inner = tuples.inner(data.shape());
            let unit = if self.combine.is_none() && inner.is_multiple_of(4) { 4 } else { 1 };
            let strides = data.shape().strides();
            let mut params = TuplesParams {
                extents: [1; MAX_RANK],
                strides: [0; MAX_RANK],
                depth: tuples.depth as u32,
                inner: (inner / unit) as u32,
                first: 0,
                end: 0,
                count: (updates.ty.elements() / unit) as u32,
            };
            for axis in tuples.indexed() {
                params.extents[axis] = data.shape()[axis] as u32;
                params.strides[axis] = (strides[axis] / unit) as u32;
            }
            match self.combine {
                None => {
                    let kernel = kernel(&TUPLES).prelude(if unit == 4 { &preludes::WIDTH4 } else { &preludes::WIDTH1 });
                    dispatches.push(dispatch(kernel, params, params.count, io, caps)?);
                }
                Some(combine) => {
                    params.count = data.ty.elements() as u32;
                    // Each tuple costs one iteration of the loop over tuples and `depth` of the one within.
                    let length = caps.max_loop / (2 + params.depth);
                    for (first, end) in ranges(tuples.rows(indices.shape()) as u32, length) {
                        (params.first, params.end) = (first, end);
                        dispatches.push(dispatch(combining(&TUPLES_COMBINE, scalar, combine), params, params.count, io, caps)?);
                    }
                }
            }
        }
        Ok(vec![Lowering::dispatches("scatter_nd", dispatches)])
    }
}
