//! One step of a recurrent layer per dispatch, as a matrix product in tiles, for GPUs.

use super::lower::{Layer, Part, Product, RecurrentParams, StateParams};
use super::pack::units;
use crate::error::{Error, Result};
use crate::kernel::{Access, Dispatch, Kernel, Lowering, Operand, preludes, shader};

shader!(pub(super) static SHADER: RecurrentParams = "recurrent_step_tiled");
shader!(pub(super) static STATE: StateParams = "recurrent_state_tiled");

/// Groups of units, and fours of batch elements, of a workgroup.
const SIDE: u32 = 8;
/// Bytes of weights that one workgroup should not read for each step: a compute unit takes longer for them than starting a
/// dispatch and sharing them over all compute units do.
const LARGE: usize = 1 << 20;
/// Batch elements that fill enough of a tile.
const ENOUGH: usize = 4;
/// Loop iterations for a group of units, generously: with run-time checks a compiler unrolls no loop over a tile's rows.
const TURNS: usize = 16;

/// Whether it is to be preferred to all steps in one dispatch.
pub(super) fn is_better(layer: &Layer) -> bool {
    let shape = layer.shape();
    let weights = shape.hidden * shape.hidden * layer.cell().gates() * 4;
    shape.batch >= ENOUGH && weights >= LARGE
}

/// The variant, with so many terms of a sum spelled out.
pub(super) fn lower(layer: &Layer, terms: u32) -> Result<Lowering> {
    let shape = layer.shape();
    if shape.steps == 0 {
        return Err(Error::unsupported("there are no steps"));
    }
    let parts = layer.single_steps()?;
    let mut dispatches = vec![];
    if layer.io.optional(3).is_some() {
        let fours = shape.directions * units(shape.hidden) * 4 * shape.batch.div_ceil(4);
        let kernel = Kernel::new(&STATE, &[Access::Read, Access::Write], [64, 1, 1]);
        dispatches.push(layer.first_state(kernel, 4, fours)?);
    }
    for part in parts {
        for product in layer.products(part) {
            dispatches.push(step(layer, part, product, terms)?);
        }
    }
    let state_bytes = (shape.directions * units(shape.hidden) * 4 * shape.batch.next_multiple_of(4) * 4) as u64;
    Ok(Lowering::new(dispatches).temporaries(layer.scratch(state_bytes)))
}

/// The dispatch of one product of one step.
fn step(layer: &Layer, part: Part, product: Product, terms: u32) -> Result<Dispatch> {
    let shape = layer.shape();
    let mut access = [Access::Read; 8];
    access[5..].fill(Access::Write);
    let first = if layer.has_state(part) { Operand::Temporary(1) } else { Operand::Nothing };
    let states = layer.states(part, product, first, Some(Operand::Output(1)));
    let bindings = layer.bindings(&states);
    let kernel = layer
        .kernel(&SHADER, &access, SIDE, part)?
        .prelude(&preludes::RECURRENT_WEIGHTS)
        .constant("TERMS", terms)
        .set("LAST", u32::from(states.is_last));
    let kernel = Kernel { workgroup: [SIDE, SIDE, 1], ..product.constants(kernel)? };
    let side = SIDE as usize;
    let grid = [units(shape.hidden).div_ceil(side), shape.batch.div_ceil(4 * side), part.directions];
    let dispatch = layer.dispatch(kernel, bindings, part, grid)?.turns(TURNS * (units(shape.hidden) + 1));
    Ok(layer.work(dispatch, product, part))
}
