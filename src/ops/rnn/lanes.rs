//! One step of a recurrent layer per dispatch, by broadcasts within a subgroup, over weights and states in textures.

use super::Cell;
use super::lower::{Layer, Part, Product, RecurrentParams, STATES_BETWEEN};
use super::pack::{stride, units};
use crate::error::Result;
use crate::kernel::{Access, AdapterClass, Dispatch, Kernel, Lowering, Operand, Packing, params, preludes, shader};
use crate::tensor::Tensor;

params! {
    /// Parameters of the kernel that fills the first state.
    struct StateParams {
        batch: u32,
        hidden: u32,
        directions: u32,
        batch_first: u32,
        units: u32,
        rows: u32,
    }
}

shader!(pub(super) static SHADER: RecurrentParams = "recurrent_step_lanes");

shader!(pub(super) static STATE: StateParams = "recurrent_state");

/// Batch elements of a workgroup, the better choices first, with the names of their variants.
fn tiles(batch: usize) -> &'static [(usize, &'static str)] {
    match batch {
        0..4 => &[(1, "steps1"), (8, "steps8")],
        4..9 => &[(8, "steps8"), (1, "steps1")],
        9..17 => &[(16, "steps16"), (8, "steps8")],
        _ => &[(16, "steps16"), (32, "steps32"), (8, "steps8")],
    }
}

/// Gates that a block of weights has room for: blocks do not run on from a row of the texture to the next.
fn slots(cell: Cell) -> usize {
    cell.gates().next_power_of_two()
}

/// The candidates, the best first, where subgroups have eight lanes or more, textures are fast and weights are constants.
pub(super) fn lower(layer: &Layer) -> Vec<Result<Lowering>> {
    let (g, cell, caps) = (layer.geometry(), layer.op.layer.cell, layer.caps);
    let Some(lanes) = caps.subgroup.filter(|lanes| lanes.is_power_of_two() && (8..=64).contains(lanes)) else { return vec![] };
    let units = units(g.hidden);
    let constant = layer.io.optional(1).is_some_and(|fact| fact.value.is_some());
    let blocks = g.directions * units.div_ceil(lanes as usize);
    let weights = blocks * (units + 2) * 4 * slots(cell) * lanes as usize * 16;
    let state = |rows: usize| (g.directions * g.batch.next_multiple_of(rows) * units * 16) as u64;
    let states = if cell.takes_two_products() { STATES_BETWEEN } else { 1 };
    let fits = caps.texture_holds(weights as u64) && units + 64 <= caps.max_loop as usize;
    if caps.class != AdapterClass::Cpu || !constant || !fits || !layer.takes_few_dispatches() {
        return vec![];
    }
    let fitting = tiles(g.batch).iter().filter(|(rows, _)| caps.texture_holds(states * state(*rows)));
    fitting.map(|(rows, variant)| steps(layer, variant, lanes, *rows, state(*rows))).collect()
}

fn steps(layer: &Layer, variant: &'static str, lanes: u32, rows: usize, state_bytes: u64) -> Result<Lowering> {
    let (g, cell) = (layer.geometry(), layer.op.layer.cell);
    let units = units(g.hidden);
    let gates = cell.gates() as u32;
    let arguments = vec![g.directions as u32, gates, units as u32, stride(cell, g.hidden) as u32, slots(cell) as u32, lanes];
    let packing = Packing { input: 1, layout: "recurrent_texels", arguments, pack };
    let mut dispatches = vec![first_state(layer, rows)?];
    for part in layer.parts(1) {
        for product in layer.products(part) {
            dispatches.push(step(layer, lanes, rows, part, product)?);
        }
    }
    let memory_bytes = (g.directions * g.batch * g.hidden * 4) as u64;
    let mut temporaries = vec![state_bytes, state_bytes, memory_bytes, memory_bytes];
    if cell.takes_two_products() {
        temporaries.push(STATES_BETWEEN * state_bytes);
    }
    Ok(Lowering::Dispatches { variant, dispatches, temporaries, packed: vec![packing], tables: vec![] })
}

/// The dispatch of one product of one step.
fn step(layer: &Layer, lanes: u32, rows: usize, part: Part, product: Product) -> Result<Dispatch> {
    let (g, cell) = (layer.geometry(), layer.op.layer.cell);
    let mut access = [Access::Read; 9];
    (access[1], access[3], access[8]) = (Access::ReadTexture, Access::ReadTexture, Access::WriteTexture);
    access[5..8].fill(Access::Write);
    let (products, turn) = (Operand::Input(0), layer.turn(part, 1));
    let between = Operand::Temporary(4);
    let bindings = vec![
        products,
        Operand::Packed(0),
        layer.optional(2, products),
        if product.number == 2 && layer.has_state(part) { between } else { turn.before },
        turn.cell_before,
        Operand::Output(0),
        Operand::Output(1),
        turn.cell_after,
        if product.number == 1 { between } else { turn.after },
    ];
    let kernel = layer.kernel(&SHADER, &access, lanes, part).texels().prelude(&preludes::ROW_SUMS);
    let kernel = kernel.constant("LANES", lanes).constant("ROWS", rows as u32).constant("SLOTS", slots(cell) as u32);
    let grid = [units(g.hidden).div_ceil(lanes as usize), g.batch.div_ceil(rows), part.directions];
    let dispatch = layer.dispatch(product.constants(kernel), bindings, part, grid)?;
    Ok(layer.work(dispatch, product, part))
}

/// Fills the texture that the first step reads: with the state that is given, else with zeros.
fn first_state(layer: &Layer, rows: usize) -> Result<Dispatch> {
    let g = layer.geometry();
    let params = StateParams {
        batch: g.batch as u32,
        hidden: g.hidden as u32,
        directions: g.directions as u32,
        batch_first: u32::from(layer.op.layer.batch_first),
        units: units(g.hidden) as u32,
        rows: rows as u32,
    };
    let groups = g.directions * g.batch * units(g.hidden);
    let given = layer.io.optional(3).is_some();
    let kernel = Kernel::new(&STATE, &[Access::Read, Access::WriteTexture], [64, 1, 1]).texels().set("GIVEN", u32::from(given));
    let bindings = vec![layer.optional(3, Operand::Input(0)), Operand::Temporary(1)];
    let grid = Dispatch::linear_grid(groups.div_ceil(64) as u64, layer.caps)?;
    Ok(Dispatch::new(kernel, params, bindings, grid).work(0, groups as u64 * 32))
}

/// Packed weights in blocks for [`SHADER`], groups of four: per direction and `lanes` groups of units, for each four units of
/// the state `[4][slots][lanes]`, then `[2][gates][lanes]` biases and `[3][lanes]` peepholes, padded to two blocks.
/// Arguments: directions, gates, units, stride, slots, lanes.
fn pack(tensor: &Tensor, arguments: &[u32]) -> Vec<u8> {
    let [directions, gates, units, stride, slots, lanes] = [0, 1, 2, 3, 4, 5].map(|k| arguments[k] as usize);
    let data = tensor.to_f64();
    let (tiles, block) = (units.div_ceil(lanes), 4 * slots * lanes);
    let mut packed = vec![[0f32; 4]; directions * tiles * (units + 2) * block];
    let group = |at: usize| [0, 1, 2, 3].map(|k| data[at * 4 + k] as f32);
    for direction in 0..directions {
        for unit in 0..units {
            let to = (direction * tiles + unit / lanes) * (units + 2) * block + unit % lanes;
            let from = direction * stride + unit;
            for row in 0..4 * units {
                for gate in 0..gates {
                    packed[to + (row * slots + gate) * lanes] = group(from + (row * gates + gate) * units);
                }
            }
            for rest in 0..2 * gates + 3 {
                packed[to + (4 * units * slots + rest) * lanes] = group(from + (4 * units * gates + rest) * units);
            }
        }
    }
    bytemuck::cast_slice(&packed).to_vec()
}
