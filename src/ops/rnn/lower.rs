//! The steps of a recurrent layer on the GPU.

use super::pack::{stride, units};
use super::{Activation, Cell, Geometry, Recurrent, Steps};
use crate::error::{Error, Result};
use crate::graph::{Io, Op};
use crate::kernel::{
    Access, AdapterClass, Caps, Dispatch, Kernel, Lowering, Operand, Parameters, Prelude, Shader, params, preludes,
};
use crate::tensor::Scalar;

params! {
    /// Parameters of the kernel.
    struct RecurrentParams {
        steps: u32,
        batch: u32,
        hidden: u32,
        directions: u32,
        first_direction: u32,
        reversed: u32,
        batch_first: u32,
        first_step: u32,
        last_step: u32,
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

static RECURRENT: Shader =
    Shader { name: "recurrent", source: include_str!("../../../shaders/recurrent.wgsl"), params: RecurrentParams::FIELDS };

pub(super) static SHADERS: &[&Shader] = &[&RECURRENT, &super::pack::SHADER];

/// How a workgroup shares the work of a step.
#[derive(Clone, Copy, Debug)]
struct Tiling {
    /// Lanes side by side, each with some groups of units.
    lanes: usize,
    /// Lanes that share the sum over the state.
    slices: usize,
    /// Batch elements of a workgroup.
    tile: usize,
    /// Groups of units of a lane.
    owned: usize,
    /// Copies of the state in workgroup memory.
    copies: usize,
    gates: usize,
    units: usize,
}

impl Tiling {
    fn new(cell: Cell, g: Geometry, caps: &Caps) -> Result<Self> {
        let units = units(g.hidden);
        let two_products = cell == Cell::Gru { linear_before_reset: false };
        let software = caps.class == AdapterClass::Cpu;
        let lanes = if software { units.next_multiple_of(8).min(64) } else { units.next_power_of_two().clamp(8, 64) };
        let slices = if software { 1 } else { (caps.max_invocations.min(256) as usize / lanes).clamp(1, 8) };
        let tile = match g.batch {
            0..4 => 1,
            4..16 if software => 2,
            _ if software => 4,
            4..64 => 1,
            _ => 2,
        };
        let copies = if two_products { 3 } else { 2 };
        let mut tiling = Tiling { lanes, slices, tile, owned: units.div_ceil(lanes), copies, gates: cell.gates(), units };
        while tiling.bytes() > caps.max_workgroup_storage as usize && (tiling.slices > 1 || tiling.tile > 1) {
            if tiling.slices > 1 { tiling.slices /= 2 } else { tiling.tile /= 2 }
        }
        if tiling.bytes() > caps.max_workgroup_storage as usize {
            let (found, limit) = (tiling.bytes(), caps.max_workgroup_storage);
            return Err(Error::unsupported(format!("a state of {} takes {found} bytes of workgroup memory of {limit}", g.hidden)));
        }
        Ok(tiling)
    }

    fn states(&self) -> usize {
        self.copies * self.tile * self.units
    }

    fn parts(&self) -> usize {
        ((self.slices - 1) * self.gates * self.tile * self.lanes).max(1)
    }

    fn bytes(&self) -> usize {
        (self.states() + self.parts()) * 16
    }

    /// Loop iterations of one step that no compiler unrolls, generously.
    fn iterations(&self) -> usize {
        self.owned * (2 * self.units.div_ceil(self.slices) + 8) + 8
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
    let tiling = Tiling::new(layer.cell, op.geometry, caps)?;
    let launcher = Launcher { op, io, caps, tiling };
    let g = op.geometry;
    let state_bytes = (g.directions * g.batch * g.hidden * 4) as u64;
    let per_dispatch = (caps.max_loop as usize / tiling.iterations()).max(1);
    let same = g.directions == 1 || layer.three(0) == layer.three(1);
    let ranges = if same { vec![(0, g.directions)] } else { vec![(0, 1), (1, 1)] };
    let mut dispatches = vec![];
    for directions in ranges {
        let mut first = 0;
        loop {
            let last = (first + per_dispatch).min(g.steps);
            dispatches.push(launcher.dispatch(directions, first, last)?);
            if last == g.steps {
                break;
            }
            first = last;
        }
    }
    // Two turns of state and cell state between dispatches; the cell state of cells that have none goes there as well.
    Ok(vec![Lowering::Dispatches { variant: "persistent", dispatches, temporaries: vec![state_bytes; 4], packed: vec![] }])
}

struct Launcher<'a> {
    op: &'a Steps,
    io: &'a Io<'a>,
    caps: &'a Caps,
    tiling: Tiling,
}

impl Launcher<'_> {
    /// Steps `first` to `last` of some directions (first and count).
    fn dispatch(&self, directions: (usize, usize), first: usize, last: usize) -> Result<Dispatch> {
        let (layer, g, t) = (&self.op.layer, self.op.geometry, self.tiling);
        let lstm = matches!(layer.cell, Cell::Lstm { .. });
        let begins = first == 0;
        // The state between two dispatches is in temporaries 0 and 1 by turns, the cell state in 2 and 3.
        let turn = |step: usize| first_turn(step, self.caps, &t);
        let products = Operand::Input(0);
        let given = |k: usize| if self.io.optional(k).is_some() { Operand::Input(k) } else { products };
        let (h, c) =
            if begins { (given(3), given(4)) } else { (Operand::Temporary(turn(first)), Operand::Temporary(2 + turn(first))) };
        let c = if lstm { c } else { products };
        let ends = last == g.steps;
        let h_out = if ends { Operand::Output(1) } else { Operand::Temporary(turn(last)) };
        let c_out = if ends && lstm { Operand::Output(2) } else { Operand::Temporary(2 + turn(last)) };
        let bindings = vec![products, Operand::Input(1), given(2), h, c, Operand::Output(0), h_out, c_out];
        let [f, g_, h_] = layer.three(directions.0);
        let mut access = vec![Access::Read; 5];
        access.extend([Access::Write; 3]);
        let workgroup = (t.lanes * t.slices) as u32;
        let mut kernel = Kernel::new(&RECURRENT, &access, [workgroup, 1, 1])
            .prelude(&preludes::ACTIVATION)
            .prelude(cell_prelude(layer.cell))
            .set("HAS_LENGTHS", u32::from(self.io.optional(2).is_some()))
            .set("HAS_STATE", u32::from(!begins || self.io.optional(3).is_some()))
            .set("HAS_CELL_STATE", u32::from(lstm && (!begins || self.io.optional(4).is_some())))
            .set("WRITES_STEPS", u32::from(self.io.used.first().copied().unwrap_or(true)));
        let sizes = [
            ("WORKGROUP", t.lanes * t.slices),
            ("LANES", t.lanes),
            ("SLICES", t.slices),
            ("TILE", t.tile),
            ("OWNED", t.owned),
            ("UNITS", t.units),
            ("STATES", t.states()),
            ("PARTS", t.parts()),
        ];
        for (name, value) in sizes {
            kernel = kernel.constant(name, value as u32);
        }
        for (name, activation) in [("F", f), ("G", g_), ("H", h_)] {
            kernel = kernel.constant(name, activation.function as u32);
        }
        kernel = match layer.cell {
            Cell::Rnn => kernel,
            Cell::Gru { linear_before_reset } => kernel.constant("LINEAR_BEFORE_RESET", u32::from(linear_before_reset)),
            Cell::Lstm { input_forget } => kernel.constant("INPUT_FORGET", u32::from(input_forget)),
        };
        let reversed = (0..g.directions).filter(|d| layer.reversed(*d)).map(|d| 1 << d).sum();
        let params = RecurrentParams {
            steps: g.steps as u32,
            batch: g.batch as u32,
            hidden: g.hidden as u32,
            directions: g.directions as u32,
            first_direction: directions.0 as u32,
            reversed,
            batch_first: u32::from(layer.batch_first),
            first_step: first as u32,
            last_step: last as u32,
            stride: stride(layer.cell, g.hidden) as u32,
            clip: layer.clip.unwrap_or(f32::MAX),
            f_alpha: f.alpha,
            f_beta: f.beta,
            g_alpha: g_.alpha,
            g_beta: g_.beta,
            h_alpha: h_.alpha,
            h_beta: h_.beta,
        };
        let tiles = g.batch.div_ceil(t.tile);
        if tiles > self.caps.max_grid as usize {
            return Err(Error::limit(format!("{} for a batch of {} exceeds the adapter's largest grid", layer.name(), g.batch)));
        }
        let weights = (g.hidden * g.hidden * layer.cell.gates() * directions.1) as u64;
        let steps = (last - first) as u64;
        let dispatch = Dispatch::new(kernel, params, bindings, [tiles as u32, directions.1 as u32, 1]);
        Ok(dispatch.work(2 * weights * steps * g.batch as u64, 4 * weights))
    }
}

/// Which of two temporaries holds the state between the dispatch that ends at `step` and the one that begins there.
fn first_turn(step: usize, caps: &Caps, tiling: &Tiling) -> usize {
    step / (caps.max_loop as usize / tiling.iterations()).max(1) % 2
}
