//! TopK: the largest or smallest elements along an axis, and where they stand.

use super::Registration;
use super::compose::Compose;
use super::scatter::scatter_elements;
use super::shared::{WORKGROUP, around, compare_floats, known, no_scalar, pick, scalar_number};
use crate::error::{Error, Result};
use crate::graph::{Fact, Gradient, Io, Node, Op, ValueId, Writer, required};
use crate::kernel::{Access, Dispatch, Kernel, Lowering, Offers, Operand, params, shader, u32s};
use crate::tensor::{DType, Shape, Tensor};
use std::sync::Arc;

params! {
    /// Parameters of `top_k.wgsl`.
    struct TopKParams {
        extent: u32,
        inner: u32,
        rows: u32,
        k: u32,
    }
}

shader!(static TOP_K: TopKParams = "top_k");

/// The operator of this file.
pub static REGISTRATION: Registration = Registration { operators: &["TopK"], shaders: &[&TOP_K] };

/// ONNX TopK: input 1 is how many. They come in order, the lower index first among equals; NaN counts as the largest.
#[derive(Clone, Debug, PartialEq)]
pub struct TopK {
    /// The axis to search.
    pub axis: i64,
    /// The largest, instead of the smallest.
    pub largest: bool,
}

/// The largest or smallest elements along an axis, as many as input 1 says.
pub fn top_k(axis: i64, largest: bool) -> Arc<dyn Op> {
    Arc::new(TopK { axis, largest })
}

impl TopK {
    /// The axis, how many, and the output's shape.
    fn check(&self, data: &Shape, k: &[i64]) -> Result<(usize, usize, Shape)> {
        let axis = data.axis(self.axis)?;
        let count = match k {
            [k] => usize::try_from(*k).ok().filter(|k| *k <= data[axis]),
            _ => None,
        };
        let count =
            count.ok_or_else(|| Error::invalid_model(format!("TopK expects one number from 0 to {}, found {k:?}", data[axis])))?;
        let mut dims = data.to_vec();
        dims[axis] = count;
        Ok((axis, count, dims.into()))
    }
}

impl Op for TopK {
    fn name(&self) -> &'static str {
        "TopK"
    }

    crate::attributes!(axis, largest);

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let data = required("TopK", inputs, 0)?;
        let (axis, _, shape) = self.check(data.shape(), &known("TopK", inputs, 1)?)?;
        let last = (data.shape()[axis] as i128 - 1).max(0);
        Ok(vec![Fact::new(data.dtype(), shape.clone()).bounded(data.bounds), Fact::new(DType::I64, shape).bounded(Some((0, last)))])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let data = required("TopK", inputs, 0)?;
        let (axis, count, shape) = self.check(data.shape(), &required("TopK", inputs, 1)?.to_i64())?;
        let (extent, inner) = (data.shape()[axis], data.shape().product(axis + 1..data.shape().rank()));
        let (floats, integers) = if data.dtype().is_float() { (data.to_f64(), vec![]) } else { (vec![], data.to_i128()) };
        let mut indices = vec![0i64; shape.elements()];
        let mut positions = vec![None; shape.elements()];
        let rows = shape.elements().checked_div(count).unwrap_or(0);
        for row in 0..rows {
            let (outer, column) = (row / inner, row % inner);
            let place = |k: &usize| (outer * extent + k) * inner + column;
            let mut order: Vec<usize> = (0..extent).collect();
            order.sort_by(|a, b| {
                let (a, b) = if self.largest { (place(b), place(a)) } else { (place(a), place(b)) };
                if integers.is_empty() { compare_floats(floats[a], floats[b]) } else { integers[a].cmp(&integers[b]) }
            });
            for (k, index) in order.iter().take(count).enumerate() {
                let at = (outer * count + k) * inner + column;
                indices[at] = *index as i64;
                positions[at] = Some(place(index));
            }
        }
        Ok(vec![pick(data, None, &shape, positions)?, Tensor::new(shape, &indices)?])
    }

    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        let data = io.input(0)?;
        let scalar = data.scalar().ok_or_else(|| no_scalar(data))?;
        let (axis, count, _) = self.check(data.shape(), &known("TopK", &io.inputs, 1)?)?;
        let (outer, length, stride) = around(data.shape(), axis);
        let caps = offers.caps();
        offers.only("row_per_workgroup", || {
            let [extent, inner, rows, k] = u32s([length, stride, outer * stride, count])?;
            let kernel = Kernel::new(&TOP_K, &[Access::Read, Access::Write, Access::Write], [WORKGROUP, 1, 1])
                .set("SCALAR", scalar_number(scalar))
                .set("LARGEST", self.largest.into());
            let grid = Dispatch::linear_grid(rows.into(), caps)?;
            let bindings = vec![Operand::Input(0), Operand::Output(0), Operand::Output(1)];
            let dispatch = Dispatch::new(kernel, TopKParams { extent, inner, rows, k }, bindings, grid);
            // Each lane goes once through its share of the row for each of the k results.
            let turns = count.saturating_mul(length.div_ceil(WORKGROUP as usize) + 10);
            Ok(Lowering::new(vec![dispatch.turns(turns).work(0, data.gpu_bytes() * count as u64)]))
        });
        Ok(())
    }

    fn gradient(&self, node: &Node, upstream: &[Option<ValueId>], _: &[bool], writer: &mut Writer) -> Result<Gradient> {
        let Some(worth) = upstream.first().copied().flatten() else { return Ok(Gradient::Zero) };
        let indices = match node.outputs.get(1).copied().flatten() {
            Some(indices) => indices,
            None => {
                let outputs = writer.apply_all(Arc::new(self.clone()), &node.inputs, 2)?;
                outputs.last().copied().ok_or_else(|| Error::internal("TopK without indices"))?
            }
        };
        let data = writer.fact(node.needed(0)?)?.ty.clone();
        let zeros = writer.zeros(data.dtype, &data.shape)?;
        let found = writer.apply(scatter_elements(self.axis, None), &[zeros, indices, worth])?;
        Ok(Gradient::Inputs(vec![Some(found), None]))
    }
}
