//! How kernels read the operands and write the output: which preludes fit the strides, and the packing of constant ones.

use super::problem::{MatMulParams, Matrix, Problem};
use super::split;
use crate::error::{Error, Result};
use crate::graph::Io;
use crate::kernel::{Access, Caps, Dispatch, Grid, Kernel, Lowering, Operand, Packing, Prelude, preludes};
use crate::tensor::{DType, Tensor};
use half::f16;

/// Rows of packed panels are padded to a multiple of this, as the prelude has it.
pub(super) const PANEL_ROWS: usize = 32;

/// How a kernel wants operand B.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    /// In panels of so many columns if it is constant, else as it lies.
    Panels(u32),
    /// The same as textures, and A in tiles of so many rows.
    Textures { rows: u32, panel: u32 },
    /// As columns of neighbours.
    Columns,
}

/// Where an operand comes from and the prelude that reads it.
pub(super) struct Source {
    pub(super) prelude: &'static Prelude,
    pub(super) operand: Operand,
    constants: Vec<(&'static str, u32)>,
    /// Its layout, where it is packed.
    pub(super) packing: Option<Packing>,
    /// Whether it is packed into a texture.
    texture: bool,
    /// Preludes that this one counts on.
    base: Vec<&'static Prelude>,
    /// Packed inputs that the preludes read besides, bound after the output.
    more: Vec<Packing>,
}

impl Source {
    fn new(prelude: &'static Prelude, operand: Operand) -> Self {
        Source { prelude, operand, constants: vec![], packing: None, texture: false, base: vec![], more: vec![] }
    }
}

/// A kernel with its operands bound.
pub(super) struct Bound {
    kernel: Kernel,
    bindings: Vec<Operand>,
    params: MatMulParams,
    packed: Vec<Packing>,
    width: u32,
}

impl Problem {
    /// True when every matrix of the batch starts, and every row (or column) steps, at a multiple of four elements.
    fn aligned(matrix: &Matrix, step: i64, batches: impl Iterator<Item = i64>) -> bool {
        matrix.offset % 4 == 0 && step % 4 == 0 && batches.into_iter().all(|s| s % 4 == 0)
    }

    /// True when A can be read by vectors of four along its rows.
    fn a_by_rows(&self) -> bool {
        self.a.column == 1 && self.k.is_multiple_of(4) && Self::aligned(&self.a, self.a.row, self.batch.iter().map(|x| x.a))
    }

    /// True when A can be read by vectors of four along its columns.
    fn a_by_columns(&self) -> bool {
        self.a.row == 1 && self.m.is_multiple_of(4) && Self::aligned(&self.a, self.a.column, self.batch.iter().map(|x| x.a))
    }

    /// True when B can be read by vectors of four along its rows.
    fn b_by_rows(&self) -> bool {
        self.b.column == 1 && self.n.is_multiple_of(4) && Self::aligned(&self.b, self.b.row, self.batch.iter().map(|x| x.b))
    }

    /// True when B can be read by vectors of four along its columns.
    pub(super) fn b_by_columns(&self) -> bool {
        self.gather.is_none()
            && self.b.row == 1
            && self.k.is_multiple_of(4)
            && Self::aligned(&self.b, self.b.column, self.batch.iter().map(|x| x.b))
    }

    /// True when B is one constant matrix, which can be packed once.
    pub(super) fn b_is_constant(&self, io: &Io) -> bool {
        self.gather.is_none()
            && self.batch.iter().all(|axis| axis.b == 0)
            && io.optional(self.inputs[1]).is_some_and(|fact| fact.value.is_some())
    }

    /// True when A is one constant matrix, which can be packed once.
    pub(super) fn a_is_constant(&self, io: &Io) -> bool {
        self.batch.iter().all(|axis| axis.a == 0) && io.optional(self.inputs[0]).is_some_and(|fact| fact.value.is_some())
    }

    /// How blocks of A are read where it lies.
    pub(super) fn a_where_it_lies(&self) -> Source {
        let prelude = if self.a_by_rows() {
            &preludes::MATMUL_A_ROWS
        } else if self.a_by_columns() {
            &preludes::MATMUL_A_COLUMNS
        } else {
            &preludes::MATMUL_A_SCALAR
        };
        Source::new(prelude, Operand::Input(self.inputs[0]))
    }

    /// How A is read: where it lies, or padded to whole vectors if it is constant rows that are not.
    fn a_source(&self, io: &Io, want: Want, blocks: bool, params: &mut MatMulParams) -> Source {
        let input = Operand::Input(self.inputs[0]);
        if let (Want::Textures { rows, .. }, true) = (want, self.a_is_constant(io)) {
            let packing = Some(self.a_tiles(rows, params));
            return Source { packing, texture: true, ..Source::new(&preludes::MATMUL_A_TEXTURE, input) };
        }
        if self.a_by_rows() {
            return Source::new(&preludes::MATMUL_A_ROWS, input);
        }
        if blocks && self.a_by_columns() {
            return Source::new(&preludes::MATMUL_A_COLUMNS, input);
        }
        let constant = io.optional(self.inputs[0]).is_some_and(|fact| fact.value.is_some());
        match self.a_as_rows() {
            Some(rows) if constant => {
                let padded = self.k.next_multiple_of(4);
                for (axis, stride) in params.a_batch_strides.iter_mut().take(self.batch.len()).enumerate() {
                    *stride = (self.batch[axis].a as usize / self.k * padded) as u32;
                }
                params.a_row_stride = padded as u32;
                let arguments = vec![rows as u32, self.k as u32, padded as u32];
                let packing = Packing { input: self.inputs[0], layout: "matmul_rows", arguments, pack: pack_rows };
                Source { packing: Some(packing), ..Source::new(&preludes::MATMUL_A_ROWS, input) }
            }
            _ => Source::new(&preludes::MATMUL_A_SCALAR, input),
        }
    }

    /// The packing of a constant A into tiles.
    pub(super) fn a_tiles(&self, rows: u32, params: &MatMulParams) -> Packing {
        let strides = [params.a_row_stride, params.a_column_stride, params.a_offset];
        let arguments = [&[params.m, params.k], &strides[..], &[rows]].concat();
        Packing { input: self.inputs[0], layout: "matmul_tiles", arguments, pack: pack_tiles }
    }

    /// Number of rows when A is, over the whole batch, a row-major tensor of them.
    fn a_as_rows(&self) -> Option<usize> {
        let mut rows = self.m;
        for axis in self.batch.iter().rev().filter(|axis| axis.a != 0) {
            if axis.a != (rows * self.k) as i64 {
                return None;
            }
            rows *= axis.extent;
        }
        (self.a.column == 1 && self.a.row == self.k as i64 && self.a.offset == 0).then_some(rows)
    }

    /// How B is read; a constant one is packed where that helps.
    pub(super) fn b_source(&self, io: &Io, want: Want, params: &mut MatMulParams) -> Source {
        if let Some(gather) = &self.gather {
            return Source { constants: gather.constants.clone(), ..Source::new(gather.prelude, gather.operand) };
        }
        let input = Operand::Input(self.inputs[1]);
        let packing = |params: &MatMulParams, layout, last, pack| {
            let strides = [params.b_row_stride, params.b_column_stride, params.b_offset];
            let arguments = [&[self.k as u32, self.n as u32], &strides[..], &[last]].concat();
            Some(Packing { input: self.inputs[1], layout, arguments, pack })
        };
        match want {
            Want::Panels(width) if self.b_is_constant(io) => Source {
                packing: packing(params, "matmul_panels", width, pack_panels),
                constants: vec![("PANEL", width)],
                ..Source::new(&preludes::MATMUL_B_PANELS, input)
            },
            Want::Textures { panel, .. } if self.b_is_constant(io) => Source {
                packing: packing(params, "matmul_panels", panel, pack_panels),
                constants: vec![("PANEL", panel)],
                texture: true,
                ..Source::new(&preludes::MATMUL_B_TEXTURE, input)
            },
            Want::Columns if self.b_is_constant(io) && !self.b_by_columns() => {
                let rows = self.k.next_multiple_of(4) as u32;
                let packing = packing(params, "matmul_columns", rows, pack_columns);
                (params.b_row_stride, params.b_column_stride, params.b_offset) = (1, rows, 0);
                Source { packing, ..Source::new(&preludes::MATMUL_B_COLUMNS, input) }
            }
            Want::Columns => Source::new(&preludes::MATMUL_B_COLUMNS, input),
            _ if self.b_by_rows() => Source::new(&preludes::MATMUL_B_ROWS, input),
            _ if self.b_by_columns() => Source::new(&preludes::MATMUL_B_COLUMNS, input),
            _ => Source::new(&preludes::MATMUL_B_SCALAR, input),
        }
    }

    /// How B is read where it may be kept in fewer bits than those of a float.
    fn b_in_fewer_bits(&self, io: &Io, want: Want) -> Option<Source> {
        let input = Operand::Input(self.inputs[1]);
        // Four columns of neighbours are a panel of four.
        let width = if let Want::Panels(width) = want { width } else { 4 };
        if let Some(quantized) = &self.quantized {
            let constants = [&[("PANEL", width)], &quantized.constants()[..]].concat();
            let (packing, more) = quantized.packings(self, width);
            let (base, prelude) = quantized.preludes();
            return Some(Source { constants, packing: Some(packing), base: base.to_vec(), more, ..Source::new(prelude, input) });
        }
        let value = io.optional(self.inputs[1])?.value.as_ref()?;
        (self.b_is_constant(io) && value.is_halves()).then(|| {
            let [row, column, offset] = [self.b.row, self.b.column, self.b.offset].map(|n| n as u32);
            let arguments = vec![self.k as u32, self.n as u32, row, column, offset, width];
            let packing = Packing { input: self.inputs[1], layout: "matmul_panels_f16", arguments, pack: pack_panels_f16 };
            Source {
                packing: Some(packing),
                constants: vec![("PANEL", width)],
                ..Source::new(&preludes::MATMUL_B_PANELS_F16, input)
            }
        })
    }

    /// A kernel that walks k in steps of `step`, with the preludes that read the operands, `a_block` included if `blocks`.
    pub(super) fn bind(&self, kernel: Kernel, step: usize, io: &Io, want: Want, blocks: bool, caps: &Caps) -> Result<Bound> {
        let mut params = self.params()?;
        let a = self.a_source(io, want, blocks, &mut params);
        let in_fewer_bits = if matches!(want, Want::Textures { .. }) { None } else { self.b_in_fewer_bits(io, want) };
        let b = in_fewer_bits.unwrap_or_else(|| self.b_source(io, want, &mut params));
        let sources = [a, b];
        let width = if self.row_length().is_multiple_of(4) { 4 } else { 1 };
        let mut kernel = kernel
            .constant("K_EDGE", (!self.k.is_multiple_of(step)).into())
            .prelude(&preludes::MATMUL)
            .prelude(caps.fours())
            .prelude(self.gather.as_ref().map_or(&preludes::PLACE_COLUMN, |gather| gather.place))
            .prelude(if width == 4 { &preludes::STORE_WIDTH4 } else { &preludes::STORE_WIDTH1 })
            .set("BATCH_AXES", self.batch.len() as u32);
        if sources.iter().any(|source| source.texture) {
            kernel = kernel.texels();
        }
        let (mut bindings, mut packed, mut more) = (Vec::new(), Vec::new(), Vec::new());
        for (index, source) in sources.into_iter().enumerate() {
            if source.texture {
                kernel.storage[index] = Access::ReadTexture;
            }
            kernel = source.base.into_iter().chain([source.prelude]).fold(kernel, Kernel::prelude);
            kernel.constants.extend(source.constants);
            bindings.push(if source.packing.is_some() { Operand::Packed(packed.len()) } else { source.operand });
            packed.extend(source.packing);
            more.extend(source.more);
        }
        bindings.push(Operand::Output(0));
        for packing in more {
            bindings.push(Operand::Packed(packed.len()));
            kernel.storage.push(Access::Read);
            packed.push(packing);
        }
        Ok(Bound { kernel, bindings, params, packed, width })
    }

    /// Elements of C after which a group of four columns must not run on.
    fn row_length(&self) -> usize {
        self.gather.as_ref().map_or(self.n, |gather| gather.row_length)
    }

    /// Columns that the tiles must cover.
    pub(super) fn columns(&self) -> usize {
        self.gather.as_ref().map_or(self.n, |gather| gather.columns)
    }
}

impl Bound {
    /// The same with one more prelude.
    pub(super) fn prelude(mut self, prelude: &'static Prelude) -> Self {
        self.kernel = self.kernel.prelude(prelude);
        self
    }

    /// The finished candidate with k in parts of so many terms: `grid` has them outermost in z.
    pub(super) fn finish_split(
        mut self,
        variant: &'static str,
        problem: &Problem,
        grid: Grid,
        (parts, terms): (usize, usize),
        io: &Io,
        caps: &Caps,
    ) -> Result<Lowering> {
        let elements = problem.batches() * problem.m * problem.n;
        let size = 4 * (parts * elements) as u64;
        if size > caps.max_storage_binding {
            return Err(Error::limit(format!("{parts} partial sums take {size} bytes")));
        }
        self.params.terms = terms as u32;
        for binding in self.bindings.iter_mut().filter(|b| **b == Operand::Output(0)) {
            *binding = Operand::Temporary(0);
        }
        let plain = Io { epilogue: None, ..io.clone() };
        let kernel = plain.attach_epilogue(self.kernel, &mut self.bindings, self.width, caps)?;
        let (flops, bytes) = problem.work();
        let dispatch = Dispatch::new(kernel, self.params, self.bindings, grid).work(flops, bytes + size);
        let dispatches = vec![dispatch, split::join(elements, parts, self.width, io, caps)?];
        Ok(Lowering::Dispatches { variant, dispatches, temporaries: vec![size], packed: self.packed, tables: vec![] })
    }

    /// The finished candidate.
    pub(super) fn finish(mut self, variant: &'static str, problem: &Problem, grid: Grid, io: &Io, caps: &Caps) -> Result<Lowering> {
        let kernel = io.attach_epilogue(self.kernel, &mut self.bindings, self.width, caps)?;
        let (flops, bytes) = problem.work();
        let dispatch = Dispatch::new(kernel, self.params, self.bindings, grid).work(flops, bytes);
        Ok(Lowering::Dispatches { variant, dispatches: vec![dispatch], temporaries: vec![], packed: self.packed, tables: vec![] })
    }
}

/// A constant matrix, from the arguments of a packing: rows, columns, row stride, column stride, offset.
fn elements(tensor: &Tensor, arguments: &[u32], mut put: impl FnMut(usize, usize, f32)) {
    let converted: Vec<f32>;
    let data = match tensor.as_slice::<f32>() {
        Ok(data) if tensor.dtype() == DType::F32 => data,
        _ => {
            converted = tensor.to_f64().iter().map(|x| *x as f32).collect();
            &converted
        }
    };
    let step = |n: u32| i64::from(n as i32);
    let (row, column, offset) = (step(arguments[2]), step(arguments[3]), step(arguments[4]));
    for k in 0..arguments[0] as usize {
        for n in 0..arguments[1] as usize {
            put(k, n, data[(offset + k as i64 * row + n as i64 * column) as usize]);
        }
    }
}

/// Panels `[n / width, k, width]`, padded with zeros.
fn pack_panels(tensor: &Tensor, arguments: &[u32]) -> Vec<u8> {
    let (k, n, width) = (arguments[0] as usize, arguments[1] as usize, arguments[5] as usize);
    let rows = k.next_multiple_of(PANEL_ROWS);
    let mut packed = vec![0f32; n.div_ceil(width) * rows * width];
    elements(tensor, arguments, |k, n, value| packed[(n / width * rows + k) * width + n % width] = value);
    bytemuck::cast_slice(&packed).to_vec()
}

/// Tiles `[m / height, steps, height, 4]` of rows of A, padded with zeros, from the arguments m, k, strides, offset, height.
fn pack_tiles(tensor: &Tensor, arguments: &[u32]) -> Vec<u8> {
    let (m, k, height) = (arguments[0] as usize, arguments[1] as usize, arguments[5] as usize);
    let steps = k.next_multiple_of(PANEL_ROWS) / 4;
    let mut packed = vec![0f32; m.div_ceil(height) * steps * height * 4];
    elements(tensor, arguments, |m, k, value| {
        packed[((m / height * steps + k / 4) * height + m % height) * 4 + k % 4] = value;
    });
    bytemuck::cast_slice(&packed).to_vec()
}

/// Columns `[n, rows]`, padded with zeros.
fn pack_columns(tensor: &Tensor, arguments: &[u32]) -> Vec<u8> {
    let rows = arguments[5] as usize;
    let mut packed = vec![0f32; arguments[1] as usize * rows];
    elements(tensor, arguments, |k, n, value| packed[n * rows + k] = value);
    bytemuck::cast_slice(&packed).to_vec()
}

/// Rows `[rows, padded]`, padded with zeros, from the arguments rows, length, padded length.
fn pack_rows(tensor: &Tensor, arguments: &[u32]) -> Vec<u8> {
    let [rows, length, padded] = [0, 1, 2].map(|i| arguments[i] as usize);
    let mut packed = vec![0f32; rows * padded];
    let whole = [rows as u32, length as u32, length as u32, 1, 0];
    elements(tensor, &whole, |row, column, value| packed[row * padded + column] = value);
    bytemuck::cast_slice(&packed).to_vec()
}

/// Panels of half floats `[n / width, k / 2, width / 4]` of groups of two rows by four columns, padded with zeros.
fn pack_panels_f16(tensor: &Tensor, arguments: &[u32]) -> Vec<u8> {
    let (k, n, width) = (arguments[0] as usize, arguments[1] as usize, arguments[5] as usize);
    let rows = k.next_multiple_of(PANEL_ROWS);
    let mut packed = vec![0u16; n.div_ceil(width) * rows * width];
    elements(tensor, arguments, |k, n, value| {
        let group = ((n / width * rows + k / 2 * 2) * width + n % width / 4 * 8) / 8;
        packed[group * 8 + k % 2 * 4 + n % 4] = f16::from_f32(value).to_bits();
    });
    bytemuck::cast_slice(&packed).to_vec()
}
