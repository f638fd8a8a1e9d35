//! The steps of a recurrent layer on the GPU: what the kernels share that take them.

use super::pack::{stride, units};
use super::persistent::{self, Sharing, Weights};
use super::{Activation, Cell, Recurrent, RecurrentShape, Steps, software, tiled};
use crate::error::{Error, Result};
use crate::graph::{Io, Op};
use crate::kernel::{Access, Caps, Dispatch, Grid, Kernel, Offers, Operand, Prelude, Rank, Shader, params, preludes, u32s};
use crate::tensor::Scalar;

params! {
    /// Parameters of the kernels that take steps.
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

params! {
    /// Parameters of the kernels that order the first state.
    pub(super) struct StateParams {
        batch: u32,
        hidden: u32,
        directions: u32,
        batch_first: u32,
        units: u32,
        together: u32,
    }
}

pub(super) static SHADERS: &[&Shader] = &[
    &persistent::SHADER,
    &tiled::SHADER,
    &tiled::STATE,
    &software::SHADER,
    &software::STATE,
    &super::pack::SHADER,
    &super::gradient_lower::SHADER,
    &super::gradient_lower::TILED,
    &super::slopes_lower::SHADER,
];

/// Dispatches that a plan may hold for the steps of a layer.
pub(super) const MOST_STEPS: usize = 4096;

/// States that a first product leaves to a second, see the prelude `recurrent_products`.
const STATES_BETWEEN: u64 = 3;
/// The scratch that they lie in.
const BETWEEN: Operand = Operand::Temporary(4);

/// The order of preference. What software adapters have beside these goes before them.
pub(super) struct Ranks {
    pub(super) persistent: Rank,
    pub(super) steps_tiled: Rank,
}

/// Small states and weights, and adapters on which one dispatch costs little beside the work it does.
pub(super) const PREFER_PERSISTENT: Ranks = Ranks { persistent: 1, steps_tiled: 2 };
/// Steps that take less than a dispatch does, on adapters that have kernels of one step.
pub(super) const PREFER_PERSISTENT_TO_STEPS: Ranks = Ranks { persistent: 0, steps_tiled: 2 };
/// Large weights for a batch that fills tiles.
const PREFER_TILED: Ranks = Ranks { persistent: 2, steps_tiled: 1 };

/// What differs by adapter in the kernels that serve all of them.
pub(super) struct Preferences {
    pub(super) ranks: Ranks,
    /// How a workgroup of `persistent` shares its work.
    pub(super) sharing: Sharing,
    /// Where it finds the weights.
    pub(super) weights: Weights,
    /// Terms of a sum that `steps_tiled` spells out.
    pub(super) terms: u32,
}

impl Preferences {
    fn of_gpus(layer: &Layer) -> Self {
        let ranks = if tiled::is_better(layer) { PREFER_TILED } else { PREFER_PERSISTENT };
        // Spelled out whole the loop is fastest.
        Preferences { ranks, sharing: Sharing::of_gpus(layer), weights: Weights::lying(), terms: 16 }
    }
}

fn cell_prelude(cell: Cell) -> &'static Prelude {
    match cell {
        Cell::Rnn => &preludes::CELL_RNN,
        Cell::Gru { .. } => &preludes::CELL_GRU,
        Cell::Lstm { .. } => &preludes::CELL_LSTM,
    }
}

impl Recurrent {
    /// The three activations of a direction; a cell that has fewer does not call the others.
    pub(super) fn three(&self, direction: usize) -> [Activation; 3] {
        [0, 1, 2].map(|k| self.activation(direction, k.min(self.cell.activations() - 1)))
    }
}

pub(super) fn lower(op: &Steps, io: &Io, offers: &mut Offers) -> Result<()> {
    let layer = &op.layer;
    for k in [0, 1, 3, 4] {
        if io.optional(k).is_some_and(|f| f.scalar() != Some(Scalar::F32)) {
            return Err(Error::unsupported(format!("{} of other than 32-bit floats", layer.name())));
        }
    }
    if io.optional(2).is_some_and(|f| f.scalar() != Some(Scalar::I32)) {
        return Err(Error::unsupported(format!("{} with sequence lengths that are not known to fit 32 bits", layer.name())));
    }
    let layer = Layer { op, io, caps: offers.caps() };
    let preferences = software::offer(&layer, offers).unwrap_or_else(|| Preferences::of_gpus(&layer));
    let Preferences { ranks, sharing, weights, terms } = preferences;
    offers.add("persistent", ranks.persistent, || persistent::lower(&layer, sharing, &weights));
    offers.add("steps_tiled", ranks.steps_tiled, || tiled::lower(&layer, terms));
    Ok(())
}

/// A recurrent layer on an adapter, for the kernels that take its steps.
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
    /// How many parts of the same directions come before it.
    turn: usize,
}

/// Which matrix products of a step a dispatch makes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Product {
    /// 0 for all there are, else 1 or 2.
    number: u32,
    /// The first of their gates.
    first: usize,
    /// How many gates.
    gates: usize,
}

impl Product {
    /// All products of a step.
    pub(super) fn all(cell: Cell) -> Self {
        Product { number: 0, first: 0, gates: cell.gates() }
    }

    /// The constants that kernels of one product want.
    pub(super) fn constants(self, kernel: Kernel) -> Result<Kernel> {
        let [first, gates] = u32s([self.first, self.gates])?;
        let kernel = kernel.prelude(&preludes::RECURRENT_PRODUCTS).constant("PRODUCT", self.number);
        Ok(kernel.constant("FIRST_GATE", first).constant("SUMMED", gates))
    }
}

/// Where the states around a dispatch are.
pub(super) struct States {
    pub before: Operand,
    pub after: Operand,
    pub cell_before: Operand,
    pub cell_after: Operand,
    /// Whether the state after it is the one that the layer answers.
    pub is_last: bool,
}

impl Layer<'_> {
    pub(super) fn shape(&self) -> RecurrentShape {
        self.op.geometry
    }

    pub(super) fn cell(&self) -> Cell {
        self.op.layer.cell
    }

    pub(super) fn is_lstm(&self) -> bool {
        matches!(self.cell(), Cell::Lstm { .. })
    }

    /// All steps in parts of at most so many; directions with activations of their own take dispatches of their own.
    pub(super) fn parts(&self, steps: usize) -> Vec<Part> {
        let (layer, shape) = (&self.op.layer, self.shape());
        let same = shape.directions == 1 || layer.three(0) == layer.three(1);
        let ranges = if same { vec![(0, shape.directions)] } else { vec![(0, 1), (1, 1)] };
        let starts = (0..shape.steps.max(1)).step_by(steps).enumerate();
        let part = |(turn, first): (usize, usize), (direction, directions)| Part {
            direction,
            directions,
            first,
            last: (first + steps).min(shape.steps),
            turn,
        };
        starts.flat_map(|start| ranges.iter().map(move |range| part(start, *range))).collect()
    }

    /// All steps one by one, where a plan may hold a dispatch for each product of each.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) when there are too many.
    pub(super) fn single_steps(&self) -> Result<Vec<Part>> {
        let products = if self.cell().takes_two_products() { 2 } else { 1 };
        let dispatches = self.shape().steps * products;
        if dispatches > MOST_STEPS {
            return Err(Error::unsupported(format!("{dispatches} dispatches exceed the limit of {MOST_STEPS}")));
        }
        Ok(self.parts(1))
    }

    /// The products of a step. Where there is no state before it, the first of two has nothing to scale.
    pub(super) fn products(&self, part: Part) -> Vec<Product> {
        let cell = self.cell();
        let gates = cell.gates();
        if !cell.takes_two_products() {
            return vec![Product::all(cell)];
        }
        let scaling = Product { number: 1, first: 0, gates: gates - 1 };
        let finishing = Product { number: 2, first: gates - 1, gates: 1 };
        if self.has_state(part) { vec![scaling, finishing] } else { vec![finishing] }
    }

    /// The dispatch with the work of one product.
    pub(super) fn work(&self, dispatch: Dispatch, product: Product, part: Part) -> Dispatch {
        let shape = self.shape();
        let weights = (shape.hidden * shape.hidden * product.gates * part.directions) as u64;
        dispatch.work(2 * weights * shape.batch as u64, 4 * weights)
    }

    /// The states around one product of a part. Between two parts the state is in temporaries 0 and 1 by turns, the cell state of an LSTM
    /// in 2 and 3; the cell state of cells that have none goes to scratch as well. `first` is where the first part finds its state,
    /// `answer` where the last leaves it, if not in its turn.
    pub(super) fn states(&self, part: Part, product: Product, first: Operand, answer: Option<Operand>) -> States {
        let (before, after) = ((part.turn + 1) % 2, part.turn % 2);
        let ends = part.last == self.shape().steps;
        let is_last = ends && product.number != 1;
        let cell_before = match part.first {
            _ if !self.is_lstm() => Operand::Nothing,
            0 => self.optional(4),
            _ => Operand::Temporary(2 + before),
        };
        States {
            before: match part.first {
                _ if product.number == 2 && self.has_state(part) => BETWEEN,
                0 => first,
                _ => Operand::Temporary(before),
            },
            after: match answer {
                _ if product.number == 1 => BETWEEN,
                Some(answer) if is_last => answer,
                _ => Operand::Temporary(after),
            },
            cell_before,
            cell_after: if ends && self.is_lstm() { Operand::Output(2) } else { Operand::Temporary(2 + after) },
            is_last,
        }
    }

    /// What kernels bind that leave the state in one place only.
    pub(super) fn bindings(&self, states: &States) -> Vec<Operand> {
        vec![
            Operand::Input(0),
            Operand::Input(1),
            self.optional(2),
            states.before,
            states.cell_before,
            Operand::Output(0),
            states.after,
            states.cell_after,
        ]
    }

    /// Bytes of the scratch that [`states`](Self::states) names, given those of a state in the order of a kernel.
    pub(super) fn scratch(&self, state_bytes: u64) -> Vec<u64> {
        let shape = self.shape();
        let memory_bytes = (shape.directions * shape.batch * shape.hidden * 4) as u64;
        let mut bytes = vec![state_bytes, state_bytes, memory_bytes, memory_bytes];
        if self.cell().takes_two_products() {
            bytes.push(STATES_BETWEEN * state_bytes);
        }
        bytes
    }

    /// Whether there is a state before a part.
    pub(super) fn has_state(&self, part: Part) -> bool {
        part.first > 0 || self.io.optional(3).is_some()
    }

    /// The operand of an optional input.
    pub(super) fn optional(&self, input: usize) -> Operand {
        if self.io.optional(input).is_some() { Operand::Input(input) } else { Operand::Nothing }
    }

    /// What all kernels that take steps share.
    pub(super) fn kernel(&self, shader: &'static Shader, access: &[Access], workgroup: u32, part: Part) -> Result<Kernel> {
        let (layer, hidden) = (&self.op.layer, self.shape().hidden);
        let [units] = u32s([units(hidden)])?;
        let loads: &'static Prelude =
            if hidden.is_multiple_of(4) { &preludes::RECURRENT_GROUPS } else { &preludes::RECURRENT_SCALARS };
        let mut kernel = Kernel::new(shader, access, [workgroup, 1, 1])
            .constant("UNITS", units)
            .prelude(self.caps.fours())
            .prelude(&preludes::RECURRENT)
            .prelude(loads)
            .prelude(&preludes::ACTIVATION)
            .prelude(cell_prelude(layer.cell))
            .set("HAS_LENGTHS", u32::from(self.io.optional(2).is_some()))
            .set("HAS_CELL_STATE", u32::from(self.is_lstm() && (part.first > 0 || self.io.optional(4).is_some())))
            .set("WRITES_STEPS", u32::from(self.io.used.first().copied().unwrap_or(true)));
        for (name, activation) in ["F", "G", "H"].into_iter().zip(layer.three(part.direction)) {
            kernel = kernel.constant(name, activation.function as u32);
        }
        Ok(match layer.cell {
            Cell::Rnn => kernel,
            Cell::Gru { linear_before_reset } => kernel.constant("LINEAR_BEFORE_RESET", u32::from(linear_before_reset)),
            Cell::Lstm { input_forget } => kernel.constant("INPUT_FORGET", u32::from(input_forget)),
        })
    }

    /// The dispatch of a part.
    pub(super) fn dispatch(&self, kernel: Kernel, bindings: Vec<Operand>, part: Part, grid: [usize; 3]) -> Result<Dispatch> {
        let (layer, shape) = (&self.op.layer, self.shape());
        let [f, g, h] = layer.three(part.direction);
        let reversed = (0..shape.directions).filter(|d| layer.reversed(*d)).map(|d| 1 << d).sum();
        let [steps, batch, hidden, directions] = u32s([shape.steps, shape.batch, shape.hidden, shape.directions])?;
        let [first_direction, first_step, last_step] = u32s([part.direction, part.first, part.last])?;
        let [stride] = u32s([stride(layer.cell, shape.hidden)])?;
        let params = RecurrentParams {
            steps,
            batch,
            hidden,
            directions,
            first_direction,
            reversed,
            batch_first: u32::from(layer.batch_first),
            first_step,
            last_step,
            has_state: u32::from(self.has_state(part)),
            stride,
            clip: layer.clip.unwrap_or(f32::MAX),
            f_alpha: f.alpha,
            f_beta: f.beta,
            g_alpha: g.alpha,
            g_beta: g.beta,
            h_alpha: h.alpha,
            h_beta: h.beta,
        };
        let weights = (shape.hidden * shape.hidden * layer.cell.gates() * part.directions) as u64;
        let steps = (part.last - part.first) as u64;
        let grid: Grid = u32s(grid)?;
        Ok(Dispatch::new(kernel, params, bindings, grid).work(2 * weights * steps * shape.batch as u64, 4 * weights))
    }

    /// The dispatch that puts the first state into the order in which a kernel reads it, so many batch elements together.
    pub(super) fn first_state(&self, kernel: Kernel, together: usize, groups: usize) -> Result<Dispatch> {
        let shape = self.shape();
        let [batch, hidden, directions] = u32s([shape.batch, shape.hidden, shape.directions])?;
        let [units, together] = u32s([units(shape.hidden), together])?;
        let batch_first = u32::from(self.op.layer.batch_first);
        let params = StateParams { batch, hidden, directions, batch_first, units, together };
        let grid = Dispatch::linear_grid(groups.div_ceil(64) as u64, self.caps)?;
        let bindings = vec![self.optional(3), Operand::Temporary(1)];
        let kernel = kernel.prelude(&preludes::RECURRENT_FIRST_STATE);
        Ok(Dispatch::new(kernel, params, bindings, grid).work(0, groups as u64 * 32))
    }
}
