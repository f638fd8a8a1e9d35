//! ArgMax and ArgMin: where along an axis the greatest or least value stands.

use super::Registration;
use super::softmax::around;
use crate::error::{Error, Result};
use crate::graph::{Fact, Io, Op, required};
use crate::kernel::{Access, AdapterClass, Caps, Dispatch, Kernel, Lowering, Operand, params, preludes, shader};
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

/// Invocations of a workgroup of the kernel.
const WORKGROUP: usize = 64;

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

    fn candidates(&self, io: &Io, caps: &Caps) -> Result<Vec<Lowering>> {
        let (x, y) = (io.input(0)?, io.outputs[0]);
        if y.ty.elements() == 0 {
            return Ok(vec![Lowering::empty()]);
        }
        let number = match x.scalar() {
            Some(Scalar::F32) => &preludes::NUMBER_F32,
            Some(Scalar::I32) => &preludes::NUMBER_I32,
            Some(Scalar::U32) => &preludes::NUMBER_U32,
            None => return Err(Error::unsupported(format!("{} of {x:?}", self.name()))),
        };
        let (outer, length, stride) = around(x.shape(), x.shape().axis(self.axis)?);
        let rows = outer * stride;
        let candidate = |lanes: usize, variant| -> Result<Option<Lowering>> {
            if length.div_ceil(lanes) > caps.max_loop as usize {
                return Ok(None);
            }
            let kernel = Kernel::new(&ARGREDUCE, &[Access::Read, Access::Write], [WORKGROUP as u32, 1, 1])
                .prelude(number)
                .set("LANES", lanes as u32)
                .set("GREATEST", u32::from(self.greatest))
                .set("LAST", u32::from(self.select_last_index));
            let params = ArgReduceParams { rows: rows as u32, length: length as u32, stride: stride as u32 };
            let grid = Dispatch::linear_grid((rows * lanes).div_ceil(WORKGROUP) as u64, caps)?;
            let dispatch = Dispatch::new(kernel, params, vec![Operand::Input(0), Operand::Output(0)], grid);
            let values = (rows * length) as u64;
            Ok(Some(Lowering::dispatches(variant, vec![dispatch.work(values, values * 4)])))
        };
        let (alone, shared) = (candidate(1, "alone")?, candidate(WORKGROUP, "shared")?);
        // Software adapters pay for barriers and gain nothing from neighbouring loads.
        let cheap = caps.class == AdapterClass::Cpu && rows >= 32;
        let order = if length <= 16 || cheap || (stride >= 8 && rows >= 256) { [alone, shared] } else { [shared, alone] };
        let candidates: Vec<Lowering> = order.into_iter().flatten().collect();
        if candidates.is_empty() {
            return Err(Error::unsupported(format!("{} along {length} values: more than a loop may take", self.name())));
        }
        Ok(candidates)
    }
}
