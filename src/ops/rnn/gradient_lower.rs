//! The way back through the steps of a recurrent layer on the GPU.

use super::gradient_steps::RecurrentGradient;
use super::lower::MOST_STEPS;
use super::{Cell, RecurrentShape};
use crate::error::{Error, Result};
use crate::graph::Io;
use crate::kernel::{Access, Caps, Dispatch, Grid, Kernel, Lowering, Offers, Operand, Shader, params, preludes, shader, u32s};
use crate::tensor::Scalar;
use std::ops::Range;

params! {
    /// Parameters of the kernels that go back.
    pub(super) struct GradientParams {
        steps: u32,
        batch: u32,
        hidden: u32,
        reversed: u32,
        first_step: u32,
        last_step: u32,
        clip: f32,
        f_alpha: f32,
        f_beta: f32,
        g_alpha: f32,
        g_beta: f32,
        h_alpha: f32,
        h_beta: f32,
    }
}

shader!(pub(super) static SHADER: GradientParams = "recurrent_gradient");
shader!(pub(super) static MEMORY: GradientParams = "recurrent_gradient_memory");

/// Invocations of a workgroup at most.
const WORKGROUP: usize = 256;

pub(super) fn lower(op: &RecurrentGradient, io: &Io, offers: &mut Offers) -> Result<()> {
    for k in [0, 1, 2, 4, 5] {
        if io.optional(k).is_some_and(|f| f.scalar() != Some(Scalar::F32)) {
            return Err(Error::unsupported("gradients of a recurrent layer of other than 32-bit floats"));
        }
    }
    if io.optional(3).is_some_and(|f| f.scalar() != Some(Scalar::I32)) {
        return Err(Error::unsupported("sequence lengths that are not known to fit 32 bits"));
    }
    let back = Back { op, io, caps: offers.caps() };
    offers.only("walk", || back.lowering());
    Ok(())
}

/// The operator on an adapter.
struct Back<'a> {
    op: &'a RecurrentGradient,
    io: &'a Io<'a>,
    caps: &'a Caps,
}

impl Back<'_> {
    fn lowering(&self) -> Result<Lowering> {
        let RecurrentShape { steps, batch, hidden, .. } = self.op.geometry;
        if batch > self.caps.max_grid as usize {
            return Err(Error::unsupported(format!("a batch of {batch} exceeds a grid")));
        }
        let workgroup = hidden.next_power_of_two().clamp(32, WORKGROUP.min(self.caps.max_invocations as usize));
        let owned = hidden.div_ceil(workgroup);
        let rows = self.op.layer.cell.gates() * hidden;
        // Of one step, generously: a compiler may unroll none of the loops.
        let turns = 3 * owned * (rows + 2 * self.op.blocks() + 2) + 1;
        let bytes = self.op.blocks() * hidden * 4;
        if bytes > self.caps.max_workgroup_storage as usize || self.caps.most_turns(turns.div_ceil(2)) < 2 {
            return Err(Error::unsupported(format!("a state of {hidden} exceeds what a workgroup takes in one dispatch")));
        }
        let together = self.caps.most_turns(turns);
        if steps == 0 || steps.div_ceil(together) > MOST_STEPS {
            return Err(Error::unsupported(format!("{steps} steps, of which a dispatch takes {together}")));
        }
        let mut dispatches = vec![];
        if self.op.is_lstm() {
            for part in parts(steps, self.caps.most_turns(1)) {
                dispatches.push(self.memory(part)?);
            }
        }
        for part in parts(steps, together).into_iter().rev() {
            let turns = part.len() * turns;
            dispatches.push(self.steps(part, workgroup, owned)?.turns(turns));
        }
        Ok(Lowering::new(dispatches))
    }

    fn optional(&self, k: usize) -> Operand {
        if self.io.optional(k).is_some() { Operand::Input(k) } else { Operand::Nothing }
    }

    fn has(&self, k: usize) -> u32 {
        u32::from(self.io.optional(k).is_some())
    }

    /// What both kernels share.
    fn kernel(&self, shader: &'static Shader, access: &[Access], workgroup: u32) -> Kernel {
        let mut kernel = Kernel::new(shader, access, [workgroup, 1, 1])
            .prelude(&preludes::ACTIVATION)
            .prelude(&preludes::RECURRENT_GRADIENT)
            .set("HAS_LENGTHS", self.has(3))
            .set("HAS_STATE", self.has(2));
        for (name, activation) in ["F", "G", "H"].into_iter().zip(self.op.layer.three(self.op.direction)) {
            kernel = kernel.constant(name, activation.function as u32);
        }
        kernel
    }

    fn params(&self, part: &Range<usize>) -> Result<GradientParams> {
        let RecurrentShape { steps, batch, hidden, .. } = self.op.geometry;
        let [f, g, h] = self.op.layer.three(self.op.direction);
        let [steps, batch, hidden, first_step, last_step] = u32s([steps, batch, hidden, part.start, part.end])?;
        Ok(GradientParams {
            steps,
            batch,
            hidden,
            reversed: u32::from(self.op.layer.reversed(self.op.direction)),
            first_step,
            last_step,
            clip: self.op.layer.clip.unwrap_or(f32::MAX),
            f_alpha: f.alpha,
            f_beta: f.beta,
            g_alpha: g.alpha,
            g_beta: g.beta,
            h_alpha: h.alpha,
            h_beta: h.beta,
        })
    }

    /// The dispatch that makes the cell states after some steps.
    fn memory(&self, part: Range<usize>) -> Result<Dispatch> {
        let RecurrentShape { batch, hidden, .. } = self.op.geometry;
        let access = [[Access::Read; 4].as_slice(), &[Access::Write]].concat();
        let forget = u32::from(self.op.layer.cell == Cell::Lstm { input_forget: true });
        let kernel = self.kernel(&MEMORY, &access, 64).set("INPUT_FORGET", forget);
        let bindings = vec![Operand::Input(0), Operand::Input(1), self.optional(2), self.optional(3), Operand::Output(0)];
        let places = (batch * hidden) as u64;
        let grid = Dispatch::linear_grid(places.div_ceil(64), self.caps)?;
        let (params, turns) = (self.params(&part)?, part.len());
        Ok(Dispatch::new(kernel, params, bindings, grid).turns(turns).work(30 * places * turns as u64, 16 * places * turns as u64))
    }

    /// The dispatch that goes back through some steps.
    fn steps(&self, part: Range<usize>, workgroup: usize, owned: usize) -> Result<Dispatch> {
        let RecurrentShape { batch, hidden, .. } = self.op.geometry;
        let access = [[Access::Read; 6].as_slice(), &[Access::Write; 2]].concat();
        let cell = match self.op.layer.cell {
            Cell::Rnn => 0,
            Cell::Gru { linear_before_reset } => 1 + u32::from(linear_before_reset),
            Cell::Lstm { input_forget } => 3 + u32::from(input_forget),
        };
        let (blocks, made) = (self.op.blocks(), self.op.blocks_made());
        let [workgroup, owned, changes, blocks, made] = u32s([workgroup, owned, blocks * hidden, blocks, made])?;
        let mut kernel = self.kernel(&SHADER, &access, workgroup).set("HAS_WORTH", self.has(4)).set("HAS_ENDS", self.has(5));
        let constants = [("WORKGROUP", workgroup), ("OWNED", owned), ("CHANGES", changes), ("BLOCKS", blocks), ("MADE", made)];
        for (name, value) in constants.into_iter().chain([("CELL", cell)]) {
            kernel = kernel.constant(name, value);
        }
        let bindings = vec![
            Operand::Input(0),
            Operand::Input(1),
            self.optional(2),
            self.optional(3),
            self.optional(4),
            self.optional(5),
            Operand::Output(0),
            Operand::Output(1),
        ];
        let [elements] = u32s([batch])?;
        let grid: Grid = [elements, 1, 1];
        let weights = (self.op.layer.cell.gates() * hidden * hidden) as u64;
        let work = 2 * weights * (batch * part.len()) as u64;
        Ok(Dispatch::new(kernel, self.params(&part)?, bindings, grid).work(work, 4 * weights))
    }
}

/// All steps in parts of at most so many.
fn parts(steps: usize, together: usize) -> Vec<Range<usize>> {
    (0..steps).step_by(together).map(|first| first..(first + together).min(steps)).collect()
}
