//! Winograd's minimal filtering F(4x4, 3x3): 36 products over channels where sums over taps would take 144. Tiles of the
//! image are transformed by a first dispatch, weights when the model is loaded, the products back by a last dispatch. "Fast
//! Algorithms for Convolutional Neural Networks" (Lavin and Gray 2016).
//!
//! Weights take four times the memory. An element that is infinite or no number makes NaN of all outputs of the tiles that
//! see it, where a sum over taps would keep to those outputs whose window sees it.

use super::rows::Rows;
use super::{Axis, Problem, floats, spatial};
use crate::error::{Error, Result};
use crate::graph::{Fact, Io};
use crate::kernel::{Access, AdapterClass, Caps, Dispatch, Kernel, Lowering, Operand, Packing, params, preludes, shader};
use crate::ops::matmul;
use crate::tensor::{DType, Tensor, View};

params! {
    /// Parameters of the first transform.
    struct InputParams {
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
    /// Parameters of the products over textures.
    struct SubgroupParams { groups: u32, steps: u32 }
}

params! {
    /// Parameters of the last transform.
    struct OutputParams {
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
shader!(pub(super) static SUBGROUP: SubgroupParams = "conv_winograd_subgroup");
shader!(pub(super) static OUTPUT: OutputParams = "conv_winograd_output");

/// Output elements along the side of a tile, and values that a tile becomes.
const SIDE: usize = 4;
const VALUES: usize = 36;

/// Channels and filters of a group below which transforms cost more than they save.
const FEW: usize = 8;

/// Where transformed weights, tiles and sums stand.
const WEIGHTS: Operand = Operand::Packed(0);
const TILES: Operand = Operand::Temporary(0);
const SUMS: Operand = Operand::Temporary(1);

/// Operations of the sums over taps below which three dispatches cost more than they save.
const FEW_OPERATIONS: u64 = 40 << 20;

/// Whether the candidate wins on adapters that are a CPU. What it saves grows with channels times filters, what both transforms
/// cost with channels and filters.
pub(super) fn preferred(problem: &Problem) -> bool {
    let (channels, filters) = (problem.channels as u64, problem.filters as u64);
    problem.work().0 >= FEW_OPERATIONS && channels * filters >= 16 * (channels + filters)
}

/// The candidate for adapters that are a CPU, whose dispatches meet in textures.
pub(super) fn lower_texels(problem: &Problem, io: &Io, caps: &Caps) -> Result<Option<Lowering>> {
    match Winograd::new(problem, io, caps) {
        Some(winograd) if caps.class == AdapterClass::Cpu => winograd.in_textures(),
        _ => Ok(None),
    }
}

/// The candidate for GPUs, whose dispatches meet in buffers.
pub(super) fn lower(problem: &Problem, io: &Io, caps: &Caps) -> Result<Option<Lowering>> {
    Winograd::new(problem, io, caps).map_or(Ok(None), |winograd| winograd.in_buffers())
}

/// A candidate in the making.
struct Winograd<'a> {
    problem: &'a Problem,
    io: &'a Io<'a>,
    caps: &'a Caps,
    /// Tiles of all images.
    tiles: usize,
}

/// Tiles of a block: those for which all blocks take least, by what eight rows of sums and the reads of weights cost.
fn block_rows(tiles: usize) -> usize {
    let cost = |rows: &usize| tiles.div_ceil(*rows) * (rows / 8 * 2 + 1);
    [32, 16, 8].into_iter().min_by_key(cost).unwrap_or(8)
}

/// The shape of matrices, one for each value of a tile and each group.
type Matrices = [usize; 3];

/// A row-major view of matrices.
fn view(shape: Matrices) -> View {
    View::contiguous(&shape.into())
}

/// Bytes of matrices of floats.
fn bytes(shape: Matrices) -> u64 {
    shape.iter().fold(4, |all, n| all.saturating_mul(*n as u64))
}

impl<'a> Winograd<'a> {
    /// None but for windows of 3x3 that move by single elements, where weights are constant.
    fn new(problem: &'a Problem, io: &'a Io<'a>, caps: &'a Caps) -> Option<Self> {
        let [depth, height, width] = spatial(problem);
        let constant = io.optional(1).is_some_and(|fact| fact.value.is_some());
        let few = problem.channels.min(problem.filters) < FEW;
        let suits = |axis: Axis| (axis.kernel, axis.stride, axis.dilation) == (3, 1, 1);
        let tiles = problem.batches * height.output.div_ceil(SIDE) * width.output.div_ceil(SIDE);
        let found = constant && !few && depth == Axis::ABSENT && suits(height) && suits(width);
        found.then_some(Winograd { problem, io, caps, tiles })
    }

    fn matrices(&self) -> usize {
        VALUES * self.problem.groups
    }

    fn input_bytes(&self) -> u64 {
        4 * self.io.inputs.first().copied().flatten().map_or(0, |fact| fact.ty.elements()) as u64
    }

    fn output_bytes(&self) -> u64 {
        4 * self.io.outputs[0].ty.elements() as u64
    }

    /// True where neither buffers nor 32-bit indices end before so many bytes.
    fn buffer_holds(&self, bytes: u64) -> bool {
        bytes <= self.caps.max_storage_binding.min(u64::from(u32::MAX))
    }

    /// All three steps over textures, products by broadcast within a subgroup.
    fn in_textures(&self) -> Result<Option<Lowering>> {
        let Problem { groups, filters, channels, .. } = *self.problem;
        let Some(lanes) = self.caps.subgroup.filter(|lanes| (8..=64).contains(lanes)) else { return Ok(None) };
        let (rows, panel, steps) = (block_rows(self.tiles), 4 * lanes as usize, channels.div_ceil(4));
        let (blocks, panels) = (self.tiles.div_ceil(rows), filters.div_ceil(panel));
        let grid = [blocks, panels, self.matrices()];
        let tiles = bytes([self.matrices(), blocks * rows, 4 * steps]);
        let weights = bytes([self.matrices(), panels * panel, 4 * steps]);
        let sums = bytes([self.matrices(), blocks * rows, panels * panel]);
        let fits = grid.iter().all(|n| *n <= self.caps.max_grid as usize) && steps + 8 <= self.caps.max_loop as usize;
        if !fits || [tiles, weights, sums].iter().any(|bytes| !self.caps.texture_holds(*bytes)) {
            return Ok(None);
        }
        let access = [Access::Read, Access::WriteTexture];
        let planes = self.problem.batches * groups * steps;
        let lines = Rows::exchanged(&INPUT, &access, self.problem, [self.tiles, planes], self.caps);
        let mut lines = lines.unwrap_or_else(|| Rows::direct(&INPUT, &access, self.problem));
        lines.kernel = lines.kernel.texels().prelude(&preludes::WINOGRAD_INPUT_TEXELS);
        let first = self.input(lines, steps, blocks * rows, rows)?.work(0, self.input_bytes() + tiles);

        let access = [Access::ReadTexture, Access::ReadTexture, Access::WriteTexture];
        let kernel = Kernel::new(&SUBGROUP, &access, [lanes, 1, 1])
            .constant("LANES", lanes)
            .constant("ROWS", rows as u32)
            .texels()
            .prelude(&preludes::DIVIDE)
            .prelude(&preludes::ROW_SUMS);
        let params = SubgroupParams { groups: groups as u32, steps: steps as u32 };
        let second = Dispatch::new(kernel, params, vec![TILES, WEIGHTS, SUMS], grid.map(|n| n as u32));
        let flops = (2 * self.matrices() * channels * filters * self.tiles) as u64;
        let second = second.work(flops, tiles + weights + sums);

        let kernel = Kernel::new(&OUTPUT, &[Access::ReadTexture, Access::Write], [64, 1, 1])
            .constant("LANES", lanes)
            .texels()
            .prelude(&preludes::WINOGRAD_SUMS_TEXELS);
        let count = groups * blocks * panels * rows * lanes as usize;
        let last = self.output(kernel, [blocks, panels, count], rows)?.work(0, sums + self.output_bytes());
        Ok(Some(Lowering::Dispatches {
            variant: "winograd_texels",
            dispatches: vec![first, second, last],
            temporaries: vec![tiles, sums],
            packed: vec![self.weights(panel, 4 * steps)],
            tables: vec![],
        }))
    }

    /// Filters as rows of a product, tiles as its columns: what neighbouring invocations transform lies side by side.
    fn in_buffers(&self) -> Result<Option<Lowering>> {
        let (channels, filters) = (self.problem.channels, self.problem.filters.next_multiple_of(4));
        let columns = self.tiles.next_multiple_of(4);
        let (tiles, sums) = ([self.matrices(), channels, columns], [self.matrices(), filters, columns]);
        if !self.buffer_holds(bytes(tiles)) || !self.buffer_holds(bytes(sums)) {
            return Ok(None);
        }
        // Weights lie with filters as neighbours.
        let weights = view([self.matrices(), channels, filters]).transpose(&[0, 2, 1]);
        let product = matmul::Problem::new(&weights, &view(tiles))?;
        let facts = [[self.matrices(), channels, filters], tiles, sums].map(|shape| Fact::new(DType::F32, shape.to_vec()));
        let inner = self.inner(&facts[..2], &facts[2]);
        let Some(Lowering::Dispatches { dispatches, temporaries, packed, .. }) =
            product.lower_tiled(&inner, self.caps)?.into_iter().next()
        else {
            return Ok(None);
        };
        if !packed.is_empty() {
            return Err(Error::internal("a product of no constants that packs one"));
        }
        let mut rows = Rows::direct(&INPUT, &[Access::Read, Access::Write], self.problem);
        rows.kernel = rows.kernel.prelude(&preludes::WINOGRAD_INPUT_FLOATS);
        let first = self.input(rows, channels, columns, 1)?.work(0, self.input_bytes() + bytes(tiles));
        let kernel = Kernel::new(&OUTPUT, &[Access::Read, Access::Write], [64, 1, 1]).prelude(&preludes::WINOGRAD_SUMS_FLOATS);
        let count = self.problem.groups * filters * columns;
        let last = self.output(kernel, [filters, columns, count], 1)?.work(0, bytes(sums) + self.output_bytes());
        let products = dispatches.into_iter().map(in_place);
        Ok(Some(Lowering::Dispatches {
            variant: "winograd",
            dispatches: [first].into_iter().chain(products).chain([last]).collect(),
            temporaries: [bytes(tiles), bytes(sums)].into_iter().chain(temporaries).collect(),
            packed: vec![self.weights(filters, channels)],
            tables: vec![],
        }))
    }

    /// The dispatch that transforms tiles, in so many blocks of channels, with room for so many tiles of
    /// each, of which so many lie together.
    fn input(&self, rows: Rows, blocks: usize, tiles: usize, block: usize) -> Result<Dispatch> {
        let [_, height, width] = spatial(self.problem);
        let planes = self.problem.batches * self.problem.groups * blocks;
        let params = InputParams {
            planes: planes as u32,
            groups: self.problem.groups as u32,
            tiles: tiles as u32,
            block: block as u32,
            channels: self.problem.channels as u32,
            blocks: blocks as u32,
            input_height: height.input as u32,
            input_width: width.input as u32,
            output_height: height.output as u32,
            output_width: width.output as u32,
        };
        let grid = rows.grid(height.output.div_ceil(SIDE), planes, self.caps)?;
        Ok(Dispatch::new(rows.kernel, params, vec![Operand::Input(0), TILES], grid))
    }

    /// The dispatch that makes output elements of sums, by so many invocations, with two extents of the sums and tiles
    /// that lie together.
    fn output(&self, kernel: Kernel, [rows, columns, count]: [usize; 3], block: usize) -> Result<Dispatch> {
        let problem = self.problem;
        let [_, height, width] = spatial(problem);
        let four = width.output.is_multiple_of(4);
        let kernel =
            kernel.prelude(&preludes::DIVIDE).prelude(if four { &preludes::STORE_WIDTH4 } else { &preludes::STORE_WIDTH1 });
        let mut bindings = vec![SUMS, Operand::Output(0)];
        let kernel = self.io.attach_epilogue(kernel, &mut bindings, if four { 4 } else { 1 }, self.caps)?;
        let params = OutputParams {
            groups: problem.groups as u32,
            filters: problem.filters as u32,
            tiles: self.tiles as u32,
            rows: rows as u32,
            columns: columns as u32,
            count: count as u32,
            block: block as u32,
            output_height: height.output as u32,
            output_width: width.output as u32,
        };
        let grid = Dispatch::linear_grid(count.div_ceil(64) as u64, self.caps)?;
        Ok(Dispatch::new(kernel, params, bindings, grid))
    }

    /// What the product sees: no epilogue, and the sums as its output.
    fn inner<'f>(&self, inputs: &'f [Fact], sums: &'f Fact) -> Io<'f> {
        Io { inputs: inputs.iter().map(Some).collect(), outputs: vec![sums], used: vec![true], epilogue: None }
    }

    /// Weights in panels of so many filters, with room for so many channels.
    fn weights(&self, panel: usize, rows: usize) -> Packing {
        let sizes = [self.problem.groups, self.problem.filters, self.problem.channels, panel, rows];
        Packing { input: 1, layout: "conv_winograd", arguments: sizes.map(|n| n as u32).to_vec(), pack }
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
