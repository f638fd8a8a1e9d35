//! The product of constant weights and unfolded lines, both in textures; weights travel by broadcast within a subgroup.

use super::super::{ConvShape, check_weights, floats, with_stores};
use super::unfold::UnfoldedLines;
use crate::error::{Error, Result};
use crate::graph::Io;
use crate::kernel::software::tile_rows;
use crate::kernel::{Access, Caps, Dispatch, Kernel, Lowering, Operand, Packing, params, preludes, shader, u32s};
use crate::tensor::Tensor;

params! {
    /// Parameters of the product.
    struct UnfoldedProductParams {
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

shader!(pub(in crate::ops::conv) static SHADER: UnfoldedProductParams = "software/conv_unfolded_product");

/// The most groups of pixels that the terms of a sum lie in: their places are floats.
const MOST_PLACES: usize = 1 << 24;

/// How the product is divided.
struct Tiles {
    lanes: u32,
    /// Filters of a tile.
    rows: usize,
    /// Tiles along the filters of a group, and along the pixels.
    filters: usize,
    pixels: usize,
    /// Steps of four terms.
    steps: usize,
}

impl Tiles {
    fn new(conv: &ConvShape, lines: &UnfoldedLines, lanes: u32) -> Result<Self> {
        let [height, _] = conv.plane()?;
        let pixels = (height.output * lines.quads).div_ceil(lanes as usize);
        let rows = tile_rows(conv.filters, pixels * conv.batches * conv.groups);
        Ok(Tiles { lanes, rows, filters: conv.filters.div_ceil(rows), pixels, steps: conv.terms().div_ceil(4) })
    }

    /// Groups of four weights.
    fn weights(&self, conv: &ConvShape) -> usize {
        conv.groups * self.filters * self.steps * self.rows
    }

    /// The dispatch of the product with pixels in a texture.
    fn product(&self, conv: &ConvShape, lines: &UnfoldedLines, pixels: Operand, io: &Io, caps: &Caps) -> Result<Dispatch> {
        let [height, width] = conv.plane()?;
        let access = [Access::ReadTexture, Access::ReadTexture, Access::Write];
        let [rows, steps] = u32s([self.rows, self.steps])?;
        let kernel = Kernel::new(&SHADER, &access, [self.lanes, 1, 1])
            .constant("LANES", self.lanes)
            .prelude(&preludes::ROW_SUMS)
            .prelude(&preludes::DIVIDE)
            .constant("ROWS", rows)
            .constant("K_EDGE", (!conv.terms().is_multiple_of(4)).into())
            .texels()
            .prelude(&preludes::ROW_STEPS)
            .prelude(&preludes::ROW_STORES);
        let mut bindings = vec![Operand::Packed(0), pixels, Operand::Output(0)];
        let kernel = with_stores(kernel, &mut bindings, width.output, io, caps)?;
        let [groups, filters, terms, places] = u32s([conv.groups, conv.filters, conv.terms(), self.weights(conv)])?;
        let [plane, line] = u32s([conv.channels * lines.plane, height.stride * width.kernel * lines.quads])?;
        let [output_height, output_width] = u32s([height.output, width.output])?;
        let params = UnfoldedProductParams { groups, filters, terms, steps, places, plane, line, output_height, output_width };
        let grid = u32s([self.filters, self.pixels, conv.batches * conv.groups])?;
        let (flops, bytes) = conv.work();
        Ok(Dispatch::new(kernel, params, bindings, grid).turns(self.steps + 8).work(flops, bytes))
    }

    /// The weights in tiles, and where the pixels of their terms stand.
    fn packing(&self, conv: &ConvShape, lines: &UnfoldedLines) -> Result<Packing> {
        let [height, width] = conv.plane()?;
        let weights = u32s([conv.filters, conv.channels, height.kernel, width.kernel, self.rows])?;
        let steps = u32s([lines.plane, height.dilation * width.kernel * lines.quads, lines.quads])?;
        Ok(Packing { input: 1, layout: "conv_unfolded_product", arguments: [&weights[..], &steps].concat(), pack })
    }
}

/// The variant, over at most two axes, where weights are constant and textures hold them and the unfolded lines.
pub(super) fn lower(conv: &ConvShape, io: &Io, caps: &Caps) -> Result<Lowering> {
    check_weights(io)?;
    let lanes = caps.broadcasting_lanes().ok_or_else(|| Error::unsupported("subgroups have fewer than 8 lanes"))?;
    // Pixels that only the sums at their place see stand in one line.
    let flat = conv.is_pointwise().then(|| conv.flattened());
    let conv = flat.as_ref().unwrap_or(conv);
    let lines = UnfoldedLines::new(conv)?;
    let tiles = Tiles::new(conv, &lines, lanes)?;
    if conv.channels * lines.plane > MOST_PLACES {
        return Err(Error::unsupported(format!("the unfolded lines of an image exceed {MOST_PLACES} groups of pixels")));
    }
    // The weights and the places of the terms, which are exact as floats.
    if !caps.texture_holds(16 * (tiles.weights(conv) + tiles.steps) as u64) {
        return Err(Error::unsupported("a texture does not hold the weights"));
    }
    let packing = vec![tiles.packing(conv, &lines)?];
    if flat.is_some() && lies_in_fours(conv, io, caps)? {
        return Ok(Lowering::new(vec![tiles.product(conv, &lines, Operand::Input(0), io, caps)?]).packed(packing));
    }
    let unfold = lines.to_texture(conv, caps)?;
    let product = tiles.product(conv, &lines, Operand::Temporary(0), io, caps)?;
    Ok(Lowering::new(vec![unfold, product]).temporaries(vec![lines.bytes()]).packed(packing))
}

/// Whether pixels need no unfolding: a texture holds them as they lie, and to copy them there takes less than a dispatch that
/// does it.
fn lies_in_fours(conv: &ConvShape, io: &Io, caps: &Caps) -> Result<bool> {
    let elements = io.input(0)?.ty.elements();
    Ok(conv.input_area().is_multiple_of(4) && caps.copying_pays(elements, elements))
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
