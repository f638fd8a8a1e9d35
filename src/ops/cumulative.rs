//! CumSum and CumProd: running sums and products along an axis.

use super::Registration;
use super::movement::no_scalar;
use super::scatter::{Combine, scalar_number};
use crate::error::{Error, Result};
use crate::graph::{Fact, Io, Op, required};
use crate::kernel::{Access, Caps, Dispatch, Kernel, Lowering, Operand, params, preludes, shader};
use crate::tensor::{Scalar, Tensor};
use std::sync::Arc;

params! {
    /// Parameters of `cumulative.wgsl`.
    struct CumulativeParams {
        extent: u32,
        inner: u32,
        rows: u32,
    }
}

shader!(static CUMULATIVE: CumulativeParams = "cumulative");

/// The operators of this file.
pub static REGISTRATION: Registration = Registration { operators: &["CumSum", "CumProd"], shaders: &[&CUMULATIVE] };

const WORKGROUP: u32 = 64;

/// ONNX CumSum and CumProd: input 1 is the axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Cumulative {
    /// Products instead of sums.
    pub product: bool,
    /// Leave the element itself out.
    pub exclusive: bool,
    /// Start from the end.
    pub reverse: bool,
}

/// Running sums along the axis in input 1.
pub fn cum_sum(exclusive: bool, reverse: bool) -> Arc<dyn Op> {
    Arc::new(Cumulative { product: false, exclusive, reverse })
}

/// Running products along the axis in input 1.
pub fn cum_prod(exclusive: bool, reverse: bool) -> Arc<dyn Op> {
    Arc::new(Cumulative { product: true, exclusive, reverse })
}

impl Op for Cumulative {
    fn name(&self) -> &'static str {
        if self.product { "CumProd" } else { "CumSum" }
    }

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let data = required(self.name(), inputs, 0)?;
        let axis = required(self.name(), inputs, 1)?;
        if axis.ty.elements() != 1 || axis.dtype().is_float() {
            return Err(Error::invalid_model(format!("{} expects one integer as its axis, found {}", self.name(), axis.ty)));
        }
        let mut bounds = None;
        if let (Some((low, high)), false) = (data.bounds(), self.product) {
            let extent = match axis.value.as_ref().and_then(|a| a.to_i64().first().copied()) {
                Some(axis) => data.shape()[data.shape().axis(axis)?],
                None => data.shape().iter().copied().max().unwrap_or(1),
            };
            let sums = low.min(0).checked_mul(extent as i128).zip(high.max(0).checked_mul(extent as i128));
            // Beyond the dtype's range it wraps, and nothing is known.
            bounds = sums.filter(|s| data.dtype().range().is_some_and(|r| s.0 >= r.0 && s.1 <= r.1));
        }
        Ok(vec![Fact { ty: data.ty.clone(), value: None, bounds }])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let data = required(self.name(), inputs, 0)?;
        let axis = required(self.name(), inputs, 1)?.to_i64().first().copied().unwrap_or(0);
        let axis = data.shape().axis(axis)?;
        let (extent, inner) = (data.shape()[axis], data.shape().product(axis + 1..data.shape().rank()));
        let order = |row: usize| {
            let start = row / inner * extent * inner + row % inner;
            (0..extent).map(move |k| start + if self.reverse { extent - 1 - k } else { k } * inner)
        };
        let rows = data.elements().checked_div(extent).unwrap_or(0);
        if data.dtype().is_float() {
            let combine = |a: f64, b: f64| if self.product { a * b } else { a + b };
            let mut values = data.to_f64();
            for row in 0..rows {
                let mut total = f64::from(u8::from(self.product));
                for place in order(row) {
                    let next = combine(total, values[place]);
                    values[place] = if self.exclusive { total } else { next };
                    total = next;
                }
            }
            Ok(vec![Tensor::from_f64(data.ty().clone(), &values)?])
        } else {
            let combine = |a: i128, b: i128| if self.product { a.wrapping_mul(b) } else { a.wrapping_add(b) };
            let mut values = data.to_i128();
            for row in 0..rows {
                let mut total = i128::from(self.product);
                for place in order(row) {
                    let next = combine(total, values[place]);
                    values[place] = if self.exclusive { total } else { next };
                    total = next;
                }
            }
            Ok(vec![Tensor::from_i128(data.ty().clone(), &values)?])
        }
    }

    fn candidates(&self, io: &Io, caps: &Caps) -> Result<Vec<Lowering>> {
        let (data, output) = (io.input(0)?, io.outputs[0]);
        if output.ty.elements() == 0 {
            return Ok(vec![Lowering::empty()]);
        }
        let Some(scalar) = data.scalar().filter(|s| output.scalar() == Some(*s)) else { return Err(no_scalar(output)) };
        let axis = io.input(1)?.value.as_ref().and_then(|a| a.to_i64().first().copied());
        let axis = axis.ok_or_else(|| Error::unsupported(format!("the axis of {} is not known before the run", self.name())))?;
        let axis = data.shape().axis(axis)?;
        let extent = data.shape()[axis];
        if extent >= caps.max_loop as usize {
            return Err(Error::unsupported(format!("{extent} steps in sequence exceed the longest loop of {}", caps.max_loop)));
        }
        let params = CumulativeParams {
            extent: extent as u32,
            inner: data.shape().product(axis + 1..data.shape().rank()) as u32,
            rows: (data.ty.elements() / extent) as u32,
        };
        let one = if scalar == Scalar::F32 { 1f32.to_bits() } else { 1 };
        let combine = if self.product { Combine::Mul } else { Combine::Add };
        let kernel = Kernel::new(&CUMULATIVE, &[Access::Read, Access::Write], [WORKGROUP, 1, 1])
            .prelude(&preludes::COMBINE)
            .set("SCALAR", scalar_number(scalar))
            .set("REDUCTION", combine as u32)
            .set("START", if self.product { one } else { 0 })
            .set("EXCLUSIVE", self.exclusive.into())
            .set("REVERSE", self.reverse.into());
        let grid = Dispatch::linear_grid(u64::from(params.rows).div_ceil(WORKGROUP.into()), caps)?;
        let bindings = vec![Operand::Input(0), Operand::Output(0)];
        let dispatch = Dispatch::new(kernel, params, bindings, grid).work(data.ty.elements() as u64, 2 * data.gpu_bytes());
        Ok(vec![Lowering::dispatches("row_per_invocation", vec![dispatch])])
    }
}
