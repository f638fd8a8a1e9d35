//! A tensor with some elements replaced or combined: ScatterElements and ScatterND. They start from the data where they lie, or from
//! a copy. Replacing runs over the updates; combining runs over the elements, each of which looks for its updates, so that the result
//! does not depend on the order in which invocations run.

mod gradient;
mod linked;

use self::gradient::Places;
use self::linked::Updates;
use super::Registration;
use super::copy;
use super::gather::{Tuples, elements_axis};
use super::shared::{
    WORKGROUP, axis_parameters, in_units, indices, no_scalar, on_gpu, one_each, scalar_number, union, unit, unravel, wrap,
};
use crate::error::{Error, Result};
use crate::graph::{Bounds, Fact, Gradient, Io, Node, Op, ValueId, Writer, required};
use crate::kernel::{
    Access, Caps, Dispatch, Kernel, Lowering, Offers, Operand, Parameters, Shader, params, preludes, shader, u32s,
};
use crate::tensor::{Scalar, Shape, Tensor, View};
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
    shaders: &[&ELEMENTS, &ELEMENTS_COMBINE, &TUPLES, &TUPLES_COMBINE, &linked::LINK, &linked::LINKED],
};

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

crate::attributes!(
    enum Combine {
        Add,
        Mul,
        Max,
        Min,
    }
);

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
    let scalar = scalar.ok_or_else(|| no_scalar(output))?;
    let narrow = data.dtype().size() < 4 && !data.dtype().is_float();
    if narrow && matches!(combine, Some(Combine::Add | Combine::Mul)) {
        return Err(Error::unsupported(format!("sums and products of {} wrap differently on the GPU", data.dtype())));
    }
    Ok(scalar)
}

/// Offers what scatters the updates into the data where they lie, or into a copy of them.
fn offer(variant: &'static str, io: &Io, offers: &mut Offers, scatter: impl Fn(&Target) -> Result<Scattering>) {
    let caps = offers.caps();
    let has_updates = io.input(2).is_ok_and(|updates| updates.ty.elements() > 0);
    offers.add("in_place", 0, || {
        if !has_updates {
            return Err(Error::unsupported("there is nothing to write"));
        }
        let Scattering { dispatches, temporaries } = scatter(&Target { io, data: Operand::Updated, caps })?;
        Ok(Lowering::new(dispatches).temporaries(temporaries))
    });
    offers.add(variant, 1, || {
        let whole = View::contiguous(io.input(0)?.shape());
        let mut dispatches = vec![copy::strided(&whole, &whole, [Operand::Input(0), Operand::Output(0)], caps)?];
        let mut temporaries = vec![];
        if has_updates {
            let scattering = scatter(&Target { io, data: Operand::Output(0), caps })?;
            dispatches.extend(scattering.dispatches);
            temporaries = scattering.temporaries;
        }
        Ok(Lowering::new(dispatches).temporaries(temporaries))
    });
}

/// The dispatches that scatter updates, and the scratch that they need.
struct Scattering {
    dispatches: Vec<Dispatch>,
    temporaries: Vec<u64>,
}

impl From<Vec<Dispatch>> for Scattering {
    fn from(dispatches: Vec<Dispatch>) -> Self {
        Scattering { dispatches, temporaries: vec![] }
    }
}

/// What updates go into, and what runs them there.
struct Target<'a> {
    io: &'a Io<'a>,
    /// What holds the data, and the result when all is done.
    data: Operand,
    caps: &'a Caps,
}

impl Target<'_> {
    /// A dispatch over `count` updates or elements.
    fn dispatch<P: Parameters>(&self, kernel: Kernel, params: P, count: usize) -> Result<Dispatch> {
        let bindings = vec![Operand::Input(1), Operand::Input(2), self.data];
        Ok(one_each(kernel, params, count, bindings, self.caps)?.work(0, self.io.input(2)?.gpu_bytes() * 3))
    }
}

/// A kernel that replaces elements, or combines them.
fn kernel(shader: &'static Shader, combining: Option<(Scalar, Combine)>) -> Kernel {
    let kernel = Kernel::new(shader, &[Access::Read, Access::Read, Access::Write], [WORKGROUP, 1, 1]).prelude(&preludes::INDEX);
    match combining {
        None => kernel,
        Some((scalar, combine)) => {
            let kernel = kernel.prelude(&preludes::COMBINE).set("SCALAR", scalar_number(scalar));
            kernel.set("REDUCTION", combine as u32)
        }
    }
}

/// Of how many updates each looks through all others; past as many elements that is less work than that of each element.
const UPDATES_AT_ONCE: usize = 256;

/// The most updates that are linked: each looks for the next one by itself.
const MOST_LINKED: usize = 1 << 16;

/// The numbers `0..count` in ranges no longer than `length`.
fn ranges(count: usize, length: usize) -> impl Iterator<Item = (usize, usize)> {
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

impl ScatterElements {
    /// The kernel that runs over the updates.
    fn replacing(&self, axis: usize, to: &Target) -> Result<Dispatch> {
        let (data, indices) = (to.io.input(0)?.shape(), to.io.input(1)?);
        let elements = indices.ty.elements();
        let [axis, axes, count] = u32s([axis, data.rank(), elements])?;
        let params = ElementsParams {
            extents: axis_parameters(data.iter().copied(), 1)?,
            update_extents: axis_parameters(indices.shape().iter().copied(), 1)?,
            strides: axis_parameters(data.strides(), 1)?,
            axis,
            first: 0,
            end: 0,
            count,
        };
        let kernel = kernel(&ELEMENTS, None).prelude(&preludes::SCATTER_ELEMENTS).set("AXES", axes);
        to.dispatch(kernel, params, elements)
    }

    /// The kernels that run over the elements, each over a range of the updates.
    fn combining(&self, axis: usize, how: (Scalar, Combine), to: &Target) -> Result<Vec<Dispatch>> {
        let (data, updates) = (to.io.input(0)?, to.io.input(1)?.shape());
        let elements = data.ty.elements();
        let [number, axes, count] = u32s([axis, updates.rank(), elements])?;
        let kernel = kernel(&ELEMENTS_COMBINE, Some(how)).prelude(&preludes::SCATTER_ELEMENTS).set("AXES", axes);
        let range = |(first, end): (usize, usize)| {
            let turns = end - first;
            let [first, end] = u32s([first, end])?;
            let params = ElementsParams {
                extents: axis_parameters(data.shape().iter().copied(), 1)?,
                update_extents: axis_parameters(updates.iter().copied(), 1)?,
                strides: axis_parameters(updates.strides(), 1)?,
                axis: number,
                first,
                end,
                count,
            };
            Ok(to.dispatch(kernel.clone(), params, elements)?.turns(turns))
        };
        ranges(updates[axis], to.caps.most_turns(2)).map(range).collect()
    }
}

impl Op for ScatterElements {
    fn name(&self) -> &'static str {
        "ScatterElements"
    }

    crate::attributes!(axis, combine);

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let (data, indices) = (required("ScatterElements", inputs, 0)?, indices("ScatterElements", inputs)?);
        elements_axis("ScatterElements", self.axis, &data.ty, &indices.ty)?;
        scattered("ScatterElements", data, required("ScatterElements", inputs, 2)?, indices.shape(), self.combine)
    }

    fn updates(&self, _: &[Option<&Fact>]) -> Option<(usize, usize)> {
        Some((0, 0))
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

    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        let scalar = scalar(io, self.combine)?;
        let axis = io.input(0)?.shape().axis(self.axis)?;
        offer("scatter_elements", io, offers, |to| match self.combine {
            None => Ok(vec![self.replacing(axis, to)?].into()),
            Some(combine) => Ok(self.combining(axis, (scalar, combine), to)?.into()),
        });
        Ok(())
    }

    fn gradient(&self, node: &Node, upstream: &[Option<ValueId>], wanted: &[bool], writer: &mut Writer) -> Result<Gradient> {
        gradient::gradient(Places::Along(self.axis), self.combine, node, upstream, wanted, writer)
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

impl ScatterNd {
    /// The kernel that runs over the updates.
    fn replacing(&self, tuples: Tuples, to: &Target) -> Result<Dispatch> {
        let data = to.io.input(0)?.shape();
        let length = tuples.inner(data);
        let unit = unit([length]);
        let groups = to.io.input(2)?.ty.elements() / unit;
        let [depth, inner, count] = u32s([tuples.depth, length / unit, groups])?;
        let (extents, strides) = tuples.axes(data, unit)?;
        let params = TuplesParams { extents, strides, depth, inner, first: 0, end: 0, count };
        let kernel = kernel(&TUPLES, None).prelude(&preludes::INDEX_TUPLES).prelude(&preludes::SCATTER_ND);
        Ok(to.dispatch(in_units(kernel, unit), params, groups)?.turns(tuples.depth))
    }

    /// Updates that are linked by what they go to, where there are no more of them than elements. Else the kernels that run over the elements,
    /// each over a range of the tuples; or, where there are many elements, over those of a range of the updates, of which each looks through
    /// the range.
    fn combining(&self, tuples: Tuples, how: (Scalar, Combine), to: &Target) -> Result<Scattering> {
        let shape = to.io.input(0)?.shape();
        let updates = Updates { tuples, data: shape, rows: tuples.rows(to.io.input(1)?.shape()) };
        if updates.rows <= shape.elements().min(MOST_LINKED) && updates.turns() <= to.caps.most_turns(1) {
            return Ok(Scattering {
                dispatches: updates.dispatches([scalar_number(how.0), how.1 as u32], to.data, to.caps)?,
                temporaries: vec![updates.bytes()],
            });
        }
        Ok(self.searching(tuples, how, to)?.into())
    }

    fn searching(&self, tuples: Tuples, how: (Scalar, Combine), to: &Target) -> Result<Vec<Dispatch>> {
        let data = to.io.input(0)?;
        let (elements, length) = (data.ty.elements(), tuples.inner(data.shape()));
        let by_update = elements / length.max(1) > UPDATES_AT_ONCE;
        let [depth, inner] = u32s([tuples.depth, length])?;
        let (extents, strides) = tuples.axes(data.shape(), 1)?;
        let kernel = kernel(&TUPLES_COMBINE, Some(how)).prelude(&preludes::INDEX_TUPLES).prelude(&preludes::SCATTER_ND);
        let kernel = in_units(kernel, 1).set("BY_UPDATE", by_update.into());
        // Each tuple costs one iteration of the loop over tuples, `depth` of the one within, and one in which that finds that it is through.
        let cost = tuples.depth + 2;
        let range = |(first, end): (usize, usize)| {
            let turns = (end - first) * cost;
            let invocations = if by_update { (end - first) * length } else { elements };
            let [first, end, count] = u32s([first, end, invocations])?;
            let params = TuplesParams { extents, strides, depth, inner, first, end, count };
            Ok(to.dispatch(kernel.clone(), params, invocations)?.turns(turns))
        };
        let most = to.caps.most_turns(cost);
        let most = if by_update { most.min(UPDATES_AT_ONCE) } else { most };
        ranges(tuples.rows(to.io.input(1)?.shape()), most).map(range).collect()
    }
}

impl Op for ScatterNd {
    fn name(&self) -> &'static str {
        "ScatterND"
    }

    crate::attributes!(combine);

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let (data, indices) = (required("ScatterND", inputs, 0)?, indices("ScatterND", inputs)?);
        let tuples = Tuples::new("ScatterND", 0, data.shape(), indices.shape())?;
        let expected = [&indices.shape()[..indices.shape().rank() - 1], &data.shape()[tuples.depth..]].concat();
        scattered("ScatterND", data, required("ScatterND", inputs, 2)?, &expected, self.combine)
    }

    fn updates(&self, _: &[Option<&Fact>]) -> Option<(usize, usize)> {
        Some((0, 0))
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

    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        let scalar = scalar(io, self.combine)?;
        let tuples = Tuples::new("ScatterND", 0, io.input(0)?.shape(), io.input(1)?.shape())?;
        offer("scatter_nd", io, offers, |to| match self.combine {
            None => Ok(vec![self.replacing(tuples, to)?].into()),
            Some(combine) => self.combining(tuples, (scalar, combine), to),
        });
        Ok(())
    }

    fn gradient(&self, node: &Node, upstream: &[Option<ValueId>], wanted: &[bool], writer: &mut Writer) -> Result<Gradient> {
        gradient::gradient(Places::Tuples, self.combine, node, upstream, wanted, writer)
    }
}
