//! Concat: tensors one after another along an axis.

use super::Registration;
use super::compose::Compose;
use super::copy;
use super::shared::{WORKGROUP, in_units, no_scalar, one_each, union, unit};
use crate::error::{Error, Result};
use crate::graph::{Fact, Gradient, Io, Node, Op, ValueId, Writer, required};
use crate::kernel::{Access, Caps, Dispatch, Kernel, Lowering, Offers, Operand, params, preludes, shader, u32s};
use crate::tensor::{Tensor, TensorType, View};
use std::collections::BTreeMap;
use std::sync::Arc;

params! {
    /// Parameters of `concat.wgsl`: up to four inputs, each a matrix of `rows` rows.
    struct ConcatParams {
        widths: [u32; 4],
        rows: u32,
        width: u32,
        stride: u32,
        offset: u32,
    }
}

shader!(static CONCAT: ConcatParams = "concat");

/// The operator of this file.
pub static REGISTRATION: Registration = Registration { operators: &["Concat"], shaders: &[&CONCAT] };

/// Inputs that one dispatch reads.
const BATCH: usize = 4;

/// ONNX Concat.
#[derive(Clone, Debug, PartialEq)]
pub struct Concat {
    /// The axis along which the inputs follow each other.
    pub axis: i64,
    /// Inputs that are read through a view of what the node is given.
    pub views: BTreeMap<usize, View>,
}

/// All inputs one after another along an axis.
pub fn concat(axis: i64) -> Arc<dyn Op> {
    Arc::new(Concat { axis, views: BTreeMap::new() })
}

impl Concat {
    fn output(&self, inputs: &[&TensorType]) -> Result<(TensorType, usize)> {
        let first = inputs.first().ok_or_else(|| Error::invalid_model("Concat expects at least one input"))?;
        let axis = first.shape.axis(self.axis)?;
        let mut dims = first.shape.to_vec();
        for ty in &inputs[1..] {
            let alike = |k: usize| k == axis || ty.shape[k] == dims[k];
            if ty.dtype != first.dtype || ty.shape.rank() != dims.len() || !(0..dims.len()).all(alike) {
                return Err(Error::invalid_model(format!(
                    "Concat along axis {axis} expects inputs that differ in nothing else, found {first} and {ty}"
                )));
            }
            dims[axis] = dims[axis].saturating_add(ty.shape[axis]);
        }
        Ok((TensorType::new(first.dtype, dims), axis))
    }

    /// The type of what is joined as input `index`.
    fn seen(&self, index: usize, given: &TensorType) -> TensorType {
        let shape = self.views.get(&index).map_or(&given.shape, |view| &view.shape);
        TensorType::new(given.dtype, shape.clone())
    }

    /// The inputs that have elements.
    fn parts(&self, io: &Io, axis: usize) -> Result<Vec<Part>> {
        let output = io.outputs[0];
        let mut parts = Vec::new();
        let (mut column, mut first) = (0, 0);
        for input in 0..io.inputs.len() {
            let fact = io.input(input)?;
            if fact.scalar() != output.scalar() {
                return Err(no_scalar(fact));
            }
            let shape = self.seen(input, &fact.ty).shape;
            let (width, extent) = (shape.product(axis..shape.rank()), shape[axis]);
            parts.push(Part { input, column, width, first, extent });
            (column, first) = (column + width, first + extent);
        }
        parts.retain(|part| part.width > 0);
        Ok(parts)
    }

    /// Inputs read through a view are copied one by one, the others up to `BATCH` at a time or one by one as well.
    fn dispatches(&self, parts: &[Part], io: &Io, axis: usize, apart: bool, caps: &Caps) -> Result<Vec<Dispatch>> {
        let output = io.outputs[0].shape();
        let whole = View::contiguous(output);
        let (rows, stride) = (output.product(0..axis), output.product(axis..output.rank()));
        let is_plain = |part: &Part| !apart && !self.views.contains_key(&part.input);
        let mut dispatches = Vec::new();
        for neighbours in parts.chunk_by(|a, b| is_plain(a) && is_plain(b)) {
            if is_plain(&neighbours[0]) {
                for batch in neighbours.chunks(BATCH) {
                    dispatches.push(side_by_side(batch, rows, stride, caps)?);
                }
                continue;
            }
            for Part { input, first, extent, .. } in neighbours.iter().copied() {
                let to = whole.slice(axis, first, extent, 1);
                let given = View::contiguous(io.input(input)?.shape());
                let from = self.views.get(&input).unwrap_or(&given);
                dispatches.push(copy::strided(from, &to, [Operand::Input(input), Operand::Output(0)], caps)?);
            }
        }
        Ok(dispatches)
    }
}

/// An input as a matrix: one row for each index of the axes before the one that is joined.
#[derive(Clone, Copy)]
struct Part {
    input: usize,
    /// Where it stands in a row of the output.
    column: usize,
    width: usize,
    /// Where it stands along the axis, and its extent there.
    first: usize,
    extent: usize,
}

/// Up to four neighbouring inputs, written beside each other.
fn side_by_side(parts: &[Part], rows: usize, stride: usize, caps: &Caps) -> Result<Dispatch> {
    let start = parts[0].column;
    let unit = unit(parts.iter().map(|part| part.width).chain([stride, start]));
    let width = parts.iter().map(|part| part.width / unit).sum::<usize>();
    let mut widths = [0; BATCH];
    widths.iter_mut().zip(parts).for_each(|(slot, part)| *slot = part.width / unit);
    let widths = u32s(widths)?;
    let [count_rows, columns, stride, offset] = u32s([rows, width, stride / unit, start / unit])?;
    let params = ConcatParams { widths, rows: count_rows, width: columns, stride, offset };
    // An input of width 0 is not read.
    let part = |k: usize| parts.get(k).map_or(Operand::Nothing, |part| Operand::Input(part.input));
    let bindings = (0..BATCH).map(part).chain([Operand::Output(0)]).collect();
    let access = [Access::Read, Access::Read, Access::Read, Access::Read, Access::Write];
    let kernel = in_units(Kernel::new(&CONCAT, &access, [WORKGROUP, 1, 1]).prelude(&preludes::DIVIDE), unit);
    let count = rows * width;
    Ok(one_each(kernel, params, count, bindings, caps)?.work(0, (count * unit * 8) as u64))
}

impl Op for Concat {
    fn name(&self) -> &'static str {
        "Concat"
    }

    crate::attributes!(axis, views);

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let facts = (0..inputs.len()).map(|k| required("Concat", inputs, k)).collect::<Result<Vec<_>>>()?;
        let types: Vec<TensorType> = facts.iter().enumerate().map(|(k, f)| self.seen(k, &f.ty)).collect();
        let (ty, _) = self.output(&types.iter().collect::<Vec<_>>())?;
        let held = facts.iter().filter(|f| f.ty.elements() > 0).map(|f| f.bounds());
        let bounds = held.reduce(union).flatten();
        Ok(vec![Fact { ty, value: None, bounds }])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let seen = |k: usize| {
            let tensor = required("Concat", inputs, k)?;
            Ok(self.views.get(&k).map_or_else(|| tensor.clone(), |view| tensor.gather(view)))
        };
        let tensors = (0..inputs.len()).map(seen).collect::<Result<Vec<_>>>()?;
        let (ty, axis) = self.output(&tensors.iter().map(Tensor::ty).collect::<Vec<_>>())?;
        let mut bytes = Vec::with_capacity(ty.elements() * ty.dtype.size());
        for row in 0..ty.shape.product(0..axis) {
            for tensor in &tensors {
                let width = tensor.shape().product(axis..tensor.shape().rank()) * ty.dtype.size();
                bytes.extend_from_slice(&tensor.bytes()[row * width..(row + 1) * width]);
            }
        }
        Ok(vec![Tensor::from_bytes(ty, &bytes)?])
    }

    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        let output = io.outputs[0];
        if output.scalar().is_none() {
            return Err(no_scalar(output));
        }
        let axis = output.shape().axis(self.axis)?;
        let parts = self.parts(io, axis)?;
        if let [Part { input, .. }] = parts.as_slice()
            && !self.views.contains_key(input)
        {
            offers.alias(*input);
            return Ok(());
        }
        let caps = offers.caps();
        let (together, apart) = if caps.branches_cost(output.ty.elements()) { (1, 0) } else { (0, 1) };
        offers.add("concat", together, || self.dispatches(&parts, io, axis, false, caps).map(Lowering::new));
        offers.add("copies", apart, || match parts.len() - self.views.len().min(parts.len()) {
            0 | 1 => Err(Error::unsupported("its inputs are copied one by one anyway")),
            _ => self.dispatches(&parts, io, axis, true, caps).map(Lowering::new),
        });
        Ok(())
    }

    fn absorb(&self, index: usize, view: &View, _: &Fact) -> Option<Arc<dyn Op>> {
        let mut views = self.views.clone();
        let view = match views.get(&index) {
            Some(earlier) => earlier.of(view)?,
            None => view.clone(),
        };
        views.insert(index, view);
        Some(Arc::new(Concat { axis: self.axis, views }))
    }

    fn gradient(&self, node: &Node, upstream: &[Option<ValueId>], wanted: &[bool], writer: &mut Writer) -> Result<Gradient> {
        let Some(worth) = upstream.first().copied().flatten() else { return Ok(Gradient::Zero) };
        let axis = writer.fact(worth)?.shape().axis(self.axis)?;
        let mut found = Vec::with_capacity(wanted.len());
        let mut first = 0;
        for (k, wanted) in wanted.iter().enumerate() {
            let own = writer.fact(node.needed(k)?)?.shape().clone();
            let view = self.views.get(&k);
            let extent = view.map_or(own[axis], |view| view.shape[axis]);
            found.push(match (*wanted, view) {
                (false, _) => None,
                (true, None) => Some(writer.sliced(worth, axis, first, extent, 1)?),
                (true, Some(view)) => {
                    let part = writer.sliced(worth, axis, first, extent, 1)?;
                    Some(writer.view_sum(part, view, &own)?)
                }
            });
            first += extent;
        }
        Ok(Gradient::Inputs(found))
    }
}
