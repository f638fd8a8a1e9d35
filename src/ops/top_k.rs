//! TopK: the largest or smallest elements along an axis, and where they stand.

use super::Registration;
use super::movement::{known, no_scalar, pick};
use super::scatter::scalar_number;
use super::select::compare_floats;
use crate::error::{Error, Result};
use crate::graph::{Fact, Io, Op, required};
use crate::kernel::{Access, Caps, Dispatch, Kernel, Lowering, Operand, params, shader};
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

const WORKGROUP: u32 = 64;

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

    fn candidates(&self, io: &Io, caps: &Caps) -> Result<Vec<Lowering>> {
        let (data, output) = (io.input(0)?, io.outputs[0]);
        if output.ty.elements() == 0 {
            return Ok(vec![Lowering::empty()]);
        }
        let scalar = data.scalar().ok_or_else(|| no_scalar(data))?;
        let (axis, count, _) = self.check(data.shape(), &known("TopK", &io.inputs, 1)?)?;
        let extent = data.shape()[axis];
        // Each lane goes once through its share of the row for each of the k results.
        let iterations = (count as u64).saturating_mul((extent as u64).div_ceil(WORKGROUP.into()) + 8);
        if iterations >= caps.max_loop.into() {
            return Err(Error::unsupported(format!("{iterations} iterations exceed the longest loop of {}", caps.max_loop)));
        }
        let params = TopKParams {
            extent: extent as u32,
            inner: data.shape().product(axis + 1..data.shape().rank()) as u32,
            rows: (output.ty.elements() / count) as u32,
            k: count as u32,
        };
        let kernel = Kernel::new(&TOP_K, &[Access::Read, Access::Write, Access::Write], [WORKGROUP, 1, 1])
            .set("SCALAR", scalar_number(scalar))
            .set("LARGEST", self.largest.into());
        let grid = Dispatch::linear_grid(params.rows.into(), caps)?;
        let bindings = vec![Operand::Input(0), Operand::Output(0), Operand::Output(1)];
        let dispatch = Dispatch::new(kernel, params, bindings, grid).work(0, data.gpu_bytes() * count as u64);
        Ok(vec![Lowering::dispatches("row_per_workgroup", vec![dispatch])])
    }
}
