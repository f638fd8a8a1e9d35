//! One step of a recurrent layer per dispatch, as a matrix product in tiles, for GPUs.

use super::lower::{Layer, Part, Product, RecurrentParams, STATES_BETWEEN};
use super::pack::units;
use crate::error::{Error, Result};
use crate::kernel::{Access, AdapterClass, Dispatch, Kernel, Lowering, Operand, params, preludes, shader};

params! {
    /// Parameters of the kernel that orders the first state.
    struct StateParams {
        batch: u32,
        hidden: u32,
        directions: u32,
        batch_first: u32,
        units: u32,
    }
}

shader!(pub(super) static SHADER: RecurrentParams = "recurrent_step_tiled");

shader!(pub(super) static STATE: StateParams = "recurrent_state_rows");

/// Groups of units, and fours of batch elements, of a workgroup.
const SIDE: usize = 8;
/// Bytes of weights that one workgroup should not read for each step: a compute unit takes longer for them than starting a
/// dispatch and sharing them over all compute units do.
const LARGE: usize = 1 << 20;
/// Batch elements that fill enough of a tile.
const ENOUGH: usize = 4;

/// Whether it is to be preferred to all steps in one dispatch.
pub(super) fn is_better(layer: &Layer) -> bool {
    let g = layer.geometry();
    let weights = g.hidden * g.hidden * layer.op.layer.cell.gates() * 4;
    layer.caps.class != AdapterClass::Cpu && g.batch >= ENOUGH && weights >= LARGE
}

/// The candidate; `None` where there are too many steps, or none.
pub(super) fn lower(layer: &Layer) -> Option<Result<Lowering>> {
    (layer.geometry().steps > 0 && layer.takes_few_dispatches()).then(|| steps(layer))
}

fn steps(layer: &Layer) -> Result<Lowering> {
    let g = layer.geometry();
    let units = units(g.hidden);
    if units >= layer.caps.max_loop as usize / 16 {
        return Err(Error::unsupported(format!("a state of {} takes too many iterations of a loop", g.hidden)));
    }
    let mut dispatches = vec![];
    if layer.io.optional(3).is_some() {
        dispatches.push(first_state(layer)?);
    }
    for part in layer.parts(1) {
        for product in layer.products(part) {
            dispatches.push(step(layer, part, product)?);
        }
    }
    let state_bytes = (g.directions * units * 4 * g.batch.next_multiple_of(4) * 4) as u64;
    let memory_bytes = (g.directions * g.batch * g.hidden * 4) as u64;
    let mut temporaries = vec![state_bytes, state_bytes, memory_bytes, memory_bytes];
    if layer.op.layer.cell.takes_two_products() {
        temporaries.push(STATES_BETWEEN * state_bytes);
    }
    Ok(Lowering::Dispatches { variant: "steps_tiled", dispatches, temporaries, packed: vec![], tables: vec![] })
}

/// The dispatch of one product of one step.
fn step(layer: &Layer, part: Part, product: Product) -> Result<Dispatch> {
    let g = layer.geometry();
    // Spelled out whole the loop is fastest, but long to compile where every instruction becomes many.
    let terms = if layer.caps.class == AdapterClass::Cpu { 4 } else { 16 };
    let mut access = [Access::Read; 8];
    access[5..].fill(Access::Write);
    let (inputs, turn) = (Operand::Input(0), layer.turn(part, 1));
    let between = Operand::Temporary(4);
    let last = part.last == g.steps && product.number != 1;
    let h = match product.number {
        _ if !layer.has_state(part) => inputs,
        2 => between,
        _ => turn.before,
    };
    let h_out = match product.number {
        1 => between,
        _ if last => Operand::Output(1),
        _ => turn.after,
    };
    let bindings =
        vec![inputs, Operand::Input(1), layer.optional(2, inputs), h, turn.cell_before, Operand::Output(0), h_out, turn.cell_after];
    let kernel = layer
        .kernel(&SHADER, &access, 1, part)
        .prelude(&preludes::RECURRENT_WEIGHTS)
        .constant("TERMS", terms)
        .set("LAST", u32::from(last));
    let kernel = Kernel { workgroup: [SIDE as u32, SIDE as u32, 1], ..product.constants(kernel) };
    let grid = [units(g.hidden).div_ceil(SIDE), g.batch.div_ceil(4 * SIDE), part.directions];
    let dispatch = layer.dispatch(kernel, bindings, part, grid)?;
    Ok(layer.work(dispatch, product, part))
}

/// Orders the state that is given for the first step.
fn first_state(layer: &Layer) -> Result<Dispatch> {
    let g = layer.geometry();
    let params = StateParams {
        batch: g.batch as u32,
        hidden: g.hidden as u32,
        directions: g.directions as u32,
        batch_first: u32::from(layer.op.layer.batch_first),
        units: units(g.hidden) as u32,
    };
    let fours = g.directions * units(g.hidden) * 4 * g.batch.div_ceil(4);
    let kernel = Kernel::new(&STATE, &[Access::Read, Access::Write], [64, 1, 1]);
    let grid = Dispatch::linear_grid(fours.div_ceil(64) as u64, layer.caps)?;
    let dispatch = Dispatch::new(kernel, params, vec![Operand::Input(3), Operand::Temporary(1)], grid);
    Ok(dispatch.work(0, fours as u64 * 32))
}
