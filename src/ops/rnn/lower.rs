//! The steps of a recurrent layer on the GPU.

use super::pack::{stride, units};
use super::{Activation, Cell, Geometry, Recurrent, Steps, lanes, persistent, tiled};
use crate::error::{Error, Result};
use crate::graph::{Io, Op};
use crate::kernel::{Access, Caps, Dispatch, Kernel, Lowering, Operand, Prelude, Shader, params, preludes};
use crate::tensor::Scalar;

params! {
    /// Parameters of the kernel.
    pub(super) struct RecurrentParams {
        steps: u32,
        batch: u32,
        hidden: u32,
        directions: u32,
        first_direction: u32,
        reversed: u32,
        batch_first: u32,
        first_step: u32,
        last_step: u32,
        has_state: u32,
        stride: u32,
        clip: f32,
        f_alpha: f32,
        f_beta: f32,
        g_alpha: f32,
        g_beta: f32,
        h_alpha: f32,
        h_beta: f32,
    }
}

pub(super) static SHADERS: &[&Shader] =
    &[&persistent::SHADER, &lanes::SHADER, &lanes::STATE, &tiled::SHADER, &tiled::STATE, &super::pack::SHADER];

/// Dispatches that a plan may hold for the steps of a layer.
const MOST_STEPS: usize = 4096;

/// States that a first product leaves to a second: the scaled one, sums of a gate in the shape of one, and that before.
pub(super) const STATES_BETWEEN: u64 = 3;

fn cell_prelude(cell: Cell) -> &'static Prelude {
    match cell {
        Cell::Rnn => &preludes::CELL_RNN,
        Cell::Gru { .. } => &preludes::CELL_GRU,
        Cell::Lstm { .. } => &preludes::CELL_LSTM,
    }
}

impl Recurrent {
    /// The three activations of a direction; a cell that has fewer does not call the others.
    fn three(&self, direction: usize) -> [Activation; 3] {
        [0, 1, 2].map(|k| self.activation(direction, k.min(self.cell.activations() - 1)))
    }
}

pub(super) fn lower(op: &Steps, io: &Io, caps: &Caps) -> Result<Vec<Lowering>> {
    let layer = &op.layer;
    for k in [0, 1, 3, 4] {
        if io.optional(k).is_some_and(|f| f.scalar() != Some(Scalar::F32)) {
            return Err(Error::unsupported(format!("{} of other than 32-bit floats", layer.name())));
        }
    }
    if io.optional(2).is_some_and(|f| f.scalar() != Some(Scalar::I32)) {
        return Err(Error::unsupported(format!("{} with sequence lengths that are not known to fit 32 bits", layer.name())));
    }
    if io.outputs.iter().all(|o| o.ty.elements() == 0) {
        return Ok(vec![Lowering::empty()]);
    }
    let layer = Layer { op, io, caps };
    let mut candidates = lanes::lower(&layer);
    candidates.push(persistent::lower(&layer));
    let steps = tiled::lower(&layer);
    let at = if tiled::is_better(&layer) { candidates.len() - 1 } else { candidates.len() };
    candidates.splice(at..at, steps);
    // One that does not fit the adapter leaves the others.
    let (fit, unfit): (Vec<_>, Vec<_>) = candidates.into_iter().partition(Result::is_ok);
    if fit.is_empty() { unfit.into_iter().collect() } else { fit.into_iter().collect() }
}

/// A recurrent layer on an adapter, for the forms that take its steps.
pub(super) struct Layer<'a> {
    pub op: &'a Steps,
    pub io: &'a Io<'a>,
    pub caps: &'a Caps,
}

/// What a dispatch takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// The first direction.
    pub direction: usize,
    /// How many directions.
    pub directions: usize,
    /// The first step.
    pub first: usize,
    /// The step after the last.
    pub last: usize,
}

/// One of the matrix products of a step, for the forms that take a dispatch for each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Product {
    /// Which of them: 0 for the only one, else 1 or 2.
    pub number: u32,
    /// The first of its gates.
    first: usize,
    /// How many gates.
    gates: usize,
}

impl Product {
    /// The constants that their kernels want.
    pub(super) fn constants(self, kernel: Kernel) -> Kernel {
        let kernel = kernel.constant("PRODUCT", self.number).constant("FIRST_GATE", self.first as u32);
        kernel.constant("SUMMED", self.gates as u32)
    }
}

/// Where the states before and after a part are. Between two parts the state is in temporaries 0 and 1 by turns, the cell state
/// of an LSTM in 2 and 3; the cell state of cells that have none goes to scratch as well.
pub(super) struct Turn {
    pub before: Operand,
    pub after: Operand,
    pub cell_before: Operand,
    pub cell_after: Operand,
}

impl Layer<'_> {
    pub(super) fn geometry(&self) -> Geometry {
        self.op.geometry
    }

    pub(super) fn is_lstm(&self) -> bool {
        matches!(self.op.layer.cell, Cell::Lstm { .. })
    }

    /// All steps in parts of at most so many; directions with activations of their own take dispatches of their own.
    pub(super) fn parts(&self, steps: usize) -> Vec<Part> {
        let (layer, g) = (&self.op.layer, self.op.geometry);
        let same = g.directions == 1 || layer.three(0) == layer.three(1);
        let ranges = if same { vec![(0, g.directions)] } else { vec![(0, 1), (1, 1)] };
        let starts = (0..g.steps.max(1)).step_by(steps);
        let part =
            |first: usize, (direction, directions)| Part { direction, directions, first, last: (first + steps).min(g.steps) };
        starts.flat_map(|first| ranges.iter().map(move |range| part(first, *range))).collect()
    }

    /// Whether a plan may hold a dispatch for each product of each step.
    pub(super) fn takes_few_dispatches(&self) -> bool {
        let products = if self.op.layer.cell.takes_two_products() { 2 } else { 1 };
        self.geometry().steps * products <= MOST_STEPS
    }

    /// The products of a step. Where there is no state before it, the first of two has nothing to scale.
    pub(super) fn products(&self, part: Part) -> Vec<Product> {
        let cell = self.op.layer.cell;
        let gates = cell.gates();
        if !cell.takes_two_products() {
            return vec![Product { number: 0, first: 0, gates }];
        }
        let scaling = Product { number: 1, first: 0, gates: gates - 1 };
        let finishing = Product { number: 2, first: gates - 1, gates: 1 };
        if self.has_state(part) { vec![scaling, finishing] } else { vec![finishing] }
    }

    /// The dispatch with the work of one product.
    pub(super) fn work(&self, dispatch: Dispatch, product: Product, part: Part) -> Dispatch {
        let g = self.geometry();
        let weights = (g.hidden * g.hidden * product.gates * part.directions) as u64;
        dispatch.work(2 * weights * g.batch as u64, 4 * weights)
    }

    /// The states around one of the parts of so many steps.
    pub(super) fn turn(&self, part: Part, steps: usize) -> Turn {
        let turn = part.first / steps;
        let (before, after) = ((turn + 1) % 2, turn % 2);
        let cell_before = match part.first {
            _ if !self.is_lstm() => Operand::Input(0),
            0 => self.optional(4, Operand::Input(0)),
            _ => Operand::Temporary(2 + before),
        };
        let ends = part.last == self.geometry().steps && self.is_lstm();
        let cell_after = if ends { Operand::Output(2) } else { Operand::Temporary(2 + after) };
        Turn { before: Operand::Temporary(before), after: Operand::Temporary(after), cell_before, cell_after }
    }

    /// Whether there is a state before a part.
    pub(super) fn has_state(&self, part: Part) -> bool {
        part.first > 0 || self.io.optional(3).is_some()
    }

    /// The operand of an optional input, or another in its place.
    pub(super) fn optional(&self, input: usize, other: Operand) -> Operand {
        if self.io.optional(input).is_some() { Operand::Input(input) } else { other }
    }

    /// What the kernels of all forms share.
    pub(super) fn kernel(&self, shader: &'static Shader, access: &[Access], workgroup: u32, part: Part) -> Kernel {
        let (layer, g) = (&self.op.layer, self.op.geometry);
        let aligned = g.hidden.is_multiple_of(4);
        let mut kernel = Kernel::new(shader, access, [workgroup, 1, 1])
            .constant("UNITS", units(g.hidden) as u32)
            .prelude(self.caps.fours())
            .prelude(&preludes::RECURRENT)
            .prelude(if aligned { &preludes::RECURRENT_GROUPS } else { &preludes::RECURRENT_SCALARS })
            .prelude(&preludes::ACTIVATION)
            .prelude(cell_prelude(layer.cell))
            .set("HAS_LENGTHS", u32::from(self.io.optional(2).is_some()))
            .set("HAS_CELL_STATE", u32::from(self.is_lstm() && (part.first > 0 || self.io.optional(4).is_some())))
            .set("WRITES_STEPS", u32::from(self.io.used.first().copied().unwrap_or(true)));
        for (name, activation) in ["F", "G", "H"].into_iter().zip(layer.three(part.direction)) {
            kernel = kernel.constant(name, activation.function as u32);
        }
        match layer.cell {
            Cell::Rnn => kernel,
            Cell::Gru { linear_before_reset } => kernel.constant("LINEAR_BEFORE_RESET", u32::from(linear_before_reset)),
            Cell::Lstm { input_forget } => kernel.constant("INPUT_FORGET", u32::from(input_forget)),
        }
    }

    /// The dispatch of a part.
    pub(super) fn dispatch(&self, kernel: Kernel, bindings: Vec<Operand>, part: Part, grid: [usize; 3]) -> Result<Dispatch> {
        let (layer, g) = (&self.op.layer, self.op.geometry);
        if grid.iter().any(|n| *n > self.caps.max_grid as usize) {
            return Err(Error::limit(format!("{} for a batch of {} exceeds the adapter's largest grid", layer.name(), g.batch)));
        }
        let [f, g_, h] = layer.three(part.direction);
        let reversed = (0..g.directions).filter(|d| layer.reversed(*d)).map(|d| 1 << d).sum();
        let params = RecurrentParams {
            steps: g.steps as u32,
            batch: g.batch as u32,
            hidden: g.hidden as u32,
            directions: g.directions as u32,
            first_direction: part.direction as u32,
            reversed,
            batch_first: u32::from(layer.batch_first),
            first_step: part.first as u32,
            last_step: part.last as u32,
            has_state: u32::from(self.has_state(part)),
            stride: stride(layer.cell, g.hidden) as u32,
            clip: layer.clip.unwrap_or(f32::MAX),
            f_alpha: f.alpha,
            f_beta: f.beta,
            g_alpha: g_.alpha,
            g_beta: g_.beta,
            h_alpha: h.alpha,
            h_beta: h.beta,
        };
        let weights = (g.hidden * g.hidden * layer.cell.gates() * part.directions) as u64;
        let steps = (part.last - part.first) as u64;
        let dispatch = Dispatch::new(kernel, params, bindings, grid.map(|n| n as u32));
        Ok(dispatch.work(2 * weights * steps * g.batch as u64, 4 * weights))
    }
}
