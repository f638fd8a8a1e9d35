//! Concat: tensors one after another along an axis.

use super::Registration;
use super::copy;
use super::movement::no_scalar;
use crate::error::{Error, Result};
use crate::graph::{Bounds, Fact, Io, Op, required};
use crate::kernel::{Access, Caps, Dispatch, Kernel, Lowering, Operand, params, preludes, shader};
use crate::tensor::{Shape, Tensor, TensorType, View};
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

const WORKGROUP: u32 = 64;
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

/// The smallest bounds that hold both, where both are known.
pub(crate) fn union(a: Option<Bounds>, b: Option<Bounds>) -> Option<Bounds> {
    a.zip(b).map(|(a, b)| (a.0.min(b.0), a.1.max(b.1)))
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

    /// Up to four inputs, with their widths, written from column `start` on.
    fn side_by_side(inputs: &[(usize, usize)], start: usize, rows: usize, stride: usize, caps: &Caps) -> Result<Dispatch> {
        let unit = if stride.is_multiple_of(4) && start.is_multiple_of(4) && inputs.iter().all(|(_, width)| width.is_multiple_of(4))
        {
            4
        } else {
            1
        };
        let mut widths = [0; BATCH];
        for (slot, (_, width)) in widths.iter_mut().zip(inputs) {
            *slot = (width / unit) as u32;
        }
        let width: u32 = widths.iter().sum();
        let params =
            ConcatParams { widths, rows: rows as u32, width, stride: (stride / unit) as u32, offset: (start / unit) as u32 };
        // A slot that is not needed binds the last input once more.
        let mut bindings: Vec<Operand> = (0..BATCH).map(|k| Operand::Input(inputs[k.min(inputs.len() - 1)].0)).collect();
        bindings.push(Operand::Output(0));
        let access = [Access::Read, Access::Read, Access::Read, Access::Read, Access::Write];
        let kernel = Kernel::new(&CONCAT, &access, [WORKGROUP, 1, 1]).prelude(&preludes::DIVIDE).prelude(if unit == 4 {
            &preludes::WIDTH4
        } else {
            &preludes::WIDTH1
        });
        let count = rows as u64 * u64::from(width);
        let grid = Dispatch::linear_grid(count.div_ceil(WORKGROUP.into()), caps)?;
        Ok(Dispatch::new(kernel, params, bindings, grid).work(0, count * unit as u64 * 8))
    }
}

impl Op for Concat {
    fn name(&self) -> &'static str {
        "Concat"
    }

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

    fn candidates(&self, io: &Io, caps: &Caps) -> Result<Vec<Lowering>> {
        let output = io.outputs[0];
        if output.scalar().is_none() {
            return Err(no_scalar(output));
        }
        let axis = output.shape().axis(self.axis)?;
        let width = |shape: &Shape| shape.product(axis..shape.rank());
        let (rows, stride) = (output.shape().product(0..axis), width(output.shape()));
        if output.ty.elements() == 0 {
            return Ok(vec![Lowering::empty()]);
        }
        let mut parts = Vec::new();
        for k in 0..io.inputs.len() {
            let input = io.input(k)?;
            if input.scalar() != output.scalar() {
                return Err(no_scalar(input));
            }
            let seen = self.seen(k, &input.ty);
            parts.push((k, width(&seen.shape), seen.shape[axis]));
        }
        parts.retain(|(_, width, _)| *width > 0);
        if let [(k, ..)] = parts.as_slice()
            && !self.views.contains_key(k)
        {
            return Ok(vec![Lowering::Alias { input: *k }]);
        }
        // Inputs read through a view are copied one by one, the others up to four at a time.
        let whole = View::contiguous(output.shape());
        let (mut start, mut first) = (0, 0);
        let mut dispatches = Vec::new();
        let mut waiting: Vec<(usize, usize)> = Vec::new();
        let mut waiting_from = 0;
        for (k, width, extent) in parts {
            let view = self.views.get(&k);
            if (view.is_some() || waiting.len() == BATCH) && !waiting.is_empty() {
                dispatches.push(Self::side_by_side(&waiting, waiting_from, rows, stride, caps)?);
                waiting.clear();
            }
            if let Some(view) = view {
                let part = whole.slice(axis, first, extent, 1);
                dispatches.push(copy::strided(view, &part, [Operand::Input(k), Operand::Output(0)], caps)?);
            } else {
                if waiting.is_empty() {
                    waiting_from = start;
                }
                waiting.push((k, width));
            }
            start += width;
            first += extent;
        }
        if !waiting.is_empty() {
            dispatches.push(Self::side_by_side(&waiting, waiting_from, rows, stride, caps)?);
        }
        Ok(vec![Lowering::dispatches("concat", dispatches)])
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
}
