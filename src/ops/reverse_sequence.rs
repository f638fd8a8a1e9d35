//! ReverseSequence: the start of each sequence of a batch, reversed in time.

use super::Registration;
use super::shared::{WORKGROUP, in_units, on_gpu, one_each, pick, unit};
use crate::error::{Error, Result};
use crate::graph::{Fact, Gradient, Io, Node, Op, ValueId, Writer, required};
use crate::kernel::{Access, Kernel, Lowering, Offers, Operand, params, shader, u32s};
use crate::tensor::{DType, Shape, Tensor};
use std::sync::Arc;

params! {
    /// Parameters of `reverse_sequence.wgsl`.
    struct ReverseParams {
        outer: u32,
        second: u32,
        inner: u32,
        count: u32,
    }
}

shader!(static REVERSE: ReverseParams = "reverse_sequence");

/// The operator of this file.
pub static REGISTRATION: Registration = Registration { operators: &["ReverseSequence"], shaders: &[&REVERSE] };

/// ONNX ReverseSequence: input 1 says how many elements of each sequence are reversed; the others stay.
#[derive(Clone, Debug, PartialEq)]
pub struct ReverseSequence {
    /// Which of the first two axes is time, 0 or 1; the other is the batch.
    pub time_axis: i64,
    /// The other one.
    pub batch_axis: i64,
}

/// Sequences reversed up to the lengths in input 1.
pub fn reverse_sequence(time_axis: i64, batch_axis: i64) -> Arc<dyn Op> {
    Arc::new(ReverseSequence { time_axis, batch_axis })
}

impl ReverseSequence {
    /// The axis of time, after a check.
    fn check(&self, data: &Shape, lengths: &Shape) -> Result<usize> {
        let axes = match (self.time_axis, self.batch_axis) {
            (0, 1) => Some((0, 1)),
            (1, 0) => Some((1, 0)),
            _ => None,
        };
        match axes {
            Some((time, batch)) if data.rank() >= 2 && lengths[..] == [data[batch]] => Ok(time),
            _ => Err(Error::invalid_model(format!(
                "ReverseSequence expects axes 0 and 1 and one length for each sequence, found time {}, batch {}, data {data}, lengths {lengths}",
                self.time_axis, self.batch_axis
            ))),
        }
    }
}

impl Op for ReverseSequence {
    fn name(&self) -> &'static str {
        "ReverseSequence"
    }

    crate::attributes!(time_axis, batch_axis);

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let (data, lengths) = (required("ReverseSequence", inputs, 0)?, required("ReverseSequence", inputs, 1)?);
        self.check(data.shape(), lengths.shape())?;
        if !matches!(lengths.dtype(), DType::I64 | DType::I32) {
            return Err(Error::invalid_model(format!("ReverseSequence expects lengths of i64, found {}", lengths.ty)));
        }
        Ok(vec![Fact { ty: data.ty.clone(), value: None, bounds: data.bounds }])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let (data, lengths) = (required("ReverseSequence", inputs, 0)?, required("ReverseSequence", inputs, 1)?);
        let time = self.check(data.shape(), lengths.shape())?;
        let lengths = lengths.to_i64();
        let steps = data.shape()[time] as i64;
        if let Some(length) = lengths.iter().find(|n| !(0..=steps).contains(*n)) {
            return Err(Error::invalid_input(format!("a sequence length of {length}: expected 0 to {steps}")));
        }
        let (second, inner) = (data.shape()[1], data.shape().product(2..data.shape().rank()));
        let source = |place: usize| {
            let mut index = [place / inner / second, place / inner % second];
            let length = lengths[index[1 - time]] as usize;
            if index[time] < length {
                index[time] = length - 1 - index[time];
            }
            Some((index[0] * second + index[1]) * inner + place % inner)
        };
        Ok(vec![pick(data, None, data.shape(), (0..data.elements()).map(source))?])
    }

    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        let (data, lengths) = (io.input(0)?, io.input(1)?);
        on_gpu(data, lengths)?;
        let time = self.check(data.shape(), lengths.shape())?;
        let caps = offers.caps();
        offers.only("reverse_sequence", || {
            let run = data.shape().product(2..data.shape().rank());
            let unit = unit([run]);
            let groups = data.ty.elements() / unit;
            let [outer, second, inner, count, time] = u32s([data.shape()[0], data.shape()[1], run / unit, groups, time])?;
            let kernel = Kernel::new(&REVERSE, &[Access::Read, Access::Read, Access::Write], [WORKGROUP, 1, 1]);
            let kernel = in_units(kernel, unit).set("TIME_AXIS", time);
            let bindings = vec![Operand::Input(0), Operand::Input(1), Operand::Output(0)];
            let dispatch = one_each(kernel, ReverseParams { outer, second, inner, count }, groups, bindings, caps)?;
            Ok(Lowering::new(vec![dispatch.work(0, 2 * data.gpu_bytes())]))
        });
        Ok(())
    }

    fn gradient(&self, node: &Node, upstream: &[Option<ValueId>], _: &[bool], writer: &mut Writer) -> Result<Gradient> {
        let Some(worth) = upstream.first().copied().flatten() else { return Ok(Gradient::Zero) };
        // Reversed twice, a sequence is itself.
        Ok(Gradient::Inputs(vec![Some(writer.apply(Arc::new(self.clone()), &[worth, node.needed(1)?])?), None]))
    }
}
