//! All steps of a recurrent layer in one dispatch, the state in workgroup memory.

use super::lower::{Layer, RecurrentParams};
use super::pack::units;
use super::{Cell, Geometry};
use crate::error::{Error, Result};
use crate::kernel::{Access, AdapterClass, Caps, Lowering, Operand, preludes, shader};

shader!(pub(super) static SHADER: RecurrentParams = "recurrent");

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
        let copies = if cell.takes_two_products() { 3 } else { 2 };
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

    /// Loop iterations of one step, generously: with run-time checks a compiler unrolls no loop over the units of a group.
    fn iterations(&self) -> usize {
        self.owned * (12 * self.units.div_ceil(self.slices) + 16) + 8
    }
}

/// The candidate.
pub(super) fn lower(layer: &Layer) -> Result<Lowering> {
    let g = layer.geometry();
    let tiling = Tiling::new(layer.op.layer.cell, g, layer.caps)?;
    let steps = (layer.caps.max_loop as usize / tiling.iterations()).max(1);
    let (reads, writes) = ([Access::Read; 5], [Access::Write; 3]);
    let access = [reads.as_slice(), &writes].concat();
    let mut dispatches = vec![];
    for part in layer.parts(steps) {
        let (products, turn) = (Operand::Input(0), layer.turn(part, steps));
        let h = if part.first == 0 { layer.optional(3, products) } else { turn.before };
        let h_out = if part.last == g.steps { Operand::Output(1) } else { turn.after };
        let bindings = vec![
            products,
            Operand::Input(1),
            layer.optional(2, products),
            h,
            turn.cell_before,
            Operand::Output(0),
            h_out,
            turn.cell_after,
        ];
        let workgroup = tiling.lanes * tiling.slices;
        let mut kernel = layer.kernel(&SHADER, &access, workgroup as u32, part).prelude(&preludes::RECURRENT_WEIGHTS);
        let sizes = [
            ("WORKGROUP", workgroup),
            ("LANES", tiling.lanes),
            ("SLICES", tiling.slices),
            ("TILE", tiling.tile),
            ("OWNED", tiling.owned),
            ("STATES", tiling.states()),
            ("PARTS", tiling.parts()),
        ];
        for (name, value) in sizes {
            kernel = kernel.constant(name, value as u32);
        }
        dispatches.push(layer.dispatch(kernel, bindings, part, [g.batch.div_ceil(tiling.tile), part.directions, 1])?);
    }
    let temporaries = vec![(g.directions * g.batch * g.hidden * 4) as u64; 4];
    Ok(Lowering::Dispatches { variant: "persistent", dispatches, temporaries, packed: vec![], tables: vec![] })
}
