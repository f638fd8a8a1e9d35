//! The convolution for adapters that are a CPU: constant weights and unfolded lines in textures, values shared by broadcast.

use super::rows::Rows;
use super::{Axis, Problem, extents, floats, spatial};
use crate::error::Result;
use crate::graph::Io;
use crate::kernel::{
    Access, AdapterClass, Caps, Dispatch, Kernel, Lowering, Operand, Packing, Parameters, Shader, params, preludes,
};
use crate::tensor::Tensor;

params! {
    /// Parameters of the product.
    struct SubgroupParams { groups: u32, filters: u32 }
}

params! {
    /// Parameters of the unfolding.
    struct LinesParams { planes: u32 }
}

pub(super) static SHADER: Shader =
    Shader { name: "conv_subgroup", source: include_str!("../../../shaders/conv_subgroup.wgsl"), params: SubgroupParams::FIELDS };
pub(super) static LINES: Shader =
    Shader { name: "conv_lines", source: include_str!("../../../shaders/conv_lines.wgsl"), params: LinesParams::FIELDS };

/// Tiles below which cores would stand idle.
const ENOUGH_TILES: usize = 16;

/// Filters of a tile: as many as registers hold, unless that wastes filters or leaves too few tiles.
fn tile_rows(problem: &Problem, tiles: usize) -> usize {
    let mut rows = 64;
    while rows > 8
        && (problem.filters.next_multiple_of(rows) - problem.filters >= rows / 2
            || problem.filters.div_ceil(rows) * tiles < ENOUGH_TILES)
    {
        rows /= 2;
    }
    rows
}

/// The candidate, over at most two axes, where weights are constant and textures hold them and the unfolded lines.
pub(super) fn lower(problem: &Problem, io: &Io, caps: &Caps) -> Result<Option<Lowering>> {
    let [depth, height, width] = spatial(problem);
    let constant = io.optional(1).is_some_and(|fact| fact.value.is_some());
    let Some(lanes) = caps.subgroup.filter(|lanes| (8..=64).contains(lanes)) else { return Ok(None) };
    if !constant || depth != Axis::ABSENT || caps.class != AdapterClass::Cpu {
        return Ok(None);
    }
    let planes = problem.batches * problem.groups * problem.channels;
    let lines = (height.output - 1) * height.stride + (height.kernel - 1) * height.dilation + 1;
    let quads = width.output.div_ceil(4);
    let texels = planes as u64 * (lines * width.kernel * quads) as u64;
    let pixel_tiles = (height.output * quads).div_ceil(lanes as usize);
    let rows = tile_rows(problem, pixel_tiles * problem.batches * problem.groups);
    let tiles = problem.filters.div_ceil(rows);
    let steps = (problem.channels * problem.taps()).div_ceil(4);
    let weights = (problem.groups * tiles * steps * rows) as u64;
    let grid = [tiles, pixel_tiles, problem.batches * problem.groups];
    let fits = grid.iter().all(|n| *n <= caps.max_grid as usize) && steps + 8 <= caps.max_loop as usize;
    if !fits || !caps.texture_holds(texels * 16) || !caps.texture_holds(weights * 16) {
        return Ok(None);
    }

    let access = [Access::Read, Access::WriteTexture];
    let unfold = Rows::exchanged(&LINES, &access, problem, caps).unwrap_or_else(|| Rows::direct(&LINES, &access, problem));
    let grid_lines = Dispatch::linear_grid(unfold.workgroups(planes * lines) as u64, caps)?;
    let kernel = unfold.kernel.constant("LINES", lines as u32).texels();
    let params = LinesParams { planes: planes as u32 };
    let unfold = Dispatch::new(kernel, params, vec![Operand::Input(0), Operand::Temporary(0)], grid_lines);
    let unfold = unfold.work(0, 4 * (planes * problem.input_area()) as u64 + 16 * texels);

    let four = width.output.is_multiple_of(4);
    let access = [Access::ReadTexture, Access::ReadTexture, Access::Write];
    let mut kernel = Kernel::new(&SHADER, &access, [lanes, 1, 1])
        .constant("LANES", lanes)
        .prelude(&preludes::ROW_SUMS)
        .constant("ROWS", rows as u32)
        .constant("LINES", lines as u32)
        .constant("CHANNELS", problem.channels as u32)
        .texels()
        .prelude(if four { &preludes::STORE_WIDTH4 } else { &preludes::STORE_WIDTH1 });
    kernel.constants.extend(extents(&spatial(problem)));
    let mut bindings = vec![Operand::Packed(0), Operand::Temporary(0), Operand::Output(0)];
    let kernel = io.attach_epilogue(kernel, &mut bindings, if four { 4 } else { 1 }, caps)?;
    let params = SubgroupParams { groups: problem.groups as u32, filters: problem.filters as u32 };
    let (flops, bytes) = problem.work();
    let product = Dispatch::new(kernel, params, bindings, grid.map(|n| n as u32)).work(flops, bytes);
    let arguments = [problem.filters, problem.channels * problem.taps(), rows].map(|n| n as u32).to_vec();
    Ok(Some(Lowering::Dispatches {
        variant: "texels",
        dispatches: vec![unfold, product],
        temporaries: vec![texels * 16],
        packed: vec![Packing { input: 1, layout: "conv_subgroup", arguments, pack }],
    }))
}

/// Weights `[groups, filters, terms]` as `[groups, filter tiles, terms / 4, rows, 4]`, padded with zeros.
fn pack(tensor: &Tensor, arguments: &[u32]) -> Vec<u8> {
    let [filters, terms, rows] = [0, 1, 2].map(|i| arguments[i] as usize);
    let (tiles, steps) = (filters.div_ceil(rows), terms.div_ceil(4));
    let data = floats(tensor);
    let groups = data.len() / (filters * terms);
    let mut packed = vec![0f32; groups * tiles * steps * rows * 4];
    for (at, value) in data.iter().enumerate() {
        let (filter, term) = (at / terms, at % terms);
        let (group, filter) = (filter / filters, filter % filters);
        let tile = group * tiles + filter / rows;
        packed[((tile * steps + term / 4) * rows + filter % rows) * 4 + term % 4] = *value;
    }
    bytemuck::cast_slice(&packed).to_vec()
}
