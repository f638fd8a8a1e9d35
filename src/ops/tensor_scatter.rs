//! TensorScatter: the cache of keys or values, with new rows at a position that is data.

use super::Registration;
use super::check_write_indices::check_write_indices;
use super::compose::Compose;
use super::copy;
use super::gather::gather_elements;
use super::shared::{WORKGROUP, around, in_units, no_scalar, one_each, union, unit};
use crate::error::{Error, Result};
use crate::graph::{Fact, Gradient, Io, Node, Op, ValueId, Writer, required};
use crate::kernel::{Access, Caps, Dispatch, Kernel, Lowering, Offers, Operand, params, preludes, shader, u32s};
use crate::tensor::{DType, Scalar, Tensor, TensorType, View};
use std::sync::Arc;

params! {
    /// Parameters of `tensor_scatter.wgsl`.
    struct TensorScatterParams {
        shared_by: u32,
        capacity: u32,
        length: u32,
        inner: u32,
        count: u32,
    }
}

shader!(static TENSOR_SCATTER: TensorScatterParams = "tensor_scatter");

/// The operator of this file.
pub static REGISTRATION: Registration = Registration { operators: &[NAME], shaders: &[&TENSOR_SCATTER] };

const NAME: &str = "TensorScatter";

/// ONNX TensorScatter: the rows of input 1 replace as many of the cache, input 0, along an axis: from the row on that input 2 names
/// for each batch element, or from the first. Where an index may leave no room, input 3 says whether none does
/// ([`CheckWriteIndices`](super::check_write_indices::CheckWriteIndices)); nothing is written where one does.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorScatter {
    /// The axis of the rows, not the first, which is the batch.
    pub axis: i64,
    /// Rows that pass the end go on at the start. Otherwise there must be none.
    pub circular: bool,
}

/// Input 0, a cache, with the rows in input 1 written along an axis, from the row on that input 2 names for each batch element.
pub fn tensor_scatter(axis: i64, circular: bool) -> Arc<dyn Op> {
    Arc::new(TensorScatter { axis, circular })
}

/// What the axis makes of the shapes: `[batch * shared_by, capacity, inner]` and `[batch * shared_by, length, inner]`.
struct Rows {
    batch: usize,
    shared_by: usize,
    capacity: usize,
    length: usize,
    inner: usize,
}

impl TensorScatter {
    fn rows(&self, cache: &TensorType, update: &TensorType, indices: Option<&TensorType>) -> Result<Rows> {
        let axis = cache.shape.axis(self.axis)?;
        let others = |ty: &TensorType| ty.shape.iter().enumerate().filter(|(k, _)| *k != axis).map(|(_, d)| *d).collect::<Vec<_>>();
        let alike = cache.dtype == update.dtype && cache.shape.rank() == update.shape.rank() && others(cache) == others(update);
        if axis == 0 || !alike || update.shape[axis] > cache.shape[axis] {
            return Err(Error::invalid_model(format!(
                "{NAME} expects a cache and an update that differ along axis {axis} alone, which is not the first and of which the \
                 cache has no less, found {cache} and {update}"
            )));
        }
        let batch = cache.shape[0];
        if let Some(indices) = indices
            && (!matches!(indices.dtype, DType::I32 | DType::I64) || indices.shape[..] != [batch])
        {
            return Err(Error::invalid_model(format!("{NAME} expects write indices of i32 or i64 [{batch}], found {indices}")));
        }
        let (_, capacity, inner) = around(&cache.shape, axis);
        Ok(Rows { batch, shared_by: cache.shape.product(1..axis), capacity, length: update.shape[axis], inner })
    }

    /// Where the rows of each batch element begin.
    fn starts(&self, rows: &Rows, indices: Option<&Tensor>) -> Result<Vec<usize>> {
        let Some(indices) = indices else { return Ok(vec![0; rows.batch]) };
        let (capacity, last) = (rows.capacity as i64, (rows.capacity - rows.length) as i64);
        let start = |index: i64| match index {
            _ if rows.capacity == 0 => Ok(0),
            _ if self.circular => Ok(index.rem_euclid(capacity) as usize),
            _ if (0..=last).contains(&index) => Ok(index as usize),
            _ => Err(Error::invalid_input(format!(
                "{NAME} has no room for {} rows at write index {index} of a cache of capacity {capacity}",
                rows.length
            ))),
        };
        indices.to_i64().into_iter().map(start).collect()
    }

    /// The kernel that writes the rows into what is bound last.
    fn write(&self, io: &Io, cache: Operand, caps: &Caps) -> Result<Dispatch> {
        let indices = io.optional(2);
        let update = io.input(1)?;
        let rows = self.rows(&io.input(0)?.ty, &update.ty, indices.map(|fact| &fact.ty))?;
        let unit = unit([rows.inner]);
        let groups = update.ty.elements() / unit;
        let [shared_by, capacity, length] = u32s([rows.shared_by, rows.capacity, rows.length])?;
        let [inner, count] = u32s([rows.inner / unit, groups])?;
        let params = TensorScatterParams { shared_by, capacity, length, inner, count };
        let kernel = Kernel::new(&TENSOR_SCATTER, &[Access::Read, Access::Read, Access::Read, Access::Write], [WORKGROUP, 1, 1])
            .prelude(&preludes::DIVIDE)
            .set("INDEXED", indices.is_some().into())
            .set("GUARDED", io.optional(3).is_some().into())
            .set("CIRCULAR", self.circular.into());
        let optional = |k: usize| io.optional(k).map_or(Operand::Nothing, |_| Operand::Input(k));
        let bindings = vec![Operand::Input(1), optional(2), optional(3), cache];
        Ok(one_each(in_units(kernel, unit), params, groups, bindings, caps)?.work(0, 2 * update.gpu_bytes()))
    }
}

impl Op for TensorScatter {
    fn name(&self) -> &'static str {
        NAME
    }

    crate::attributes!(axis, circular);

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let (cache, update) = (required(NAME, inputs, 0)?, required(NAME, inputs, 1)?);
        self.rows(&cache.ty, &update.ty, inputs.get(2).copied().flatten().map(|fact| &fact.ty))?;
        let bounds = if update.ty.elements() == 0 { cache.bounds } else { union(cache.bounds(), update.bounds()) };
        Ok(vec![Fact { ty: cache.ty.clone(), value: None, bounds }])
    }

    fn expand(&self, node: &Node, inputs: &[Option<&Fact>], writer: &mut Writer) -> Result<Option<Vec<ValueId>>> {
        let (Some(indices), None) = (node.input(2), node.input(3)) else { return Ok(None) };
        let fact = |k: usize| inputs.get(k).copied().flatten().map(|fact| &fact.ty);
        let rows = self.rows(&required(NAME, inputs, 0)?.ty, &required(NAME, inputs, 1)?.ty, fact(2))?;
        if self.circular || rows.capacity == 0 {
            return Ok(None);
        }
        let fits = writer.apply(check_write_indices(rows.capacity, rows.length), &[indices])?;
        let inputs = [node.input(0), node.input(1), Some(indices), Some(fits)];
        Ok(Some(writer.apply_all(Arc::new(self.clone()), &inputs, 1)?))
    }

    fn updates(&self, _: &[Option<&Fact>]) -> Option<(usize, usize)> {
        Some((0, 0))
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let (cache, update) = (required(NAME, inputs, 0)?, required(NAME, inputs, 1)?);
        let indices = inputs.get(2).copied().flatten();
        let rows = self.rows(cache.ty(), update.ty(), indices.map(Tensor::ty))?;
        let size = rows.inner * cache.dtype().size();
        let mut bytes = cache.bytes().to_vec();
        for (batch, start) in self.starts(&rows, indices)?.into_iter().enumerate() {
            for outer in batch * rows.shared_by..(batch + 1) * rows.shared_by {
                for k in 0..rows.length {
                    // A start is less than the capacity, and so is what comes after it unless it wraps.
                    let (from, to) = (outer * rows.length + k, outer * rows.capacity + (start + k) % rows.capacity);
                    bytes[to * size..][..size].copy_from_slice(&update.bytes()[from * size..][..size]);
                }
            }
        }
        Ok(vec![Tensor::from_bytes(cache.ty().clone(), &bytes)?])
    }

    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        let (cache, update, output) = (io.input(0)?, io.input(1)?, io.outputs[0]);
        let scalar = cache.scalar().filter(|s| update.scalar() == Some(*s) && output.scalar() == Some(*s));
        if scalar.is_none() {
            return Err(no_scalar(output));
        }
        if let Some(indices) = io.optional(2).filter(|fact| fact.scalar() != Some(Scalar::I32)) {
            return Err(no_scalar(indices));
        }
        let caps = offers.caps();
        let has_rows = update.ty.elements() > 0;
        offers.add("in_place", 0, || match has_rows {
            true => Ok(Lowering::new(vec![self.write(io, Operand::Updated, caps)?])),
            false => Err(Error::unsupported("there is nothing to write")),
        });
        offers.add("copy", 1, || {
            let whole = View::contiguous(cache.shape());
            let mut dispatches = vec![copy::strided(&whole, &whole, [Operand::Input(0), Operand::Output(0)], caps)?];
            if has_rows {
                dispatches.push(self.write(io, Operand::Output(0), caps)?);
            }
            Ok(Lowering::new(dispatches))
        });
        Ok(())
    }

    fn gradient(&self, node: &Node, upstream: &[Option<ValueId>], wanted: &[bool], writer: &mut Writer) -> Result<Gradient> {
        let Some(worth) = upstream.first().copied().flatten() else { return Ok(Gradient::Zero) };
        let (cache, update) = (writer.fact(worth)?.ty.clone(), writer.fact(node.needed(1)?)?.ty.clone());
        let is_wanted = |k: usize| wanted.get(k).copied().unwrap_or(false);
        let of_cache = match is_wanted(0) {
            true => {
                let zeros = writer.zeros(update.dtype, &update.shape)?;
                let mut inputs = node.inputs.clone();
                inputs.splice(0..2, [Some(worth), Some(zeros)]);
                writer.apply_all(Arc::new(self.clone()), &inputs, 1)?.first().copied()
            }
            false => None,
        };
        let axis = cache.shape.axis(self.axis)?;
        let of_update = match (is_wanted(1), node.input(2)) {
            (false, _) => None,
            (true, None) => Some(writer.sliced(worth, axis, 0, update.shape[axis], 1)?),
            (true, Some(indices)) => {
                let dtype = writer.fact(indices)?.dtype();
                let along = |at: usize, extent: usize| {
                    let mut dims = vec![1; update.shape.rank()];
                    dims[at] = extent;
                    dims
                };
                let steps: Vec<i128> = (0..).take(update.shape[axis]).collect();
                let steps = Tensor::from_i128(TensorType::new(dtype, along(axis, update.shape[axis])), &steps)?;
                let steps = writer.tensor(steps);
                let starts = writer.reshape(indices, &along(0, update.shape[0]))?;
                let mut rows = writer.function("Add", &[starts, steps])?;
                if self.circular {
                    rows = writer.with_number("Mod", rows, cache.shape[axis] as f64)?;
                }
                let rows = writer.stretched(rows, &update.shape)?;
                Some(writer.apply(gather_elements(axis as i64), &[worth, rows])?)
            }
        };
        let mut found = vec![None; wanted.len()];
        found.splice(0..2, [of_cache, of_update]);
        Ok(Gradient::Inputs(found))
    }
}
