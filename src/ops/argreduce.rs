//! ArgMax and ArgMin: where along an axis the greatest or least value stands.

use super::Registration;
use super::shared::{WORKGROUP, around, number, one_each};
use crate::error::{Error, Result};
use crate::graph::{Fact, Gradient, Io, Node, Op, ValueId, Writer, required};
use crate::kernel::{Access, Caps, Kernel, Lowering, Offers, Operand, Rank, params, shader, u32s};
use crate::tensor::{DType, Scalar, Shape, Tensor, TensorType};
use std::sync::Arc;

pub(super) static REGISTRATION: Registration = Registration { operators: &["ArgMax", "ArgMin"], shaders: &[&ARGREDUCE] };

params! {
    /// Parameters of the kernel.
    struct ArgReduceParams {
        rows: u32,
        length: u32,
        stride: u32,
    }
}

shader!(static ARGREDUCE: ArgReduceParams = "argreduce");

/// The rows of values that are searched, each along one axis.
#[derive(Clone, Copy)]
struct SearchedRows {
    count: usize,
    length: usize,
    /// From one value of a row to the next.
    stride: usize,
}

/// The order of preference, the smallest rank first.
struct Ranks {
    /// A row for each invocation.
    alone: Rank,
    /// A row for each workgroup.
    shared: Rank,
}

impl SearchedRows {
    fn new(shape: &Shape, axis: usize) -> Self {
        let (outer, length, stride) = around(shape, axis);
        SearchedRows { count: outer * stride, length, stride }
    }

    /// Rows that are short, or side by side and many, are best walked by an invocation each: it loads beside its neighbours.
    fn ranks(&self, caps: &Caps) -> Ranks {
        let side_by_side = self.stride >= 8 && self.count >= 256;
        if self.length <= 16 || side_by_side || caps.walks_rows_alone(self.count) {
            Ranks { alone: 0, shared: 1 }
        } else {
            Ranks { shared: 0, alone: 1 }
        }
    }
}

/// The index of an extreme value along one axis, as int64.
#[derive(Clone, Debug)]
pub struct ArgReduce {
    /// The greatest instead of the least.
    pub greatest: bool,
    /// The axis; negative counts from the end.
    pub axis: i64,
    /// The axis stays with extent 1.
    pub keepdims: bool,
    /// Of equal values the last counts instead of the first.
    pub select_last_index: bool,
}

/// The ONNX operator ArgMax.
pub fn arg_max(axis: i64, keepdims: bool, select_last_index: bool) -> Arc<dyn Op> {
    Arc::new(ArgReduce { greatest: true, axis, keepdims, select_last_index })
}

/// The ONNX operator ArgMin.
pub fn arg_min(axis: i64, keepdims: bool, select_last_index: bool) -> Arc<dyn Op> {
    Arc::new(ArgReduce { greatest: false, axis, keepdims, select_last_index })
}

impl ArgReduce {
    fn shape(&self, shape: &Shape, axis: usize) -> Shape {
        let mut dims = shape.to_vec();
        if self.keepdims {
            dims[axis] = 1;
        } else {
            dims.remove(axis);
        }
        dims.into()
    }

    /// The kernel with so many invocations for a row.
    fn dispatch(&self, rows: SearchedRows, scalar: Scalar, lanes: usize, caps: &Caps) -> Result<Lowering> {
        let [count, length, stride, own] = u32s([rows.count, rows.length, rows.stride, lanes])?;
        let kernel = Kernel::new(&ARGREDUCE, &[Access::Read, Access::Write], [WORKGROUP, 1, 1])
            .set("LANES", own)
            .set("GREATEST", self.greatest.into())
            .set("LAST", self.select_last_index.into());
        let params = ArgReduceParams { rows: count, length, stride };
        let bindings = vec![Operand::Input(0), Operand::Output(0)];
        let values = (rows.count * rows.length) as u64;
        let dispatch = one_each(number(kernel, scalar), params, rows.count * lanes, bindings, caps)?;
        Ok(Lowering::new(vec![dispatch.turns(rows.length.div_ceil(lanes)).work(values, values * 4)]))
    }

    /// The index of the extreme among values of which `better` says whether the first beats the second.
    fn index<T: Copy>(&self, values: impl Iterator<Item = T>, better: impl Fn(T, T) -> bool) -> usize {
        let mut best: Option<(usize, T)> = None;
        for (k, x) in values.enumerate() {
            let wins = best.is_none_or(|(_, b)| if self.select_last_index { !better(b, x) } else { better(x, b) });
            if wins {
                best = Some((k, x));
            }
        }
        best.map_or(0, |(k, _)| k)
    }
}

impl Op for ArgReduce {
    fn name(&self) -> &'static str {
        if self.greatest { "ArgMax" } else { "ArgMin" }
    }

    crate::attributes!(greatest, axis, keepdims, select_last_index);

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let x = required(self.name(), inputs, 0)?;
        let axis = x.shape().axis(self.axis)?;
        let shape = self.shape(x.shape(), axis);
        let length = x.shape()[axis];
        if length == 0 && shape.elements() > 0 {
            return Err(Error::invalid_model(format!("{} along axis {axis} of {} has nothing to choose from", self.name(), x.ty)));
        }
        Ok(vec![Fact::new(DType::I64, shape).bounded(Some((0, (length as i128 - 1).max(0))))])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let x = required(self.name(), inputs, 0)?;
        let axis = x.shape().axis(self.axis)?;
        let (outer, length, inner) = around(x.shape(), axis);
        let at = |row: usize, k: usize| ((row / inner) * length + k) * inner + row % inner;
        let rows = 0..outer * inner;
        let out: Vec<i128> = if x.dtype().is_float() {
            let data = x.to_f64();
            // A NaN is the most extreme value, as in numpy.
            let better = |a: f64, b: f64| if self.greatest { a > b } else { a < b } || (a.is_nan() && !b.is_nan());
            rows.map(|r| self.index((0..length).map(|k| data[at(r, k)]), better) as i128).collect()
        } else {
            let data = x.to_i128();
            let better = |a: i128, b: i128| if self.greatest { a > b } else { a < b };
            rows.map(|r| self.index((0..length).map(|k| data[at(r, k)]), better) as i128).collect()
        };
        Ok(vec![Tensor::from_i128(TensorType::new(DType::I64, self.shape(x.shape(), axis)), &out)?])
    }

    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        let x = io.input(0)?;
        let scalar = x.scalar().ok_or_else(|| Error::unsupported(format!("{} of {x:?}", self.name())))?;
        let rows = SearchedRows::new(x.shape(), x.shape().axis(self.axis)?);
        let ranks = rows.ranks(offers.caps());
        let caps = offers.caps();
        offers.add("alone", ranks.alone, || self.dispatch(rows, scalar, 1, caps));
        offers.add("shared", ranks.shared, || self.dispatch(rows, scalar, WORKGROUP as usize, caps));
        Ok(())
    }

    fn gradient(&self, _: &Node, _: &[Option<ValueId>], _: &[bool], _: &mut Writer) -> Result<Gradient> {
        Ok(Gradient::Zero)
    }
}
