//! The CTC loss on the GPU.

use super::{CtcLoss, Extents};
use crate::error::{Error, Result};
use crate::graph::Io;
use crate::kernel::{Access, Caps, Dispatch, Kernel, Lowering, Offers, Operand, Shader, params, preludes, shader, u32s};
use crate::ops::row_workgroup::RowWorkgroup;
use crate::ops::shared::no_scalar;
use crate::tensor::Scalar;
use std::ops::Range;

params! {
    /// Parameters of `ctc_sequences.wgsl`.
    pub(super) struct SequencesParams {
        frames: u32,
        labels: u32,
        classes: u32,
        stride: u32,
    }
}

params! {
    /// Parameters of `ctc_frames.wgsl`.
    pub(super) struct FramesParams {
        frames: u32,
        classes: u32,
    }
}

params! {
    /// Parameters of `ctc_loss.wgsl` and `ctc_gradient.wgsl`.
    pub(super) struct CtcParams {
        batch: u32,
        classes: u32,
        blank: u32,
        states: u32,
        stride: u32,
        rows: u32,
        first_element: u32,
        elements: u32,
        first_step: u32,
        last_step: u32,
        frames: u32,
    }
}

shader!(pub(super) static SEQUENCES: SequencesParams = "ctc_sequences");
shader!(pub(super) static FRAMES: FramesParams = "ctc_frames");
shader!(pub(super) static LOSS: CtcParams = "ctc_loss");
shader!(pub(super) static GRADIENT: CtcParams = "ctc_gradient");

/// Bytes of variables that suffice to keep an adapter busy: the sequences of a large batch are walked so many at a time.
const ENOUGH_BYTES: usize = 128 << 20;

/// The most dispatches of a node.
const MOST_DISPATCHES: usize = 4096;

// What stands in scratch: what is said of sequences, of frames, the variables of ways, and totals.
const OF_SEQUENCES: Operand = Operand::Temporary(0);
const OF_FRAMES: Operand = Operand::Temporary(1);
const TRELLIS: Operand = Operand::Temporary(2);
const TOTALS: Operand = Operand::Temporary(3);

pub(super) fn lower(op: &CtcLoss, extents: Extents, io: &Io, offers: &mut Offers) -> Result<()> {
    let logits = io.input(0)?;
    if logits.scalar() != Some(Scalar::F32) {
        return Err(no_scalar(logits));
    }
    for k in 1..4 {
        let fact = io.input(k)?;
        if fact.scalar() != Some(Scalar::I32) {
            return Err(no_scalar(fact));
        }
    }
    let Extents { time, batch, classes, .. } = extents;
    if time * batch * classes == 0 {
        return Err(Error::unsupported("a batch of no frames"));
    }
    let has_gradient = io.used.get(1).copied().unwrap_or(false);
    let walk = Walk { op, extents, has_gradient, caps: offers.caps() };
    offers.only("walk", || walk.lowering());
    Ok(())
}

/// The operator on an adapter.
struct Walk<'a> {
    op: &'a CtcLoss,
    extents: Extents,
    has_gradient: bool,
    caps: &'a Caps,
}

impl Walk<'_> {
    /// States of the longest target.
    fn states(&self) -> usize {
        2 * self.extents.labels + 1
    }

    fn directions(&self) -> usize {
        if self.has_gradient { 2 } else { 1 }
    }

    /// Rows of the trellis that are kept.
    fn rows(&self) -> usize {
        if self.has_gradient { self.extents.time } else { 2 }
    }

    /// Numbers that are said of a sequence.
    fn stride(&self) -> usize {
        3 + 2 * self.extents.labels
    }

    fn lowering(&self) -> Result<Lowering> {
        let Extents { time, batch, .. } = self.extents;
        let row = 8 * self.directions() * self.rows() * self.states();
        if row as u64 > self.caps.max_storage_binding {
            return Err(Error::limit(format!("the variables of a sequence take {row} bytes, more than a binding")));
        }
        let together = (ENOUGH_BYTES.min(self.caps.max_storage_binding as usize) / row).max(1);
        let together = together.min(self.caps.max_grid as usize).min(batch);
        let walks = RowWorkgroup::for_items(self.states(), self.caps);
        let own = self.states().div_ceil(walks.lanes as usize);
        // A loop within goes round once more, to find that it is through.
        let turns = 2 + own;
        let steps = self.caps.most_turns(turns).saturating_sub(2).max(1);
        if batch.div_ceil(together) * (1 + time.div_ceil(steps)) > MOST_DISPATCHES {
            return Err(Error::unsupported(format!("{time} frames of {} states, {steps} in a dispatch", self.states())));
        }
        let mut dispatches = vec![self.of_sequences()?, self.of_frames()?];
        for elements in parts(batch, together) {
            for part in parts(time, steps) {
                let turns = (part.len() + 1) * turns;
                dispatches.push(self.walk(walks, &elements, part)?.turns(turns));
            }
            if self.has_gradient {
                dispatches.push(self.gradient(&elements)?);
            }
        }
        let bytes = [4 * batch * self.stride(), 8 * time * batch, together * row, 4 * batch];
        Ok(Lowering::new(dispatches).temporaries(bytes.map(|bytes| bytes as u64).to_vec()))
    }

    fn of_sequences(&self) -> Result<Dispatch> {
        let Extents { time, batch, classes, labels } = self.extents;
        let workgroup = RowWorkgroup::for_items(labels, self.caps);
        let [frames, labels_u32, classes, stride] = u32s([time, labels, classes, self.stride()])?;
        let params = SequencesParams { frames, labels: labels_u32, classes, stride };
        let access = [[Access::Read; 3].as_slice(), &[Access::Write]].concat();
        let kernel = workgroup.reduces(Kernel::new(&SEQUENCES, &access, [workgroup.lanes, 1, 1]));
        let target = if labels > 0 { Operand::Input(1) } else { Operand::Nothing };
        let bindings = vec![target, Operand::Input(2), Operand::Input(3), OF_SEQUENCES];
        let [elements, groups] = u32s([batch, labels.div_ceil(workgroup.lanes as usize).max(1)])?;
        let turns = 3 + labels + labels.div_ceil(workgroup.lanes as usize) + workgroup.turns();
        Ok(Dispatch::new(kernel, params, bindings, [elements, groups, 1]).turns(turns))
    }

    fn of_frames(&self) -> Result<Dispatch> {
        let Extents { time, batch, classes, .. } = self.extents;
        let workgroup = RowWorkgroup::for_items(classes, self.caps);
        let [frames, all] = u32s([time * batch, classes])?;
        let kernel = Kernel::new(&FRAMES, &[Access::Read, Access::Write], [workgroup.lanes, 1, 1]).prelude(&preludes::LOWEST);
        let bindings = vec![Operand::Input(0), OF_FRAMES];
        let grid = Dispatch::linear_grid(u64::from(frames), self.caps)?;
        let turns = 2 * (2 + classes.div_ceil(workgroup.lanes as usize) + workgroup.turns());
        let work = (time * batch * classes) as u64;
        let dispatch = Dispatch::new(workgroup.reduces(kernel), FramesParams { frames, classes: all }, bindings, grid);
        Ok(dispatch.turns(turns).work(3 * work, 4 * work))
    }

    /// A kernel of the trellis.
    fn kernel(&self, shader: &'static Shader, access: &[Access], workgroup: RowWorkgroup) -> Kernel {
        let access = [[Access::Read; 3].as_slice(), access].concat();
        let kernel = Kernel::new(shader, &access, [workgroup.lanes, 1, 1]).prelude(&preludes::CTC);
        kernel.set("ZERO_INFINITY", self.op.zero_infinity.into())
    }

    fn params(&self, elements: &Range<usize>, steps: &Range<usize>) -> Result<CtcParams> {
        let Extents { time, batch, classes, .. } = self.extents;
        let [batch, classes, blank, states] = u32s([batch, classes, self.op.blank, self.states()])?;
        let [stride, rows, frames] = u32s([self.stride(), self.rows(), time])?;
        let [first_element, elements] = u32s([elements.start, elements.len()])?;
        let [first_step, last_step] = u32s([steps.start, steps.end])?;
        Ok(CtcParams { batch, classes, blank, states, stride, rows, first_element, elements, first_step, last_step, frames })
    }

    /// The dispatch that walks some frames of some sequences.
    fn walk(&self, workgroup: RowWorkgroup, elements: &Range<usize>, steps: Range<usize>) -> Result<Dispatch> {
        let kernel = self.kernel(&LOSS, &[Access::Write; 3], workgroup).constant("WORKGROUP", workgroup.lanes);
        let bindings = vec![Operand::Input(0), OF_FRAMES, OF_SEQUENCES, TRELLIS, TOTALS, Operand::Output(0)];
        let [count, directions] = u32s([elements.len(), self.directions()])?;
        let work = (self.directions() * elements.len() * steps.len() * self.states()) as u64;
        let dispatch = Dispatch::new(kernel, self.params(elements, &steps)?, bindings, [count, directions, 1]);
        Ok(dispatch.work(12 * work, 24 * work))
    }

    /// The dispatch that makes the gradients of some sequences.
    fn gradient(&self, elements: &Range<usize>) -> Result<Dispatch> {
        let Extents { time, classes, labels, .. } = self.extents;
        let workgroup = RowWorkgroup::for_items(classes.max(self.states()), self.caps);
        let kernel = workgroup.reduces(self.kernel(&GRADIENT, &[Access::Read, Access::Read, Access::Write], workgroup));
        let bindings = vec![Operand::Input(0), OF_FRAMES, OF_SEQUENCES, TRELLIS, TOTALS, Operand::Output(1)];
        let frames = time * elements.len();
        let grid = Dispatch::linear_grid(frames as u64, self.caps)?;
        let own = |items: usize| items.div_ceil(workgroup.lanes as usize);
        // The labels of an invocation lead to no more than there are, each by a loop that goes round once more.
        let turns = own(classes) + 2 * own(self.states()) + 2 * own(labels) + labels + 3 * workgroup.turns() + 7;
        let work = (frames * (classes + self.states())) as u64;
        let dispatch = Dispatch::new(kernel, self.params(elements, &(0..time))?, bindings, grid);
        Ok(dispatch.turns(turns).work(6 * work, 8 * work))
    }
}

/// So many in parts of at most `together`.
fn parts(count: usize, together: usize) -> Vec<Range<usize>> {
    (0..count).step_by(together).map(|first| first..(first + together).min(count)).collect()
}
