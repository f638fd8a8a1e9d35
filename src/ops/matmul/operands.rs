//! How kernels read the operands and write the output: which preludes fit the strides, and the packing of constant ones.

use super::problem::{MatMulParams, Matrix, Problem};
use crate::error::{Error, Result};
use crate::graph::Io;
use super::packing::{pack_columns, pack_panels, pack_panels_f16, pack_rows};
use super::split;
use crate::kernel::{Access, Caps, Dispatch, Grid, Kernel, Lowering, Operand, Packing, Prelude, preludes};
use crate::tensor::Tensor;

/// How a kernel wants operand B.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    /// In panels of so many columns if it is constant, else as it lies.
    Panels(u32),
    /// As columns of neighbours.
    Columns,
}

/// Where an operand comes from and the preludes that read it.
struct Source {
    preludes: Vec<&'static Prelude>,
    operand: Operand,
    constants: Vec<(&'static str, u32)>,
    /// Its layout, where it is packed.
    packing: Option<Packing>,
    /// Packed inputs that the preludes read besides, bound after the output.
    more: Vec<Packing>,
}

impl Source {
    fn new(prelude: &'static Prelude, operand: Operand) -> Self {
        Source { preludes: vec![prelude], operand, constants: vec![], packing: None, more: vec![] }
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

    /// How A is read: where it lies, or padded to whole vectors if it is constant rows that are not.
    fn a_source(&self, io: &Io, blocks: bool, params: &mut MatMulParams) -> Source {
        let input = Operand::Input(self.inputs[0]);
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
    fn b_source(&self, io: &Io, want: Want, params: &mut MatMulParams) -> Source {
        if let Some(gather) = &self.gather {
            return Source { constants: gather.constants.clone(), ..Source::new(gather.prelude, gather.operand) };
        }
        let input = Operand::Input(self.inputs[1]);
        let packing = |params: &MatMulParams, layout, last, pack| {
            let strides = [params.b_row_stride, params.b_column_stride, params.b_offset];
            let arguments = [&[self.k as u32, self.n as u32], &strides[..], &[last]].concat();
            Some(Packing { input: self.inputs[1], layout, arguments, pack })
        };
        if let Some(quantized) = &self.quantized {
            let width = if let Want::Panels(width) = want { width } else { 4 };
            let constants = [&[("PANEL", width)], &quantized.constants()[..]].concat();
            let (packing, more) = quantized.packings(self, width);
            let packing = Some(packing);
            return Source { preludes: quantized.preludes(), operand: input, constants, packing, more };
        }
        // Half floats are packed by panels for every kernel; four columns are one panel.
        if self.b_is_constant(io) && io.optional(self.inputs[1]).and_then(|f| f.value.as_ref()).is_some_and(Tensor::is_halves) {
            let width = if let Want::Panels(width) = want { width } else { 4 };
            return Source {
                packing: packing(params, "matmul_panels_f16", width, pack_panels_f16),
                constants: vec![("PANEL", width)],
                ..Source::new(&preludes::MATMUL_B_PANELS_F16, input)
            };
        }
        match want {
            Want::Panels(width) if self.b_is_constant(io) => Source {
                packing: packing(params, "matmul_panels", width, pack_panels),
                constants: vec![("PANEL", width)],
                ..Source::new(&preludes::MATMUL_B_PANELS, input)
            },
            Want::Columns if self.b_is_constant(io) && !self.b_by_columns() => {
                let rows = self.k.next_multiple_of(4) as u32;
                let packing = packing(params, "matmul_columns", rows, pack_columns);
                (params.b_row_stride, params.b_column_stride, params.b_offset) = (1, rows, 0);
                Source { packing, ..Source::new(&preludes::MATMUL_B_COLUMNS, input) }
            }
            Want::Columns => Source::new(&preludes::MATMUL_B_COLUMNS, input),
            Want::Panels(_) if self.b_by_rows() => Source::new(&preludes::MATMUL_B_ROWS, input),
            Want::Panels(_) if self.b_by_columns() => Source::new(&preludes::MATMUL_B_COLUMNS, input),
            Want::Panels(_) => Source::new(&preludes::MATMUL_B_SCALAR, input),
        }
    }

    /// A kernel that walks k in steps of `step`, with the preludes that read the operands, `a_block` included if `blocks`.
    pub(super) fn bind(&self, kernel: Kernel, step: usize, io: &Io, want: Want, blocks: bool, caps: &Caps) -> Result<Bound> {
        let mut params = self.params()?;
        let sources = [self.a_source(io, blocks, &mut params), self.b_source(io, want, &mut params)];
        let width = if self.row_length().is_multiple_of(4) { 4 } else { 1 };
        let mut kernel = kernel
            .constant("K_EDGE", (!self.k.is_multiple_of(step)).into())
            .prelude(&preludes::MATMUL)
            .prelude(preludes::fours(caps))
            .prelude(self.gather.as_ref().map_or(&preludes::PLACE_COLUMN, |gather| gather.place))
            .prelude(if width == 4 { &preludes::STORE_WIDTH4 } else { &preludes::STORE_WIDTH1 })
            .set("BATCH_AXES", self.batch.len() as u32);
        let (mut bindings, mut packed, mut more) = (Vec::new(), Vec::new(), Vec::new());
        for source in sources {
            kernel.preludes.extend(source.preludes);
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
        Ok(Lowering::Dispatches { variant, dispatches, temporaries: vec![size], packed: self.packed })
    }

    /// The finished candidate.
    pub(super) fn finish(mut self, variant: &'static str, problem: &Problem, grid: Grid, io: &Io, caps: &Caps) -> Result<Lowering> {
        let kernel = io.attach_epilogue(self.kernel, &mut self.bindings, self.width, caps)?;
        let (flops, bytes) = problem.work();
        let dispatch = Dispatch::new(kernel, self.params, self.bindings, grid).work(flops, bytes);
        Ok(Lowering::Dispatches { variant, dispatches: vec![dispatch], temporaries: vec![], packed: self.packed })
    }
}
