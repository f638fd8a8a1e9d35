//! Winograd's minimal filtering F(4x4, 3x3): 36 products over channels where sums over taps would take 144. Tiles of the
//! image are transformed by a first dispatch, weights when the model is loaded, the products back by a last dispatch. "Fast
//! Algorithms for Convolutional Neural Networks" (Lavin and Gray 2016).
//!
//! Weights take four times the memory. An element that is infinite or no number makes NaN of all outputs of the tiles that
//! see it, where a sum over taps would keep to those outputs whose window sees it.

use super::row_kernel::RowKernel;
use super::{ConvShape, WindowAxis, check_scratch, check_weights, floats, with_stores};
use crate::error::{Error, Result};
use crate::graph::{Fact, Io};
use crate::kernel::{Access, Caps, Dispatch, Kernel, Lowering, Operand, Packing, params, preludes, shader, u32s};
use crate::ops::matmul;
use crate::tensor::{DType, Tensor, View};

params! {
    /// Parameters of the first transform.
    pub(super) struct InputParams {
        planes: u32,
        groups: u32,
        tiles: u32,
        block: u32,
        channels: u32,
        blocks: u32,
        input_height: u32,
        input_width: u32,
        output_height: u32,
        output_width: u32,
    }
}

params! {
    /// Parameters of the last transform.
    pub(super) struct OutputParams {
        groups: u32,
        filters: u32,
        tiles: u32,
        rows: u32,
        columns: u32,
        count: u32,
        block: u32,
        output_height: u32,
        output_width: u32,
    }
}

shader!(pub(super) static INPUT: InputParams = "conv_winograd_input");
shader!(pub(super) static OUTPUT: OutputParams = "conv_winograd_output");

/// Output elements along the side of a tile, and values that a tile becomes.
const SIDE: usize = 4;
const VALUES: usize = 36;

/// Channels and filters of a group below which transforms cost more than they save.
const FEW: usize = 8;

/// Where transformed weights, tiles and sums stand.
pub(super) const WEIGHTS: Operand = Operand::Packed(0);
pub(super) const TILES: Operand = Operand::Temporary(0);
pub(super) const SUMS: Operand = Operand::Temporary(1);

/// A convolution that Winograd's filtering serves.
pub(super) struct Winograd<'a> {
    pub(super) conv: &'a ConvShape,
    pub(super) io: &'a Io<'a>,
    pub(super) caps: &'a Caps,
    /// Tiles of all images.
    pub(super) tiles: usize,
}

/// The shape of matrices, one for each value of a tile and each group.
type Matrices = [usize; 3];

/// A row-major view of matrices.
fn view(shape: Matrices) -> View {
    View::contiguous(&shape.into())
}

/// Bytes of matrices of floats.
pub(super) fn bytes(shape: Matrices) -> u64 {
    shape.iter().fold(4, |all, n| all.saturating_mul(*n as u64))
}

/// The variant whose dispatches meet in buffers. Filters are rows of a product, tiles its columns: what neighbouring invocations
/// transform lies side by side.
pub(super) fn lower(conv: &ConvShape, io: &Io, caps: &Caps) -> Result<Lowering> {
    let winograd = Winograd::new(conv, io, caps)?;
    let (channels, filters) = (conv.channels, conv.filters.next_multiple_of(4));
    let columns = winograd.tiles.next_multiple_of(4);
    let weights = [winograd.matrices(), channels, filters];
    let (tiles, sums) = ([winograd.matrices(), channels, columns], [winograd.matrices(), filters, columns]);
    check_scratch("the transformed tiles", bytes(tiles), caps)?;
    check_scratch("the sums", bytes(sums), caps)?;
    // Weights lie with filters as neighbours.
    let product = matmul::Product::new(&view(weights).transpose(&[0, 2, 1]), &view(tiles))?;
    let [weights, seen, made] = [weights, tiles, sums].map(|shape| Fact::new(DType::F32, shape.to_vec()));
    // No epilogue, and the sums as output.
    let inner = Io {
        inputs: vec![Some(&weights), Some(&seen)],
        outputs: vec![&made],
        used: vec![true],
        epilogue: None,
        in_place: false,
        joined: vec![],
    };
    let Lowering::Dispatches { dispatches, temporaries, packed, .. } = product.best_tiles(&inner, caps)? else {
        return Err(Error::internal("a matrix product that is no work"));
    };
    if !packed.is_empty() {
        return Err(Error::internal("a product of no constants that packs one"));
    }
    let mut rows = RowKernel::alone(&INPUT, &[Access::Read, Access::Write], conv, caps)?;
    rows.kernel = rows.kernel.prelude(&preludes::WINOGRAD_INPUT_FLOATS);
    let first = winograd.input(rows, channels, columns, 1)?.work(0, winograd.input_bytes() + bytes(tiles));
    let kernel = Kernel::new(&OUTPUT, &[Access::Read, Access::Write], [64, 1, 1]).prelude(&preludes::WINOGRAD_SUMS_FLOATS);
    let count = conv.groups * filters * columns;
    let last = winograd.output(kernel, [filters, columns, count], 1)?.work(0, bytes(sums) + winograd.output_bytes());
    let products = dispatches.into_iter().map(in_place);
    let temporaries = [bytes(tiles), bytes(sums)].into_iter().chain(temporaries).collect();
    let dispatches = [first].into_iter().chain(products).chain([last]).collect();
    Ok(Lowering::new(dispatches).temporaries(temporaries).packed(vec![winograd.weights(filters, channels)?]))
}

impl<'a> Winograd<'a> {
    /// Refuses all but windows of 3x3 that move by single elements, over constant weights.
    pub(super) fn new(conv: &'a ConvShape, io: &'a Io<'a>, caps: &'a Caps) -> Result<Self> {
        check_weights(io)?;
        let [height, width] = conv.plane()?;
        let suits = |axis: WindowAxis| (axis.kernel, axis.stride, axis.dilation) == (3, 1, 1);
        if !suits(height) || !suits(width) {
            return Err(Error::unsupported("the window is not 3x3, moved by single elements"));
        }
        if conv.channels.min(conv.filters) < FEW {
            let (channels, filters) = (conv.channels, conv.filters);
            return Err(Error::unsupported(format!("groups of {channels} channels and {filters} filters: expected {FEW} of each")));
        }
        let tiles = conv.batches * height.output.div_ceil(SIDE) * width.output.div_ceil(SIDE);
        Ok(Winograd { conv, io, caps, tiles })
    }

    pub(super) fn matrices(&self) -> usize {
        VALUES * self.conv.groups
    }

    pub(super) fn input_bytes(&self) -> u64 {
        self.io.optional(0).map_or(0, Fact::gpu_bytes)
    }

    pub(super) fn output_bytes(&self) -> u64 {
        self.io.outputs[0].gpu_bytes()
    }

    /// The dispatch that transforms tiles, in so many blocks of channels, with room for so many tiles of
    /// each, of which so many lie together.
    pub(super) fn input(&self, rows: RowKernel, blocks: usize, tiles: usize, block: usize) -> Result<Dispatch> {
        let [height, width] = self.conv.plane()?;
        let all = self.conv.batches * self.conv.groups * blocks;
        let grid = rows.grid(height.output.div_ceil(SIDE), all, self.caps)?;
        let [planes, groups, tiles, block] = u32s([all, self.conv.groups, tiles, block])?;
        let [channels, blocks] = u32s([self.conv.channels, blocks])?;
        let [input_height, input_width, output_height, output_width] =
            u32s([height.input, width.input, height.output, width.output])?;
        let params =
            InputParams { planes, groups, tiles, block, channels, blocks, input_height, input_width, output_height, output_width };
        Ok(Dispatch::new(rows.kernel, params, vec![Operand::Input(0), TILES], grid))
    }

    /// The dispatch that makes output elements of sums, by so many invocations, with two extents of the sums and tiles
    /// that lie together.
    pub(super) fn output(&self, kernel: Kernel, [rows, columns, count]: [usize; 3], block: usize) -> Result<Dispatch> {
        let conv = self.conv;
        let [height, width] = conv.plane()?;
        let mut bindings = vec![SUMS, Operand::Output(0)];
        let kernel = with_stores(kernel.prelude(&preludes::DIVIDE), &mut bindings, width.output, self.io, self.caps)?;
        let grid = Dispatch::linear_grid(count.div_ceil(64) as u64, self.caps)?;
        let [groups, filters, tiles, rows, columns] = u32s([conv.groups, conv.filters, self.tiles, rows, columns])?;
        let [count, block, output_height, output_width] = u32s([count, block, height.output, width.output])?;
        let params = OutputParams { groups, filters, tiles, rows, columns, count, block, output_height, output_width };
        // Rows of a tile, and filters that are together.
        Ok(Dispatch::new(kernel, params, bindings, grid).turns(SIDE * (SIDE + 1)))
    }

    /// Weights in panels of so many filters, with room for so many channels.
    pub(super) fn weights(&self, panel: usize, rows: usize) -> Result<Packing> {
        let sizes = u32s([self.conv.groups, self.conv.filters, self.conv.channels, panel, rows])?;
        Ok(Packing { input: 1, layout: "conv_winograd", arguments: sizes.to_vec(), pack })
    }
}

/// A dispatch of the product over transformed weights and tiles.
fn in_place(mut dispatch: Dispatch) -> Dispatch {
    for binding in &mut dispatch.bindings {
        *binding = match *binding {
            Operand::Input(0) => WEIGHTS,
            Operand::Input(_) => TILES,
            Operand::Output(_) => SUMS,
            Operand::Temporary(k) => Operand::Temporary(k + 2),
            packed => packed,
        };
    }
    dispatch
}

/// The points that values are taken at, and infinity. Small numbers of few bits: sums lose least by them, and their powers
/// are exact. "Error Analysis and Improving the Accuracy of Winograd Convolution for Deep Neural Networks" (Barabasz et al.
/// 2020) explains.
const POINTS: [f64; 5] = [0.0, 0.625, -0.625, 1.5, -1.5];

/// G, which the shaders' constants go with: powers of each point over its distances from the others.
fn weight_transform() -> [[f64; 3]; 6] {
    let mut rows = [[0.0, 0.0, 1.0]; 6];
    for (row, point) in rows.iter_mut().zip(POINTS) {
        let distances: f64 = POINTS.iter().filter(|other| **other != point).map(|other| point - other).product();
        *row = [1.0, point, point * point].map(|power| power / distances);
    }
    rows
}

/// Weights `[groups, filters, channels, 3, 3]` as `[36, groups, filters / panel, rows, panel]`, each filter g of a channel as
/// G g G^T, padded with zeros.
fn pack(tensor: &Tensor, arguments: &[u32]) -> Vec<u8> {
    let [groups, filters, channels, panel, rows] = [0, 1, 2, 3, 4].map(|i| arguments[i] as usize);
    let panels = filters.div_ceil(panel);
    let step = groups * panels * rows * panel;
    let mut packed = vec![0f32; VALUES * step];
    let transform = weight_transform();
    for (at, taps) in floats(tensor).chunks_exact(9).enumerate() {
        let (row, channel) = (at / channels, at % channels);
        let (group, filter) = (row / filters, row % filters);
        let place = ((group * panels + filter / panel) * rows + channel) * panel + filter % panel;
        let taps: Vec<f64> = taps.iter().map(|tap| f64::from(*tap)).collect();
        for (i, down) in transform.iter().enumerate() {
            // A row of G g.
            let along = [0, 1, 2].map(|k| down[0] * taps[k] + down[1] * taps[3 + k] + down[2] * taps[6 + k]);
            for (j, across) in transform.iter().enumerate() {
                let value = along[0] * across[0] + along[1] * across[1] + along[2] * across[2];
                packed[(i * 6 + j) * step + place] = value as f32;
            }
        }
    }
    bytemuck::cast_slice(&packed).to_vec()
}
