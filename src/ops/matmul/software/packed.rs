//! The product of operands that lie in textures: constants from the start, others packed by a dispatch each.

use super::bits;
use crate::error::{Error, Result};
use crate::graph::Io;
use crate::kernel::{Access, Caps, Dispatch, Kernel, Lowering, Operand, Packing, params, preludes, shader, software, u32s};
use crate::ops::matmul::operands::{AForm, BForm, Place, Source};
use crate::ops::matmul::packing::{self, PANEL_ROWS};
use crate::ops::matmul::product::{MatMulParams, Product};
use crate::tensor::Tensor;

params! {
    /// Parameters of a product of packed operands.
    struct PackedParams { m: u32, n: u32, steps: u32, padded: u32 }
}

shader!(pub(in crate::ops::matmul) static SHADER: PackedParams = "software/matmul_packed");
shader!(pub(in crate::ops::matmul) static PACK_A_SHADER: MatMulParams = "software/matmul_pack_a");
shader!(pub(in crate::ops::matmul) static PACK_B_SHADER: MatMulParams = "software/matmul_pack_b");

/// Reads of a texture that take the time of one read of a storage buffer.
const READS: usize = 12;

/// Elements of a storage buffer that are read in the time that one more dispatch takes.
const DISPATCH: usize = 50_000;

/// Whether textures hold both operands in tiles of so many rows and panels of so many columns.
pub(super) fn textures_hold(product: &Product, rows: usize, panel: usize, caps: &Caps) -> bool {
    let k = product.k.next_multiple_of(PANEL_ROWS);
    let bytes = |count: usize| (count * product.batches() * k) as u64 * 4;
    let b = match &product.quantized {
        Some(quantized) => quantized.panel_bytes([product.k, product.n], panel),
        None => bytes(product.n.next_multiple_of(panel)),
    };
    caps.texture_holds(bytes(product.m.next_multiple_of(rows))) && caps.texture_holds(b)
}

/// Whether reading packed operands wins over reading them where they lie, by the elements that either way loads.
pub(super) fn pays(product: &Product, io: &Io) -> bool {
    let (m, n, k) = (product.m, product.n, product.k);
    let (a, b) = (m * k * product.batches(), k * n * product.batches());
    let (a_constant, b_constant) = (product.a_is_constant(io), product.b_is_constant(io));
    // Broadcasts within a subgroup read what is constant from textures too, unless it is few bits.
    let read = |constant: bool, elements: usize| if constant { elements / READS } else { elements };
    let b_in_texture = b_constant && product.quantized.is_none();
    let direct = read(a_constant, a * n.div_ceil(32)) + read(b_in_texture, b * m.div_ceil(64));
    let pack = |constant: bool, elements: usize| if constant { 0 } else { elements + DISPATCH };
    let reads = a * n.div_ceil(32) + b * m.div_ceil(software::packed_tile_rows(m));
    pack(a_constant, a) + pack(b_constant, b) + reads / READS < direct
}

/// The packing of a constant A into tiles of so many rows.
pub(super) fn a_tiles(product: &Product, rows: u32, params: &MatMulParams) -> Packing {
    let MatMulParams { m, k, a_row_stride, a_column_stride, a_offset, .. } = *params;
    let arguments = vec![m, k, a_row_stride, a_column_stride, a_offset, rows];
    Packing { input: product.inputs[0], layout: "matmul_tiles", arguments, pack: pack_tiles }
}

/// Tiles `[m / height, steps, height, 4]` of rows of A, padded with zeros, from the arguments m, k, strides, offset, height.
fn pack_tiles(tensor: &Tensor, arguments: &[u32]) -> Vec<u8> {
    let (m, k, height) = (arguments[0] as usize, arguments[1] as usize, arguments[5] as usize);
    let steps = k.next_multiple_of(PANEL_ROWS) / 4;
    let mut packed = vec![0f32; m.div_ceil(height) * steps * height * 4];
    packing::elements(tensor, arguments, |m, k, value| {
        packed[((m / height * steps + k / 4) * height + m % height) * 4 + k % 4] = value;
    });
    bytemuck::cast_slice(&packed).to_vec()
}

/// The variant, where subgroups have eight lanes or more and textures hold the operands.
pub(super) fn lower(product: &Product, io: &Io, caps: &Caps) -> Result<Lowering> {
    let lanes = caps.broadcasting_lanes().filter(|lanes| lanes.is_power_of_two());
    let lanes = lanes.ok_or_else(|| Error::unsupported("subgroups have fewer than 8 lanes"))?;
    if product.gather.is_some() {
        return Err(Error::unsupported("the right operand is gathered"));
    }
    let (rows, panel) = (software::packed_tile_rows(product.m), 4 * lanes);
    if !textures_hold(product, rows, panel as usize, caps) {
        return Err(Error::unsupported("textures do not hold the operands"));
    }
    let [rows, padded] = u32s([rows, product.k.next_multiple_of(PANEL_ROWS) / 4])?;
    let packed = PackedProduct { product, io, caps, rows, panel, padded, packed: vec![], temporaries: vec![] };
    packed.lower(lanes)
}

/// An operand in a texture.
struct PackedOperand {
    operand: Operand,
    /// What packs it, unless that was done when the model was loaded.
    dispatch: Option<Dispatch>,
    /// Whether every batch has a matrix of its own.
    batched: bool,
    /// What kernels bind besides to read it, after the output.
    more: Vec<(Operand, Access)>,
}

/// The variant in the making.
struct PackedProduct<'a> {
    product: &'a Product,
    io: &'a Io<'a>,
    caps: &'a Caps,
    /// Rows of a tile.
    rows: u32,
    /// Columns of a panel of B.
    panel: u32,
    /// Steps of four terms, padded.
    padded: u32,
    packed: Vec<Packing>,
    temporaries: Vec<u64>,
}

impl PackedProduct<'_> {
    fn lower(mut self, lanes: u32) -> Result<Lowering> {
        let product = self.product;
        let width = if product.n.is_multiple_of(4) { 4 } else { 1 };
        let mut kernel = Kernel::new(&SHADER, &[Access::ReadTexture, Access::ReadTexture, Access::Write], [lanes, 1, 1])
            .constant("LANES", lanes)
            .constant("ROWS", self.rows)
            .texels()
            .prelude(&preludes::MATMUL_PACKED_OPERANDS);
        let (a, b) = (self.a()?, self.b(&mut kernel)?);
        let mut kernel = kernel
            .prelude(&preludes::PLACE_COLUMN)
            .prelude(if width == 4 { &preludes::STORE_WIDTH4 } else { &preludes::STORE_WIDTH1 })
            .set("BATCH_A", a.batched.into())
            .set("BATCH_B", b.batched.into());
        let mut bindings = vec![a.operand, b.operand, Operand::Output(0)];
        for (operand, access) in b.more {
            bindings.push(operand);
            kernel.storage.push(access);
        }
        let sums = [&preludes::ROW_SUMS, &preludes::ROW_STEPS, &preludes::ROW_STORES];
        let kernel = sums.into_iter().fold(kernel, Kernel::prelude);
        let kernel = self.io.attach_epilogue(kernel, &mut bindings, width, self.caps)?;
        let [m, n, steps] = u32s([product.m, product.n, product.k.div_ceil(4)])?;
        let params = PackedParams { m, n, steps, padded: self.padded };
        let grid = [product.m.div_ceil(self.rows as usize), product.n.div_ceil(self.panel as usize), product.batches()];
        let (flops, bytes) = product.work();
        let turns = self.padded as usize + 8;
        let dispatch = Dispatch::new(kernel, params, bindings, u32s(grid)?).turns(turns).work(flops, bytes);
        let dispatches = a.dispatch.into_iter().chain(b.dispatch).chain([dispatch]).collect();
        Ok(Lowering::new(dispatches).temporaries(self.temporaries).packed(self.packed))
    }

    /// An operand that was packed when the model was loaded.
    fn loaded(&mut self, packing: Packing) -> PackedOperand {
        self.packed.push(packing);
        PackedOperand { operand: Operand::Packed(self.packed.len() - 1), dispatch: None, batched: false, more: vec![] }
    }

    fn a(&mut self) -> Result<PackedOperand> {
        let product = self.product;
        let params = product.params()?;
        if product.a_is_constant(self.io) {
            return Ok(self.loaded(a_tiles(product, self.rows, &params)));
        }
        let rows = product.m.next_multiple_of(self.rows as usize);
        let kernel = Kernel::new(&PACK_A_SHADER, &[Access::Read, Access::WriteTexture], [8, 8, 1]).constant("ROWS", self.rows);
        let blocks = [self.padded as usize, rows.div_ceil(4)];
        let batched = product.batch.iter().any(|axis| axis.a != 0);
        let kernel = kernel.prelude(product.a_where_it_lies(AForm::Blocks).prelude);
        let input = Operand::Input(product.inputs[0]);
        self.packing(kernel, input, params, blocks, batched, rows * self.padded as usize)
    }

    /// Operand B, with what the kernel takes to read it.
    fn b(&mut self, kernel: &mut Kernel) -> Result<PackedOperand> {
        let product = self.product;
        let mut params = product.params()?;
        if let Some(quantized) = &product.quantized {
            return self.bits(bits::in_textures(quantized, &params, self.panel)?, kernel);
        }
        let floats = [&preludes::PANEL_TEXELS, &preludes::MATMUL_PACKED_FLOATS];
        *kernel = floats.into_iter().fold(kernel.clone(), Kernel::prelude).constant("TERMS", 4);
        let source = product.b_in_floats(self.io, BForm::Panels(self.panel), &mut params)?;
        let input = match source.place {
            Place::Packed(packing) => return Ok(self.loaded(packing)),
            Place::Lying(input) => input,
        };
        let columns = product.n.next_multiple_of(self.panel as usize);
        let kernel = Kernel::new(&PACK_B_SHADER, &[Access::WriteTexture, Access::Read], [8, 8, 1]).constant("PANEL", self.panel);
        let blocks = [columns / 4, self.padded as usize];
        let batched = product.batch.iter().any(|axis| axis.b != 0);
        self.packing(kernel.prelude(source.prelude), input, params, blocks, batched, columns * self.padded as usize)
    }

    /// Operand B in few bits.
    fn bits(&mut self, source: Source, kernel: &mut Kernel) -> Result<PackedOperand> {
        let preludes = source.base.into_iter().chain([source.prelude, &preludes::MATMUL_PACKED_BITS]);
        *kernel = preludes.fold(kernel.clone(), Kernel::prelude).constant("TERMS", 8);
        kernel.constants.extend(source.constants);
        let Place::Packed(packing) = source.place else {
            return Err(Error::internal("weights of few bits that are not packed"));
        };
        let operand = self.loaded(packing);
        let more = source.more.into_iter().map(|(packing, access)| (self.loaded(packing).operand, access)).collect();
        Ok(PackedOperand { more, ..operand })
    }

    /// The dispatch that packs an operand: so many blocks of four by four for each matrix, which takes so many texels.
    fn packing(
        &mut self,
        kernel: Kernel,
        input: Operand,
        params: MatMulParams,
        blocks: [usize; 2],
        batched: bool,
        texels: usize,
    ) -> Result<PackedOperand> {
        let batches = if batched { self.product.batches() } else { 1 };
        let texels = (texels * batches) as u64;
        self.temporaries.push(texels * 16);
        let texture = Operand::Temporary(self.temporaries.len() - 1);
        let bindings = kernel.storage.iter().map(|access| if access.is_texture() { texture } else { input }).collect();
        let [axes] = u32s([self.product.batch.len()])?;
        let kernel = kernel
            .constant("K_EDGE", (!self.product.k.is_multiple_of(4)).into())
            .texels()
            .prelude(&preludes::MATMUL)
            .prelude(self.caps.fours())
            .set("BATCH_AXES", axes)
            .set("PADDED", self.padded);
        let grid = u32s([blocks[0].div_ceil(8), blocks[1].div_ceil(8), batches])?;
        let dispatch = Dispatch::new(kernel, params, bindings, grid).work(0, texels * 32);
        Ok(PackedOperand { operand: texture, dispatch: Some(dispatch), batched, more: vec![] })
    }
}
