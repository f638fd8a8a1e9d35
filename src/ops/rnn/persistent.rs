//! All steps of a recurrent layer in one dispatch, the state in workgroup memory.

use super::lower::{Layer, Product, RecurrentParams};
use super::pack::units;
use crate::error::{Error, Result};
use crate::kernel::{Access, Kernel, Lowering, Operand, Packing, preludes, shader, u32s};

shader!(pub(super) static SHADER: RecurrentParams = "recurrent_persistent");

/// How a workgroup shares the work of a step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sharing {
    /// Lanes side by side, each with some groups of units.
    pub(super) lanes: usize,
    /// Lanes that share the sum over the state.
    pub(super) slices: usize,
    /// Batch elements of a workgroup.
    pub(super) tile: usize,
}

impl Sharing {
    /// On a GPU slices hide the time that weights take to arrive, and workgroups are wanted more than weights used again.
    pub(super) fn of_gpus(layer: &Layer) -> Self {
        let lanes = units(layer.shape().hidden).next_power_of_two().clamp(8, 64);
        let slices = (layer.caps.max_invocations.min(256) as usize / lanes).clamp(1, 8);
        Sharing { lanes, slices, tile: if layer.shape().batch < 64 { 1 } else { 2 } }
    }
}

/// Where the kernel finds packed weights, and what it takes to read them.
pub(super) struct Weights {
    pub(super) operand: Operand,
    pub(super) access: Access,
    pub(super) join: fn(Kernel) -> Kernel,
    pub(super) constants: Vec<(&'static str, u32)>,
    pub(super) packed: Vec<Packing>,
}

impl Weights {
    /// As the layer has them.
    pub(super) fn lying() -> Self {
        let join = |kernel: Kernel| kernel.prelude(&preludes::RECURRENT_WEIGHTS);
        Weights { operand: Operand::Input(1), access: Access::Read, join, constants: vec![], packed: vec![] }
    }
}

/// What of a layer stands where in a workgroup.
#[derive(Clone, Copy, Debug)]
struct Tiling {
    sharing: Sharing,
    /// Groups of units of a lane.
    owned: usize,
    /// Copies of the state in workgroup memory.
    copies: usize,
    gates: usize,
    units: usize,
}

impl Tiling {
    /// As wanted, or with fewer slices and smaller tiles where workgroup memory does not hold that.
    fn new(layer: &Layer, sharing: Sharing) -> Result<Self> {
        let (cell, units) = (layer.cell(), units(layer.shape().hidden));
        let copies = if cell.takes_two_products() { 3 } else { 2 };
        let mut tiling = Tiling { sharing, owned: units.div_ceil(sharing.lanes), copies, gates: cell.gates(), units };
        let limit = layer.caps.max_workgroup_storage as usize;
        while tiling.bytes() > limit && (tiling.sharing.slices > 1 || tiling.sharing.tile > 1) {
            let Sharing { slices, tile, .. } = &mut tiling.sharing;
            if *slices > 1 { *slices /= 2 } else { *tile /= 2 }
        }
        if tiling.bytes() > limit {
            let (found, hidden) = (tiling.bytes(), layer.shape().hidden);
            return Err(Error::unsupported(format!("a state of {hidden} takes {found} bytes of workgroup memory of {limit}")));
        }
        Ok(tiling)
    }

    fn workgroup(&self) -> usize {
        self.sharing.lanes * self.sharing.slices
    }

    fn states(&self) -> usize {
        self.copies * self.sharing.tile * self.units
    }

    fn parts(&self) -> usize {
        let Sharing { lanes, slices, tile } = self.sharing;
        ((slices - 1) * self.gates * tile * lanes).max(1)
    }

    fn bytes(&self) -> usize {
        (self.states() + self.parts()) * 16
    }

    /// Loop iterations of one step, generously: with run-time checks a compiler unrolls no loop over the units of a group.
    fn iterations(&self) -> usize {
        self.owned * (12 * self.units.div_ceil(self.sharing.slices) + 16) + 8
    }

    /// Those that no compiler unrolls.
    fn turns(&self) -> usize {
        self.owned * (self.units.div_ceil(self.sharing.slices) + 1) + 1
    }

    fn constants(&self) -> Result<[(&'static str, u32); 7]> {
        let Sharing { lanes, slices, tile } = self.sharing;
        let [workgroup, lanes, slices, tile] = u32s([self.workgroup(), lanes, slices, tile])?;
        let [owned, states, parts] = u32s([self.owned, self.states(), self.parts()])?;
        Ok([
            ("WORKGROUP", workgroup),
            ("LANES", lanes),
            ("SLICES", slices),
            ("TILE", tile),
            ("OWNED", owned),
            ("STATES", states),
            ("PARTS", parts),
        ])
    }
}

/// The variant, where a workgroup shares its work so and finds its weights there.
pub(super) fn lower(layer: &Layer, sharing: Sharing, weights: &Weights) -> Result<Lowering> {
    let shape = layer.shape();
    let tiling = Tiling::new(layer, sharing)?;
    let constants = tiling.constants()?;
    let [workgroup] = u32s([tiling.workgroup()])?;
    let mut access = [[Access::Read; 5].as_slice(), &[Access::Write; 3]].concat();
    access[1] = weights.access;
    let mut dispatches = vec![];
    for part in layer.parts(layer.caps.most_turns(tiling.iterations())) {
        let states = layer.states(part, Product::all(layer.cell()), layer.optional(3), Some(Operand::Output(1)));
        let mut bindings = layer.bindings(&states);
        bindings[1] = weights.operand;
        let kernel = (weights.join)(layer.kernel(&SHADER, &access, workgroup, part)?);
        let kernel = constants.iter().chain(&weights.constants).fold(kernel, |kernel, (name, value)| kernel.constant(name, *value));
        let grid = [shape.batch.div_ceil(tiling.sharing.tile), part.directions, 1];
        dispatches.push(layer.dispatch(kernel, bindings, part, grid)?.turns((part.last - part.first) * tiling.turns()));
    }
    let state_bytes = (shape.directions * shape.batch * shape.hidden * 4) as u64;
    Ok(Lowering::new(dispatches).temporaries(vec![state_bytes; 4]).packed(weights.packed.clone()))
}
