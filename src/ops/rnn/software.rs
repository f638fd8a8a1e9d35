//! What recurrent layers have for software adapters: one step per dispatch, by broadcasts within a subgroup, over weights and
//! states in textures; and how the kernels that serve all adapters are taken there.

use super::gradient_lower::{Back, Products, Walk};
use super::lower::{
    Layer, PREFER_PERSISTENT, PREFER_PERSISTENT_TO_STEPS, Part, Preferences, Product, RecurrentParams, StateParams,
};
use super::pack::{stride, units};
use super::persistent::{Sharing, Weights};
use super::{Cell, RecurrentShape};
use crate::error::{Error, Result};
use crate::kernel::{Access, Dispatch, Kernel, Lowering, Offers, Operand, Packing, Rank, preludes, shader, u32s};
use crate::tensor::Tensor;

shader!(pub(super) static SHADER: RecurrentParams = "software/recurrent_broadcast");
shader!(pub(super) static STATE: StateParams = "software/recurrent_state");

/// These go first.
const RANK: Rank = 0;
/// These go second: steps so short that a dispatch for each takes longer than all of them by one core.
const SHORT: Rank = 1;
/// Loads of a texture, in each of eight lanes, that take less time than a dispatch.
const SHORT_STEP: usize = 2048;
/// Steps that read weights where they lie go last, where too few batch elements share what is read.
const LAST: Rank = 3;
/// Batch elements that are enough for them.
const ENOUGH: usize = 8;

/// Batch elements of a workgroup, the better choices first, with the names of their variants.
fn tiles(batch: usize) -> &'static [(usize, &'static str)] {
    match batch {
        0..4 => &[(1, "steps1"), (8, "steps8")],
        4..9 => &[(8, "steps8"), (1, "steps1")],
        9..17 => &[(16, "steps16"), (8, "steps8")],
        _ => &[(16, "steps16"), (32, "steps32"), (8, "steps8")],
    }
}

/// Offers the variants that only software adapters run, and answers how the others are taken; `None` on GPUs.
pub(super) fn offer(layer: &Layer, offers: &mut Offers) -> Option<Preferences> {
    if !layer.caps.is_software() {
        return None;
    }
    let constant = weights_are_constants(layer);
    let rank = match layer.shape().batch {
        _ if constant && is_short(layer) => SHORT,
        batch if constant || batch >= ENOUGH => RANK,
        _ => LAST,
    };
    for (rows, variant) in tiles(layer.shape().batch) {
        offers.add(variant, rank, || steps(layer, *rows));
    }
    let (sharing, weights) = match lanes(layer) {
        Ok(lanes) if constant => (Sharing { lanes: lanes as usize, ..sharing(layer) }, weights(layer, lanes)),
        _ => (sharing(layer), None),
    };
    let ranks = if rank == SHORT { PREFER_PERSISTENT_TO_STEPS } else { PREFER_PERSISTENT };
    // A sum spelled out whole is long to compile where every instruction becomes many.
    Some(Preferences { ranks, sharing, weights: weights.unwrap_or_else(Weights::lying), terms: 4 })
}

/// Whether the loads of weights of a step take one core less time than the dispatches of a step take.
fn is_short(layer: &Layer) -> bool {
    let (cell, shape, units) = (layer.cell(), layer.shape(), units(layer.shape().hidden));
    let loads = 4 * units * cell.gates() * units.div_ceil(8);
    let dispatches = if cell.takes_two_products() { 2 } else { 1 };
    loads <= SHORT_STEP * dispatches && shape.batch < 4
}

/// The weights of `persistent` in blocks for so many lanes.
fn weights(layer: &Layer, lanes: u32) -> Option<Weights> {
    let [slots] = u32s([slots(layer.cell())]).ok()?;
    Some(Weights {
        operand: Operand::Packed(0),
        access: Access::ReadTexture,
        join: |kernel| kernel.texels().prelude(&preludes::RECURRENT_WEIGHTS_BLOCKS),
        constants: vec![("SLOTS", slots)],
        packed: packings(layer, lanes).ok()?,
    })
}

/// How a workgroup shares the steps it takes: it is a core, whose invocations take turns, so that several batch elements use each weight
/// that is loaded, and no slices are added up.
fn sharing(layer: &Layer) -> Sharing {
    let lanes = units(layer.shape().hidden).next_multiple_of(8).min(64);
    let tile = match layer.shape().batch {
        0..4 => 1,
        4..16 => 2,
        _ => 4,
    };
    Sharing { lanes, slices: 1, tile }
}

/// Gates that a block of weights has room for: blocks do not run on from a row of the texture to the next.
fn slots(cell: Cell) -> usize {
    cell.gates().next_power_of_two()
}

/// Whether the weights can be put into blocks before the model runs.
fn weights_are_constants(layer: &Layer) -> bool {
    layer.io.optional(1).is_some_and(|fact| fact.value.is_some())
}

/// Lanes of a workgroup, which is a subgroup, where they can exchange states and the weights fit a texture.
fn lanes(layer: &Layer) -> Result<u32> {
    let caps = layer.caps;
    let lanes = caps.broadcasting_lanes().filter(|lanes| lanes.is_power_of_two());
    let lanes = lanes.ok_or_else(|| Error::unsupported("subgroups are too narrow, or their size is not known"))?;
    let (cell, shape, units) = (layer.cell(), layer.shape(), units(layer.shape().hidden));
    let blocks = shape.directions * units.div_ceil(lanes as usize);
    let fits = match weights_are_constants(layer) {
        true => caps.constants_in_textures((blocks * (units + 2) * 4 * slots(cell) * lanes as usize * 16) as u64),
        false => caps.texture_holds((shape.directions * stride(cell, shape.hidden) * 16) as u64),
    };
    if !fits {
        return Err(Error::unsupported("the weights exceed a texture"));
    }
    Ok(lanes)
}

/// The variant with so many batch elements in a workgroup.
fn steps(layer: &Layer, rows: usize) -> Result<Lowering> {
    let (shape, lanes) = (layer.shape(), lanes(layer)?);
    let units = units(shape.hidden);
    let parts = layer.single_steps()?;
    let given = u32::from(layer.io.optional(3).is_some());
    let state = Kernel::new(&STATE, &[Access::Read, Access::WriteTexture], [64, 1, 1]).texels().set("GIVEN", given);
    let mut dispatches = vec![layer.first_state(state, rows, shape.directions * shape.batch * units)?];
    for part in parts {
        for product in layer.products(part) {
            dispatches.push(step(layer, lanes, rows, part, product)?);
        }
    }
    let state_bytes = (shape.directions * shape.batch.next_multiple_of(rows) * units * 16) as u64;
    Ok(Lowering::new(dispatches).temporaries(layer.scratch(state_bytes)).packed(packings(layer, lanes)?))
}

/// How the weights are put into blocks, where they are constants.
fn packings(layer: &Layer, lanes: u32) -> Result<Vec<Packing>> {
    if !weights_are_constants(layer) {
        return Ok(vec![]);
    }
    let (shape, cell) = (layer.shape(), layer.cell());
    let stride = stride(cell, shape.hidden);
    let arguments = u32s([shape.directions, cell.gates(), units(shape.hidden), stride, slots(cell), lanes as usize])?;
    Ok(vec![Packing { input: 1, layout: "recurrent_texels", arguments: arguments.to_vec(), pack }])
}

/// The dispatch of one product of one step.
fn step(layer: &Layer, lanes: u32, rows: usize, part: Part, product: Product) -> Result<Dispatch> {
    let shape = layer.shape();
    let mut access = [Access::Read; 9];
    (access[1], access[3], access[8]) = (Access::ReadTexture, Access::ReadTexture, Access::WriteTexture);
    access[5..8].fill(Access::Write);
    let states = layer.states(part, product, Operand::Temporary(1), None);
    let in_blocks = weights_are_constants(layer);
    let bindings = vec![
        Operand::Input(0),
        if in_blocks { Operand::Packed(0) } else { Operand::Input(1) },
        layer.optional(2),
        states.before,
        states.cell_before,
        Operand::Output(0),
        Operand::Output(1),
        states.cell_after,
        states.after,
    ];
    let [row_count, slots] = u32s([rows, slots(layer.cell())])?;
    let kernel = layer.kernel(&SHADER, &access, lanes, part)?.texels().prelude(&preludes::ROW_SUMS);
    let kernel = match in_blocks {
        true => kernel.prelude(&preludes::RECURRENT_WEIGHTS_BLOCKS).constant("SLOTS", slots),
        false => kernel.prelude(&preludes::RECURRENT_WEIGHTS_TEXELS),
    };
    let kernel = kernel.constant("LANES", lanes).constant("ROWS", row_count);
    let grid = [units(shape.hidden).div_ceil(lanes as usize), shape.batch.div_ceil(rows), part.directions];
    // The walk over the state, then for each batch element the four units that are written.
    let turns = units(shape.hidden) + 5 * rows;
    let dispatch = layer.dispatch(product.constants(kernel)?, bindings, part, grid)?.turns(turns);
    Ok(layer.work(dispatch, product, part))
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

/// Batch elements that travel by broadcast together.
const TOGETHER: usize = 8;

/// The products of the way back by broadcast, with weights from a texture.
const BROADCAST: Products = Products {
    weights: Operand::Nothing,
    elsewhere: Some((Access::ReadTexture, Operand::Input(1))),
    preludes: |kernel| kernel.texels().prelude(&preludes::ROW_SUMS).prelude(&preludes::RECURRENT_GRADIENT_SUMS_TEXELS),
    in_slices: false,
};

/// Offers the way back that only software adapters take, and answers how the one for all adapters is taken there; `None` on GPUs.
pub(super) fn offer_back(back: &Back, offers: &mut Offers) -> Option<Walk> {
    if !back.caps.is_software() {
        return None;
    }
    let RecurrentShape { batch, hidden, .. } = back.op.geometry;
    // A row of eight is computed whole.
    if batch >= TOGETHER / 2 {
        offers.add("broadcast", RANK, || {
            let bytes = back.io.input(1)?.ty.elements() as u64 * 4;
            let subgroup = back.caps.broadcasting_lanes().filter(|lanes| lanes.is_power_of_two());
            let subgroup = subgroup.ok_or_else(|| Error::unsupported("subgroups are too narrow, or their size is not known"))?;
            if !hidden.is_multiple_of(4) || !back.caps.texture_holds(bytes) {
                return Err(Error::unsupported("the weights are not groups of four that a texture holds"));
            }
            let lanes = units(hidden).next_multiple_of(subgroup as usize).min(64);
            Walk { lanes, slices: 1, tile: TOGETHER }.lower(back, &BROADCAST)
        });
    }
    let lanes = units(hidden).div_ceil(2).next_multiple_of(8).min(64);
    let tile = match batch {
        0..4 => 1,
        4..16 => 4,
        _ => 8,
    };
    Some(Walk { lanes, slices: 1, tile })
}
