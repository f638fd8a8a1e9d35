//! The matrix product for adapters that are a CPU, of operands packed into textures.

use super::operands::{PANEL_ROWS, Source, Want};
use super::problem::{MatMulParams, Problem};
use crate::error::Result;
use crate::graph::Io;
use crate::kernel::{Access, AdapterClass, Caps, Dispatch, Kernel, Lowering, Operand, Packing, params, preludes, shader};

params! {
    /// Parameters of a product of packed operands.
    struct TexturesParams { m: u32, n: u32, steps: u32, padded: u32 }
}

shader!(pub(super) static SHADER: TexturesParams = "matmul_textures");

shader!(pub(super) static ROW_SHADER: TexturesParams = "matmul_textures_row");

shader!(pub(super) static PACK_A_SHADER: MatMulParams = "matmul_pack_a");

shader!(pub(super) static PACK_B_SHADER: MatMulParams = "matmul_pack_b");

/// Rows up to which the reads of B, not the sums of a tile, bound a step.
const FEW_ROWS: usize = 4;

/// Reads of a texture that take the time of one read of a storage buffer.
const READS: usize = 12;

/// Elements of a storage buffer that are read in the time that one more dispatch takes.
const DISPATCH: usize = 50_000;

/// Whether textures hold both operands in tiles of so many rows and panels of so many columns.
pub(super) fn hold(problem: &Problem, rows: usize, panel: usize, caps: &Caps) -> bool {
    let k = problem.k.next_multiple_of(PANEL_ROWS);
    let fits = |count: usize| caps.texture_holds((count * problem.batches() * k) as u64 * 4);
    fits(problem.m.next_multiple_of(rows)) && fits(problem.n.next_multiple_of(panel))
}

/// Whether reading packed operands wins over reading them where they lie, by the elements that either way loads.
pub(super) fn preferred(problem: &Problem, io: &Io) -> bool {
    let (m, n, k) = (problem.m, problem.n, problem.k);
    let (a, b) = (m * k * problem.batches(), k * n * problem.batches());
    let (a_constant, b_constant) = (problem.a_is_constant(io), problem.b_is_constant(io));
    // Broadcasts within a subgroup read what is constant from textures too.
    let read = |constant: bool, elements: usize| if constant { elements / READS } else { elements };
    let direct = match m <= FEW_ROWS {
        true => m * b,
        false => read(a_constant, a * n.div_ceil(32)) + read(b_constant, b * m.div_ceil(64)),
    };
    let pack = |constant: bool, elements: usize| if constant { 0 } else { elements + DISPATCH };
    pack(a_constant, a) + pack(b_constant, b) + (a * n.div_ceil(32) + b * m.div_ceil(rows(m))) / READS < direct
}

/// Rows of a tile: those for which all tiles of a column take least, by what eight rows of sums and the reads of B cost.
fn rows(m: usize) -> usize {
    if m <= FEW_ROWS {
        return m.next_power_of_two();
    }
    let cost = |rows: &usize| m.div_ceil(*rows) * (rows / 8 * 2 + 1);
    [32, 16, 8].into_iter().min_by_key(cost).unwrap_or(8)
}

/// An operand in a texture, and the dispatch that packs it unless that was done when the model was loaded.
struct Packed {
    operand: Operand,
    dispatch: Option<Dispatch>,
    /// Whether every batch has a matrix of its own.
    batched: bool,
}

/// A candidate in the making.
struct Textures<'a> {
    problem: &'a Problem,
    io: &'a Io<'a>,
    caps: &'a Caps,
    rows: usize,
    /// Columns of a panel of B.
    panel: usize,
    /// Steps of four terms, padded.
    padded: usize,
    packed: Vec<Packing>,
    temporaries: Vec<u64>,
}

/// The candidate, where subgroups have eight lanes or more and textures hold the operands.
pub(super) fn lower(problem: &Problem, io: &Io, caps: &Caps) -> Option<Result<Lowering>> {
    let lanes = caps.subgroup.filter(|lanes| lanes.is_power_of_two() && (8..=64).contains(lanes))?;
    let padded = problem.k.next_multiple_of(PANEL_ROWS) / 4;
    if caps.class != AdapterClass::Cpu
        || problem.gather.is_some()
        || problem.quantized.is_some()
        || padded + 8 > caps.max_loop as usize
    {
        return None;
    }
    let (rows, panel) = (rows(problem.m), 4 * lanes as usize);
    let (row_tiles, panels) = (problem.m.div_ceil(rows), problem.n.div_ceil(panel));
    let grids =
        [[row_tiles, panels], [padded.div_ceil(8), (row_tiles * rows).div_ceil(32)], [panels * lanes as usize / 8, padded / 8]];
    if !hold(problem, rows, panel, caps) || grids.iter().flatten().chain([&problem.batches()]).any(|n| *n > caps.max_grid as usize)
    {
        return None;
    }
    let textures = Textures { problem, io, caps, rows, panel, padded, packed: vec![], temporaries: vec![] };
    Some(textures.candidate(lanes))
}

impl Textures<'_> {
    fn candidate(mut self, lanes: u32) -> Result<Lowering> {
        let problem = self.problem;
        let (a, b) = (self.pack_a()?, self.pack_b()?);
        let few = problem.m <= FEW_ROWS;
        let shader = if few { &ROW_SHADER } else { &SHADER };
        let width = if problem.n.is_multiple_of(4) { 4 } else { 1 };
        let kernel = Kernel::new(shader, &[Access::ReadTexture, Access::ReadTexture, Access::Write], [lanes, 1, 1])
            .constant("LANES", lanes)
            .constant("ROWS", self.rows as u32)
            .texels()
            .prelude(&preludes::PLACE_COLUMN)
            .prelude(if width == 4 { &preludes::STORE_WIDTH4 } else { &preludes::STORE_WIDTH1 })
            .set("BATCH_A", a.batched.into())
            .set("BATCH_B", b.batched.into());
        let mut bindings = vec![a.operand, b.operand, Operand::Output(0)];
        let kernel = if few { kernel } else { kernel.prelude(&preludes::ROW_SUMS).prelude(&preludes::ROW_STORES) };
        let kernel = self.io.attach_epilogue(kernel, &mut bindings, width, self.caps)?;
        let params = TexturesParams {
            m: problem.m as u32,
            n: problem.n as u32,
            steps: problem.k.div_ceil(4) as u32,
            padded: self.padded as u32,
        };
        let grid = [problem.m.div_ceil(self.rows), problem.n.div_ceil(self.panel), problem.batches()];
        let (flops, bytes) = problem.work();
        let product = Dispatch::new(kernel, params, bindings, grid.map(|n| n as u32)).work(flops, bytes);
        let dispatches = a.dispatch.into_iter().chain(b.dispatch).chain([product]).collect();
        Ok(Lowering::Dispatches {
            variant: "textures",
            dispatches,
            temporaries: self.temporaries,
            packed: self.packed,
            tables: vec![],
        })
    }

    /// An operand that was packed when the model was loaded.
    fn loaded(&mut self, packing: Packing) -> Packed {
        self.packed.push(packing);
        Packed { operand: Operand::Packed(self.packed.len() - 1), dispatch: None, batched: false }
    }

    fn pack_a(&mut self) -> Result<Packed> {
        let problem = self.problem;
        let params = problem.params()?;
        if problem.a_is_constant(self.io) {
            return Ok(self.loaded(problem.a_tiles(self.rows as u32, &params)));
        }
        let tiles = problem.m.div_ceil(self.rows);
        let source = problem.a_where_it_lies();
        let kernel =
            Kernel::new(&PACK_A_SHADER, &[Access::Read, Access::WriteTexture], [8, 8, 1]).constant("ROWS", self.rows as u32);
        let blocks = [self.padded, (tiles * self.rows).div_ceil(4)];
        let batched = problem.batch.iter().any(|axis| axis.a != 0);
        self.packing(kernel, source, params, blocks, batched, (tiles * self.rows * self.padded) as u64)
    }

    fn pack_b(&mut self) -> Result<Packed> {
        let problem = self.problem;
        let mut params = problem.params()?;
        let want = Want::Panels(self.panel as u32);
        let mut source = problem.b_source(self.io, want, &mut params);
        if let Some(packing) = source.packing.take() {
            return Ok(self.loaded(packing));
        }
        let panels = problem.n.div_ceil(self.panel);
        let kernel =
            Kernel::new(&PACK_B_SHADER, &[Access::WriteTexture, Access::Read], [8, 8, 1]).constant("PANEL", self.panel as u32);
        let blocks = [panels * self.panel / 4, self.padded];
        let batched = problem.batch.iter().any(|axis| axis.b != 0);
        self.packing(kernel, source, params, blocks, batched, (panels * self.panel * self.padded) as u64)
    }

    /// A dispatch that packs an operand: so many blocks of four by four for each matrix, which takes so many texels.
    fn packing(
        &mut self,
        kernel: Kernel,
        source: Source,
        params: MatMulParams,
        blocks: [usize; 2],
        batched: bool,
        texels: u64,
    ) -> Result<Packed> {
        let batches = if batched { self.problem.batches() } else { 1 };
        self.temporaries.push(texels * batches as u64 * 16);
        let texture = Operand::Temporary(self.temporaries.len() - 1);
        let bindings = kernel.storage.iter().map(|access| if access.is_texture() { texture } else { source.operand }).collect();
        let kernel = kernel
            .constant("K_EDGE", (!self.problem.k.is_multiple_of(4)).into())
            .texels()
            .prelude(&preludes::MATMUL)
            .prelude(self.caps.fours())
            .prelude(source.prelude)
            .set("BATCH_AXES", self.problem.batch.len() as u32)
            .set("PADDED", self.padded as u32);
        let grid = [blocks[0].div_ceil(8) as u32, blocks[1].div_ceil(8) as u32, batches as u32];
        let dispatch = Dispatch::new(kernel, params, bindings, grid).work(0, texels * batches as u64 * 32);
        Ok(Packed { operand: texture, dispatch: Some(dispatch), batched })
    }
}
