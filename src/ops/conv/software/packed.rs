//! The product of constant weights and pixels whose channels are packed by fours, both in textures; weights travel by broadcast
//! within a subgroup. A transposed convolution falls into phases, each a convolution by some of the taps.

use super::super::window_params::place;
use super::super::{ConvShape, check_weights, floats, with_stores};
use super::packed_axis::PackedAxis;
use crate::error::{Error, Result};
use crate::graph::Io;
use crate::kernel::software::tile_rows;
use crate::kernel::{Access, Caps, Dispatch, Kernel, Lowering, Operand, Packing, params, preludes, shader, u32s};
use crate::tensor::Tensor;

params! {
    /// Parameters of the packing.
    struct PackParams {
        height: u32,
        width: u32,
        first_y: u32,
        first_x: u32,
        step_y: u32,
        step_x: u32,
        lines: u32,
        columns: u32,
        channels: u32,
        fours: u32,
        count: u32,
    }
}

params! {
    /// Parameters of the product.
    struct PackedProductParams {
        groups: u32,
        filters: u32,
        tiles: u32,
        steps: u32,
        places: u32,
        plane: u32,
        line: u32,
        lines: u32,
        quads: u32,
        output_height: u32,
        output_width: u32,
    }
}

shader!(pub(in crate::ops::conv) static PACK: PackParams = "software/conv_pack");
shader!(pub(in crate::ops::conv) static PRODUCT: PackedProductParams = "software/conv_packed_product");

/// The most pixels of an image, four channels each: their places are floats.
const MOST_PLACES: usize = 1 << 24;

/// The most phases along an axis: each has tiles of its own.
const MOST_PHASES: usize = 16;

/// Multiply-adds that take the time of writing a group of four pixels to a texture.
const WRITE: usize = 64;

/// Whether packing channels takes less than unfolding lines: it writes each pixel once, and not once for every tap of a line, but
/// channels that are no multiple of four leave terms of its sums empty.
pub(super) fn pays(conv: &ConvShape) -> bool {
    let Ok([down, along]) = conv.plane() else { return false };
    let (taps, outputs) = (down.kernel * along.kernel, down.output * along.output);
    let products = |terms: usize| terms.next_multiple_of(4) * conv.filters * outputs;
    let (own_down, own_along) = (PackedAxis::of_convolution(&down, 1), PackedAxis::of_convolution(&along, 4));
    let packed = conv.channels.div_ceil(4) * own_down.extent.saturating_mul(own_along.extent);
    let unfolded = conv.channels * ((down.output - 1) * down.stride + (down.kernel - 1) * down.dilation + 1);
    let unfolded = unfolded.saturating_mul(along.kernel * along.output.div_ceil(4));
    let cost = |terms: usize, writes: usize| products(terms).saturating_add(writes.saturating_mul(WRITE));
    cost(conv.channels.next_multiple_of(4) * taps, packed) <= cost(conv.channels * taps, unfolded)
}

/// A convolution, plain or transposed, by channels that are packed.
struct Packed {
    batches: usize,
    groups: usize,
    /// Input channels of a group, and how many fours of them.
    channels: usize,
    fours: usize,
    /// Output channels of a group.
    filters: usize,
    down: PackedAxis,
    along: PackedAxis,
    transposed: bool,
    flops: u64,
}

/// How its product is divided.
struct Tiles {
    lanes: u32,
    /// Filters of a tile.
    rows: usize,
    /// Tiles along the filters of a group, and along the pixels.
    filters: usize,
    pixels: usize,
    /// Steps of the phase that has most.
    steps: usize,
}

/// The variant for a convolution, over at most two axes, where weights are constant and textures hold them and the packed
/// channels.
pub(super) fn lower(conv: &ConvShape, io: &Io, caps: &Caps) -> Result<Lowering> {
    let [down, along] = conv.plane()?;
    let (down, along) = (PackedAxis::of_convolution(&down, 1), PackedAxis::of_convolution(&along, 4));
    Packed::new(conv, [conv.channels, conv.filters], down, along, false).lower(io, caps)
}

/// The variant for a transposed convolution likewise.
pub(super) fn lower_transposed(conv: &ConvShape, io: &Io, caps: &Caps) -> Result<Lowering> {
    let [down, along] = conv.plane()?;
    if let Some(stride) = [down.stride, along.stride].into_iter().find(|stride| *stride > MOST_PHASES) {
        return Err(Error::unsupported(format!("a stride of {stride}: expected at most {MOST_PHASES}")));
    }
    let (down, along) = (PackedAxis::of_transposed(&down, 1), PackedAxis::of_transposed(&along, 4));
    Packed::new(conv, [conv.filters, conv.channels], down, along, true).lower(io, caps)
}

impl Packed {
    fn new(conv: &ConvShape, [channels, filters]: [usize; 2], down: PackedAxis, along: PackedAxis, transposed: bool) -> Self {
        let ConvShape { batches, groups, .. } = *conv;
        let (fours, flops) = (channels.div_ceil(4), conv.work().0);
        Packed { batches, groups, channels, fours, filters, down, along, transposed, flops }
    }

    /// Pixels of a plane of four channels.
    fn plane(&self) -> usize {
        self.down.extent.saturating_mul(self.along.extent)
    }

    fn phases(&self) -> usize {
        self.down.phases.len() * self.along.phases.len()
    }

    /// Groups of four outputs in a line of a phase.
    fn quads(&self) -> usize {
        self.along.outputs.div_ceil(4)
    }

    fn lower(&self, io: &Io, caps: &Caps) -> Result<Lowering> {
        check_weights(io)?;
        let lanes = caps.broadcasting_lanes().ok_or_else(|| Error::unsupported("subgroups have fewer than 8 lanes"))?;
        let pixels = self.fours.saturating_mul(self.plane());
        if !(1..=MOST_PLACES).contains(&pixels) {
            return Err(Error::unsupported(format!(
                "the channels of an image take {pixels} pixels of four: expected 1 to {MOST_PLACES}"
            )));
        }
        let texels = (self.batches * self.groups).saturating_mul(pixels);
        let tiles = self.tiles(lanes);
        let held = [texels, tiles.weights(self) + self.phases() * tiles.steps];
        if !held.iter().all(|texels| caps.texture_holds((*texels as u64).saturating_mul(16))) {
            return Err(Error::unsupported("textures do not hold the weights and the packed channels"));
        }
        let (pack, product) = (self.pack(texels, io, caps)?, self.product(&tiles, io, caps)?);
        Ok(Lowering::new(vec![pack, product]).temporaries(vec![16 * texels as u64]).packed(vec![self.packing(&tiles)?]))
    }

    fn tiles(&self, lanes: u32) -> Tiles {
        let pixels = (self.down.outputs * self.quads()).div_ceil(lanes as usize);
        let rows = tile_rows(self.filters, pixels * self.batches * self.groups * self.phases());
        // A phase without taps has a step of zeros, so that its place in the table is there.
        let steps = (self.fours * self.down.most_taps() * self.along.most_taps()).max(1);
        Tiles { lanes, rows, filters: self.filters.div_ceil(rows), pixels, steps }
    }

    /// The dispatch that packs input 0 into temporary 0.
    fn pack(&self, texels: usize, io: &Io, caps: &Caps) -> Result<Dispatch> {
        let Packed { channels, fours, down, along, .. } = self;
        let kernel = Kernel::new(&PACK, &[Access::Read, Access::WriteTexture], [64, 1, 1])
            .prelude(&preludes::DIVIDE)
            .texels()
            .set("CHANNEL_EDGE", (!channels.is_multiple_of(4)).into());
        let [height, width, step_y, step_x] = u32s([down.image, along.image, down.step, along.step])?;
        let [lines, columns, channels, fours, count] = u32s([down.extent, along.extent, *channels, *fours, texels])?;
        let (first_y, first_x) = (place(down.first)?.cast_unsigned(), place(along.first)?.cast_unsigned());
        let params = PackParams { height, width, first_y, first_x, step_y, step_x, lines, columns, channels, fours, count };
        let grid = Dispatch::linear_grid(texels.div_ceil(64) as u64, caps)?;
        let dispatch = Dispatch::new(kernel, params, vec![Operand::Input(0), Operand::Temporary(0)], grid);
        Ok(dispatch.work(0, io.input(0)?.gpu_bytes() + 16 * texels as u64))
    }

    fn product(&self, tiles: &Tiles, io: &Io, caps: &Caps) -> Result<Dispatch> {
        let Packed { batches, groups, fours, down, along, .. } = self;
        let access = [Access::ReadTexture, Access::ReadTexture, Access::Write];
        let [rows, phases_y, phases_x, pixel_step] = u32s([tiles.rows, down.phases.len(), along.phases.len(), along.apart])?;
        let kernel = Kernel::new(&PRODUCT, &access, [tiles.lanes, 1, 1])
            .constant("LANES", tiles.lanes)
            .prelude(&preludes::ROW_SUMS)
            .prelude(&preludes::DIVIDE)
            .constant("ROWS", rows)
            .texels()
            .prelude(&preludes::ROW_STEPS)
            .prelude(&preludes::ROW_STORES)
            .set("PHASES_Y", phases_y)
            .set("PHASES_X", phases_x)
            .set("PIXEL_STEP", pixel_step);
        let mut bindings = vec![Operand::Packed(0), Operand::Temporary(0), Operand::Output(0)];
        let kernel = if phases_x == 1 {
            with_stores(kernel, &mut bindings, along.made, io, caps)?
        } else {
            io.attach_epilogue(kernel.prelude(&preludes::STORE_APART), &mut bindings, 1, caps)?
        };
        let [group_count, filters, filter_tiles] = u32s([*groups, self.filters, tiles.filters])?;
        let [steps, places, plane] = u32s([tiles.steps, tiles.weights(self), fours * self.plane()])?;
        let [line, lines, quads] = u32s([down.apart * along.extent, down.outputs, self.quads()])?;
        let [output_height, output_width] = u32s([down.made, along.made])?;
        let params = PackedProductParams {
            groups: group_count,
            filters,
            tiles: filter_tiles,
            steps,
            places,
            plane,
            line,
            lines,
            quads,
            output_height,
            output_width,
        };
        let grid = u32s([self.phases() * tiles.filters, tiles.pixels, batches * groups])?;
        let texels = batches * groups * fours * self.plane() + tiles.weights(self);
        let dispatch = Dispatch::new(kernel, params, bindings, grid).turns(tiles.steps + 8);
        Ok(dispatch.work(self.flops, io.outputs[0].gpu_bytes() + 16 * texels as u64))
    }

    /// The weights in tiles, and the places of the steps, in a layout of which the arguments say: the extents of the weights, the
    /// rows of a tile and steps, pixels of a plane, then of each phase how many taps it has, and each tap's number and place.
    fn packing(&self, tiles: &Tiles) -> Result<Packing> {
        let taps = self.down.taps() * self.along.taps();
        let sizes = u32s([usize::from(self.transposed), self.groups, self.channels, self.filters, taps])?;
        let mut arguments = [&sizes[..], &u32s([tiles.rows, tiles.steps, self.plane()])?].concat();
        for (y, x) in self.down.phases.iter().flat_map(|y| self.along.phases.iter().map(move |x| (y, x))) {
            arguments.extend(u32s([y.len() * x.len()])?);
            for (y, x) in y.iter().flat_map(|y| x.iter().map(move |x| (y, x))) {
                arguments.extend(u32s([y.tap * self.along.taps() + x.tap, y.place * self.along.extent + x.place])?);
            }
        }
        Ok(Packing { input: 1, layout: "conv_packed_product", arguments, pack })
    }
}

impl Tiles {
    /// Groups of four weights.
    fn weights(&self, packed: &Packed) -> usize {
        packed.groups * packed.phases() * self.filters * self.steps * self.rows
    }
}

/// Weights `[groups, filters, channels, taps]`, or `[groups, channels, filters, taps]` of a transposed convolution, as `[groups,
/// phases, filter tiles, steps, rows, 4]`, padded with zeros, then of each step of each phase where its pixel stands, and how
/// many there are.
fn pack(tensor: &Tensor, arguments: &[u32]) -> Vec<u8> {
    let (sizes, mut rest) = arguments.split_at(8);
    let [transposed, groups, channels, filters, taps, rows, steps, plane] = [0, 1, 2, 3, 4, 5, 6, 7].map(|i| sizes[i] as usize);
    let mut phases: Vec<&[u32]> = Vec::new();
    while let Some((count, next)) = rest.split_first() {
        let (own, next) = next.split_at(2 * *count as usize);
        phases.push(own);
        rest = next;
    }
    let (tiles, data) = (filters.div_ceil(rows), floats(tensor));
    let mut packed = vec![0f32; groups * phases.len() * tiles * steps * rows * 4];
    let mut places = vec![0f32; phases.len() * steps * 4];
    for (phase, taps_of_phase) in phases.iter().enumerate() {
        let count = channels.div_ceil(4) * taps_of_phase.len() / 2;
        for four in 0..channels.div_ceil(4) {
            for (k, tap) in taps_of_phase.chunks_exact(2).enumerate() {
                let (step, number) = (four * taps_of_phase.len() / 2 + k, tap[0] as usize);
                places[(phase * steps + step) * 4] = (four * plane + tap[1] as usize) as f32;
                for (group, filter) in (0..groups).flat_map(|group| (0..filters).map(move |filter| (group, filter))) {
                    let tile = (group * phases.len() + phase) * tiles + filter / rows;
                    for channel in four * 4..channels.min(four * 4 + 4) {
                        let row = match transposed {
                            0 => (group * filters + filter) * channels + channel,
                            _ => (group * channels + channel) * filters + filter,
                        };
                        packed[((tile * steps + step) * rows + filter % rows) * 4 + channel % 4] = data[row * taps + number];
                    }
                }
            }
        }
        places[phase * steps * 4..][..steps * 4].chunks_exact_mut(4).for_each(|place| place[1] = count as f32);
    }
    packed.extend(places);
    bytemuck::cast_slice(&packed).to_vec()
}
