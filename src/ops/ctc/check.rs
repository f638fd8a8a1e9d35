//! CheckCtcSequences: whether lengths and labels that are data are in range.

use crate::error::{Error, Result};
use crate::graph::{Fact, Io, Op, required};
use crate::kernel::{Access, Dispatch, Kernel, Lowering, Offers, Operand, params, shader, u32s};
use crate::ops::row_workgroup::RowWorkgroup;
use crate::ops::shared::no_scalar;
use crate::tensor::{DType, Scalar, Tensor};
use std::sync::Arc;

params! {
    /// Parameters of `check_ctc_sequences.wgsl`.
    pub(super) struct CheckParams {
        batch: u32,
        frames: u32,
        labels: u32,
        classes: u32,
        blank: u32,
    }
}

shader!(pub(super) static SHADER: CheckParams = "check_ctc_sequences");

pub(super) const NAME: &str = "CheckCtcSequences";

/// Whether the sequences of a batch are in range: one bool. A run in which they are not fails, see [`Op::check`]. Inputs: how many
/// frames of each count, `[batch]`; and where there are targets, how many labels of each do, and the targets `[batch, labels]`.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckCtcSequences {
    /// How many frames there are.
    pub time: usize,
    /// How many labels a target has room for, how many classes there are, and which of them is the blank, that is no label.
    pub target: Option<[usize; 3]>,
}

/// Whether lengths are those of up to `time` frames, and labels, if `target` is given, what it says: see [`CheckCtcSequences`].
pub fn check_ctc_sequences(time: usize, target: Option<[usize; 3]>) -> Arc<dyn Op> {
    Arc::new(CheckCtcSequences { time, target })
}

impl CheckCtcSequences {
    /// What is wrong with a sequence, given its lengths and its target.
    fn problem(&self, frames: i64, target: Option<(i64, &[i64])>) -> Option<String> {
        if !(0..=self.time as i64).contains(&frames) {
            return Some(format!("has an input length of {frames}, of {} frames", self.time));
        }
        let ([room, classes, blank], (length, labels)) = (self.target?, target?);
        if !(0..=room as i64).contains(&length) {
            return Some(format!("has a target length of {length}, of {room} labels"));
        }
        let is_wrong = |label: &i64| !(0..classes as i64).contains(label) || *label == blank as i64;
        let (at, label) = labels.iter().take(length as usize).enumerate().find(|(_, label)| is_wrong(label))?;
        Some(match *label == blank as i64 {
            true => format!("has the blank, {label}, as label {at} of its target"),
            false => format!("has {label} as label {at} of its target, of {classes} classes"),
        })
    }

    fn inputs(&self) -> usize {
        if self.target.is_some() { 3 } else { 1 }
    }
}

impl Op for CheckCtcSequences {
    fn name(&self) -> &'static str {
        NAME
    }

    crate::attributes!(time, target);

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        for k in 0..self.inputs() {
            let fact = required(NAME, inputs, k)?;
            if !matches!(fact.dtype(), DType::I32 | DType::I64) {
                return Err(Error::invalid_model(format!("{NAME} expects i32 or i64, found {}", fact.ty)));
            }
        }
        if required(NAME, inputs, 0)?.ty.elements() == 0 {
            return Ok(vec![Fact::of(Tensor::scalar(true))]);
        }
        Ok(vec![Fact::new(DType::Bool, [])])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let frames = required(NAME, inputs, 0)?.to_i64();
        let target = match self.target {
            Some(_) => Some((required(NAME, inputs, 1)?.to_i64(), required(NAME, inputs, 2)?.to_i64())),
            None => None,
        };
        let room = self.target.map_or(0, |[room, ..]| room);
        for (element, frames) in frames.into_iter().enumerate() {
            let target = target.as_ref().map(|(lengths, labels)| (lengths[element], &labels[element * room..][..room]));
            if let Some(problem) = self.problem(frames, target) {
                return Err(Error::invalid_input(format!("CTC: sequence {element} {problem}")));
            }
        }
        Ok(vec![Tensor::scalar(true)])
    }

    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        for k in 0..self.inputs() {
            let fact = io.input(k)?;
            if fact.scalar() != Some(Scalar::I32) {
                return Err(no_scalar(fact));
            }
        }
        let batch = io.input(0)?.ty.elements();
        let [labels, classes, blank] = self.target.unwrap_or_default();
        let caps = offers.caps();
        offers.only("one", || {
            let workgroup = RowWorkgroup::for_items(batch * labels.max(1), caps);
            let [all, frames, room, classes, blank] = u32s([batch, self.time, labels, classes, blank])?;
            let params = CheckParams { batch: all, frames, labels: room, classes, blank };
            let access = [Access::Read, Access::Read, Access::Read, Access::Write];
            let kernel = Kernel::new(&SHADER, &access, [workgroup.lanes, 1, 1]).set("HAS_TARGET", self.target.is_some().into());
            let given = |k: usize| if self.target.is_some() && labels > 0 { Operand::Input(k) } else { Operand::Nothing };
            let lengths = if self.target.is_some() { Operand::Input(1) } else { Operand::Nothing };
            let bindings = vec![Operand::Input(0), lengths, given(2), Operand::Output(0)];
            let turns = batch.div_ceil(workgroup.lanes as usize) + (batch * labels).div_ceil(workgroup.lanes as usize);
            let dispatch = Dispatch::new(workgroup.reduces(kernel), params, bindings, [1, 1, 1]);
            Ok(Lowering::new(vec![dispatch.turns(turns + workgroup.turns() + 3)]))
        });
        Ok(())
    }

    fn check(&self) -> Option<String> {
        let frames = format!("a sequence of CTC is out of range: input lengths are from 0 to {}", self.time);
        Some(match self.target {
            None => frames,
            Some([room, classes, blank]) => format!(
                "{frames}, target lengths from 0 to {room}, labels from 0 to {} without the blank, {blank}",
                classes.saturating_sub(1)
            ),
        })
    }
}
