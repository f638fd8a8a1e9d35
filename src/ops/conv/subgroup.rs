//! The convolution for adapters that are a CPU: constant weights and unfolded lines in textures, values shared by broadcast.

use super::rows::{Rows, columns};
use super::unfold::{self, Lines};
use super::{Axis, Problem, floats, spatial};
use crate::error::Result;
use crate::graph::Io;
use crate::kernel::{Access, AdapterClass, Caps, Dispatch, Kernel, Lowering, Operand, Packing, params, preludes, shader};
use crate::tensor::Tensor;

params! {
    /// Parameters of the product.
    struct SubgroupParams {
        groups: u32,
        filters: u32,
        terms: u32,
        steps: u32,
        places: u32,
        plane: u32,
        line: u32,
        output_height: u32,
        output_width: u32,
    }
}

params! {
    /// Parameters of the unfolding.
    struct LinesParams { planes: u32, input_height: u32, input_width: u32, output_width: u32, lines: u32 }
}

shader!(pub(super) static SHADER: SubgroupParams = "conv_subgroup");
shader!(pub(super) static LINES: LinesParams = "conv_lines");

/// Tiles below which cores would stand idle.
const ENOUGH_TILES: usize = 16;

/// The most groups of pixels that the terms of a sum lie in: their places are floats.
const MOST_PLACES: usize = 1 << 24;

/// The most input columns of four outputs whose taps are written out one by one.
const MOST_COLUMNS: usize = 32;

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
    let lines = Lines::new(problem);
    let (quads, texels, plane) = (lines.quads, lines.groups, problem.channels * lines.plane);
    let pixel_tiles = (height.output * quads).div_ceil(lanes as usize);
    let rows = tile_rows(problem, pixel_tiles * problem.batches * problem.groups);
    let tiles = problem.filters.div_ceil(rows);
    let terms = problem.channels * problem.taps();
    let steps = terms.div_ceil(4);
    // The weights and the places of the terms, which are exact as floats.
    let weights = (problem.groups * tiles * steps * rows + steps) as u64;
    let grid = [tiles, pixel_tiles, problem.batches * problem.groups];
    let fits = grid.iter().all(|n| *n <= caps.max_grid as usize) && steps + 8 <= caps.max_loop as usize;
    if !fits || plane > MOST_PLACES || !caps.texture_holds(texels * 16) || !caps.texture_holds(weights * 16) {
        return Ok(None);
    }

    let unfold = match columns(problem) {
        0..=MOST_COLUMNS => by_rows(problem, &lines, caps)?,
        _ => unfold::lower(problem, &lines, true, caps)?,
    };

    let four = width.output.is_multiple_of(4);
    let access = [Access::ReadTexture, Access::ReadTexture, Access::Write];
    let kernel = Kernel::new(&SHADER, &access, [lanes, 1, 1])
        .constant("LANES", lanes)
        .prelude(&preludes::ROW_SUMS)
        .prelude(&preludes::DIVIDE)
        .constant("ROWS", rows as u32)
        .constant("K_EDGE", (!terms.is_multiple_of(4)).into())
        .texels()
        .prelude(if four { &preludes::STORE_WIDTH4 } else { &preludes::STORE_WIDTH1 })
        .prelude(&preludes::ROW_STORES);
    let mut bindings = vec![Operand::Packed(0), Operand::Temporary(0), Operand::Output(0)];
    let kernel = io.attach_epilogue(kernel, &mut bindings, if four { 4 } else { 1 }, caps)?;
    let line = width.kernel * quads;
    let params = SubgroupParams {
        groups: problem.groups as u32,
        filters: problem.filters as u32,
        terms: terms as u32,
        steps: steps as u32,
        places: (problem.groups * tiles * steps * rows) as u32,
        plane: plane as u32,
        line: (height.stride * line) as u32,
        output_height: height.output as u32,
        output_width: width.output as u32,
    };
    let (flops, bytes) = problem.work();
    let product = Dispatch::new(kernel, params, bindings, grid.map(|n| n as u32)).work(flops, bytes);
    let arguments =
        [problem.filters, problem.channels, height.kernel, width.kernel, rows, lines.plane, height.dilation * line, quads];
    let arguments = arguments.map(|n| n as u32).to_vec();
    Ok(Some(Lowering::Dispatches {
        variant: "texels",
        dispatches: vec![unfold, product],
        temporaries: vec![texels * 16],
        packed: vec![Packing { input: 1, layout: "conv_subgroup", arguments, pack }],
        tables: vec![],
    }))
}

/// The dispatch that unfolds the lines of a narrow window, which reads each pixel once.
fn by_rows(problem: &Problem, lines: &Lines, caps: &Caps) -> Result<Dispatch> {
    let [_, height, width] = spatial(problem);
    let planes = problem.batches * problem.groups * problem.channels;
    let access = [Access::Read, Access::WriteTexture];
    let unfold = Rows::exchanged(&LINES, &access, problem, [lines.lines, planes], caps)
        .unwrap_or_else(|| Rows::direct(&LINES, &access, problem));
    let grid = unfold.grid(lines.lines, planes, caps)?;
    let params = LinesParams {
        planes: planes as u32,
        input_height: height.input as u32,
        input_width: width.input as u32,
        output_width: width.output as u32,
        lines: lines.lines as u32,
    };
    let dispatch = Dispatch::new(unfold.kernel.texels(), params, vec![Operand::Input(0), Operand::Temporary(0)], grid);
    Ok(dispatch.work(0, 4 * (planes * problem.input_area()) as u64 + 16 * lines.groups))
}

/// Weights `[groups, filters, terms]` as `[groups, filter tiles, terms / 4, rows, 4]`, padded with zeros, and where the pixels of
/// each term stand in unfolded lines, from those of the first.
fn pack(tensor: &Tensor, arguments: &[u32]) -> Vec<u8> {
    let [filters, channels, height, width, rows, channel_step, row_step, tap_step] =
        [0, 1, 2, 3, 4, 5, 6, 7].map(|i| arguments[i] as usize);
    let terms = channels * height * width;
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
    let place = |term: usize| {
        let (row, tap) = (term / width, term % width);
        (row / height * channel_step + row % height * row_step + tap * tap_step) as f32
    };
    // Terms past the last read what the last reads.
    packed.extend((0..steps * 4).map(|term| place(term.min(terms - 1))));
    bytemuck::cast_slice(&packed).to_vec()
}
