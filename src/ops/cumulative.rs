//! CumSum and CumProd: running sums and products along an axis.

use super::Registration;
use super::compose::Compose;
use super::scatter::Combine;
use super::shared::{WORKGROUP, around, no_scalar, one_each, scalar_number};
use crate::error::{Error, Result};
use crate::graph::{Fact, Gradient, Io, Node, Op, ValueId, Writer, required};
use crate::kernel::{Access, Kernel, Lowering, Offers, Operand, params, preludes, shader, u32s};
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

impl Cumulative {
    /// The running totals of one row, in place of its values.
    fn run<T: Copy>(&self, values: &mut [T], row: impl Iterator<Item = usize>, start: T, combine: impl Fn(T, T) -> T) {
        let mut total = start;
        for place in row {
            let next = combine(total, values[place]);
            values[place] = if self.exclusive { total } else { next };
            total = next;
        }
    }
}

impl Op for Cumulative {
    fn name(&self) -> &'static str {
        if self.product { "CumProd" } else { "CumSum" }
    }

    crate::attributes!(product, exclusive, reverse);

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
        let (_, extent, inner) = around(data.shape(), axis);
        let order = |row: usize| {
            let start = row / inner * extent * inner + row % inner;
            (0..extent).map(move |k| start + if self.reverse { extent - 1 - k } else { k } * inner)
        };
        let rows = data.elements().checked_div(extent).unwrap_or(0);
        if data.dtype().is_float() {
            let combine = |a: f64, b: f64| if self.product { a * b } else { a + b };
            let mut values = data.to_f64();
            let start = if self.product { 1.0 } else { 0.0 };
            (0..rows).for_each(|row| self.run(&mut values, order(row), start, combine));
            Ok(vec![Tensor::from_f64(data.ty().clone(), &values)?])
        } else {
            let combine = |a: i128, b: i128| if self.product { a.wrapping_mul(b) } else { a.wrapping_add(b) };
            let mut values = data.to_i128();
            (0..rows).for_each(|row| self.run(&mut values, order(row), i128::from(self.product), combine));
            Ok(vec![Tensor::from_i128(data.ty().clone(), &values)?])
        }
    }

    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        let (data, output) = (io.input(0)?, io.outputs[0]);
        let Some(scalar) = data.scalar().filter(|s| output.scalar() == Some(*s)) else { return Err(no_scalar(output)) };
        let axis = io.input(1)?.value.as_ref().and_then(|a| a.to_i64().first().copied());
        let axis = axis.ok_or_else(|| Error::unsupported(format!("the axis of {} is not known before the run", self.name())))?;
        let (outer, length, stride) = around(data.shape(), data.shape().axis(axis)?);
        let caps = offers.caps();
        offers.only("row_per_invocation", || {
            let [extent, inner, rows] = u32s([length, stride, outer * stride])?;
            let params = CumulativeParams { extent, inner, rows };
            let one = if scalar == Scalar::F32 { 1f32.to_bits() } else { 1 };
            let combine = if self.product { Combine::Mul } else { Combine::Add };
            let kernel = Kernel::new(&CUMULATIVE, &[Access::Read, Access::Write], [WORKGROUP, 1, 1])
                .prelude(&preludes::COMBINE)
                .set("SCALAR", scalar_number(scalar))
                .set("REDUCTION", combine as u32)
                .set("START", if self.product { one } else { 0 })
                .set("EXCLUSIVE", self.exclusive.into())
                .set("REVERSE", self.reverse.into());
            let bindings = vec![Operand::Input(0), Operand::Output(0)];
            let dispatch = one_each(kernel, params, outer * stride, bindings, caps)?;
            Ok(Lowering::new(vec![dispatch.turns(length).work(data.ty.elements() as u64, 2 * data.gpu_bytes())]))
        });
        Ok(())
    }

    fn gradient(&self, node: &Node, upstream: &[Option<ValueId>], _: &[bool], writer: &mut Writer) -> Result<Gradient> {
        let (Some(worth), Some(y)) = (upstream.first().copied().flatten(), node.outputs.first().copied().flatten()) else {
            return Ok(Gradient::Zero);
        };
        let axis = node.needed(1)?;
        let back = cum_sum(self.exclusive, !self.reverse);
        if !self.product {
            return Ok(Gradient::Inputs(vec![Some(writer.apply(back, &[worth, axis])?), None]));
        }
        let x = node.needed(0)?;
        let dtype = writer.fact(x)?.dtype();
        // Of the zeros the first alone counts: what comes after it is worth nothing, and it itself is worth the products without it.
        let zero = writer.with_number("Equal", x, 0.0)?;
        let zeros = writer.counted(zero, dtype)?;
        let zeros = writer.apply(cum_sum(false, self.reverse), &[zeros, axis])?;
        let one = writer.number(dtype, 1.0)?;
        let single = writer.with_number("Equal", zeros, 1.0)?;
        let first = writer.function("And", &[zero, single])?;
        let factors = writer.chosen(first, one, x)?;
        let products = writer.apply(cum_prod(self.exclusive, self.reverse), &[factors, axis])?;
        let mut sums = [y, products];
        for sum in &mut sums {
            let product = writer.function("Mul", &[worth, *sum])?;
            *sum = writer.apply(back.clone(), &[product, axis])?;
        }
        let before = writer.function("Div", &[sums[0], factors])?;
        let none = writer.with_number("Equal", zeros, 0.0)?;
        let before = writer.kept(none, before)?;
        Ok(Gradient::Inputs(vec![Some(writer.chosen(first, sums[1], before)?), None]))
    }
}
