//! How kernels read the operands and write the output: which preludes fit the strides, and which constants are packed.

use super::bits::Panels;
use super::packing;
use super::product::{MatMulParams, Matrix, Product};
use super::split::{self, Parts};
use crate::error::{Error, Result};
use crate::graph::Io;
use crate::kernel::{Access, Caps, Dispatch, Kernel, Lowering, Operand, Packing, Prelude, preludes, u32s};

/// Rows of a group of few bits.
const BITS_ROWS: u32 = 4;

/// How a kernel reads operand A.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AForm {
    /// By `a_four`: four terms of a row.
    Rows,
    /// By `a_block`: four terms of four rows.
    Blocks,
}

/// How a kernel reads operand B.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BForm {
    /// By `b_block`: four columns of four rows. A constant B is packed in panels of so many columns, another is read where it lies.
    Panels(u32),
    /// By `b_columns`: four terms of four columns.
    Columns,
}

/// Where the elements of an operand stand.
pub(super) enum Place {
    /// Behind an operand, as they lie.
    Lying(Operand),
    /// Packed when the model is loaded.
    Packed(Packing),
}

/// Where an operand comes from and the prelude that reads it.
pub(super) struct Source {
    pub(super) prelude: &'static Prelude,
    pub(super) place: Place,
    /// What the prelude counts on.
    pub(super) constants: Vec<(&'static str, u32)>,
    pub(super) base: Vec<&'static Prelude>,
    /// Packed inputs that the preludes read besides, bound after the output.
    pub(super) more: Vec<(Packing, Access)>,
}

impl Source {
    /// An operand that is read where it lies.
    fn lying(prelude: &'static Prelude, operand: Operand) -> Self {
        Source { prelude, place: Place::Lying(operand), constants: vec![], base: vec![], more: vec![] }
    }

    /// An operand that is packed when the model is loaded.
    pub(super) fn packed(prelude: &'static Prelude, packing: Packing) -> Self {
        Source { prelude, place: Place::Packed(packing), constants: vec![], base: vec![], more: vec![] }
    }

    /// An operand B that is packed in panels of so many columns.
    pub(super) fn panels(prelude: &'static Prelude, packing: Packing, width: u32) -> Self {
        let base = vec![&preludes::MATMUL_PANELS];
        Source { constants: vec![("PANEL", width)], base, ..Source::packed(prelude, packing) }
    }
}

/// A kernel with its operands bound.
pub(super) struct Bound<'a> {
    product: &'a Product,
    io: &'a Io<'a>,
    caps: &'a Caps,
    kernel: Kernel,
    bindings: Vec<Operand>,
    params: MatMulParams,
    packed: Vec<Packing>,
    /// Neighbouring columns that are stored at once.
    width: u32,
}

/// True when every matrix of the batch starts, and every row (or column) steps, at a multiple of four elements.
fn aligned(matrix: &Matrix, step: i64, mut batches: impl Iterator<Item = i64>) -> bool {
    matrix.offset % 4 == 0 && step % 4 == 0 && batches.all(|s| s % 4 == 0)
}

impl Product {
    /// True when A can be read by vectors of four along its rows.
    fn a_by_rows(&self) -> bool {
        self.a.column == 1 && self.k.is_multiple_of(4) && aligned(&self.a, self.a.row, self.batch.iter().map(|x| x.a))
    }

    /// True when A can be read by vectors of four along its columns.
    fn a_by_columns(&self) -> bool {
        self.a.row == 1 && self.m.is_multiple_of(4) && aligned(&self.a, self.a.column, self.batch.iter().map(|x| x.a))
    }

    /// True when B can be read by vectors of four along its rows.
    fn b_by_rows(&self) -> bool {
        self.b.column == 1 && self.n.is_multiple_of(4) && aligned(&self.b, self.b.row, self.batch.iter().map(|x| x.b))
    }

    /// True when B can be read by vectors of four along its columns.
    pub(super) fn b_by_columns(&self) -> bool {
        self.gather.is_none()
            && self.b.row == 1
            && self.k.is_multiple_of(4)
            && aligned(&self.b, self.b.column, self.batch.iter().map(|x| x.b))
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

    /// How A is read where it lies.
    pub(super) fn a_where_it_lies(&self, form: AForm) -> Source {
        let prelude = if self.a_by_rows() {
            &preludes::MATMUL_A_ROWS
        } else if form == AForm::Blocks && self.a_by_columns() {
            &preludes::MATMUL_A_COLUMNS
        } else {
            &preludes::MATMUL_A_SCALAR
        };
        Source::lying(prelude, Operand::Input(self.inputs[0]))
    }

    /// How A is read: where it lies, or padded to whole vectors if it is constant rows that are not.
    pub(super) fn a_source(&self, io: &Io, form: AForm, params: &mut MatMulParams) -> Result<Source> {
        let lying = self.a_where_it_lies(form);
        let constant = io.optional(self.inputs[0]).is_some_and(|fact| fact.value.is_some());
        let rows = self.a_as_rows().filter(|_| constant && lying.prelude == &preludes::MATMUL_A_SCALAR);
        let Some(rows) = rows else { return Ok(lying) };
        // No stride exceeds 32 bits where the whole does not.
        let padded = self.k.next_multiple_of(4);
        let [rows, k, padded, _] = u32s([rows, self.k, padded, rows * padded])?;
        for stride in params.a_batch_strides.iter_mut().take(self.batch.len()) {
            *stride = *stride / k * padded;
        }
        params.a_row_stride = padded;
        let arguments = vec![rows, k, padded];
        let packing = Packing { input: self.inputs[0], layout: "matmul_rows", arguments, pack: packing::rows };
        Ok(Source::packed(&preludes::MATMUL_A_ROWS, packing))
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

    /// How B is read, in as few bits as it may be kept in.
    pub(super) fn b_source(&self, io: &Io, form: BForm, params: &mut MatMulParams) -> Result<Source> {
        // Four columns of neighbours are a panel of four.
        let width = if let BForm::Panels(width) = form { width } else { 4 };
        let Some(quantized) = &self.quantized else {
            let value = io.optional(self.inputs[1]).and_then(|fact| fact.value.as_ref());
            if !self.b_is_constant(io) || !value.is_some_and(|value| value.is_halves()) {
                return self.b_in_floats(io, form, params);
            }
            let packing = self.b_packing("matmul_panels_f16", width, params, packing::panels_f16);
            return Ok(Source::panels(&preludes::MATMUL_B_PANELS_F16, packing, width));
        };
        let prelude = if quantized.bits == 4 { &preludes::MATMUL_B_BITS4 } else { &preludes::MATMUL_B_BITS8 };
        let Panels { bits, scales, zeros } = quantized.panels([params.k, params.n], width, BITS_ROWS)?;
        let mut source = Source::panels(prelude, bits, width);
        source.more.extend([scales].into_iter().chain(zeros).map(|packing| (packing, Access::Read)));
        source.base.extend([quantized.zero(), &preludes::MATMUL_B_BITS]);
        source.constants.extend(quantized.constants()?);
        Ok(source)
    }

    /// How B is read in floats; a constant one is packed where that helps.
    pub(super) fn b_in_floats(&self, io: &Io, form: BForm, params: &mut MatMulParams) -> Result<Source> {
        if let Some(gather) = &self.gather {
            return Ok(Source { constants: gather.constants.clone(), ..Source::lying(gather.prelude, gather.operand) });
        }
        let constant = self.b_is_constant(io);
        let lying = |prelude| Ok(Source::lying(prelude, Operand::Input(self.inputs[1])));
        match form {
            BForm::Panels(width) if constant => Ok(Source::panels(&preludes::MATMUL_B_PANELS, self.b_panels(width, params), width)),
            BForm::Columns if constant && !self.b_by_columns() => {
                let [rows] = u32s([self.k.next_multiple_of(4)])?;
                let packing = self.b_packing("matmul_columns", rows, params, packing::columns);
                (params.b_row_stride, params.b_column_stride, params.b_offset) = (1, rows, 0);
                Ok(Source::packed(&preludes::MATMUL_B_COLUMNS, packing))
            }
            BForm::Panels(_) if self.b_by_rows() => lying(&preludes::MATMUL_B_ROWS),
            BForm::Panels(_) if !self.b_by_columns() => lying(&preludes::MATMUL_B_SCALAR),
            _ => lying(&preludes::MATMUL_B_COLUMNS),
        }
    }

    /// The packing of a constant B into panels of so many columns.
    pub(super) fn b_panels(&self, width: u32, params: &MatMulParams) -> Packing {
        self.b_packing("matmul_panels", width, params, packing::panels)
    }

    /// The packing of a constant B into a layout that depends on one number besides its extents and strides.
    fn b_packing(&self, layout: &'static str, number: u32, params: &MatMulParams, pack: packing::Pack) -> Packing {
        let MatMulParams { k, n, b_row_stride, b_column_stride, b_offset, .. } = *params;
        let arguments = vec![k, n, b_row_stride, b_column_stride, b_offset, number];
        Packing { input: self.inputs[1], layout, arguments, pack }
    }

    /// A kernel with the preludes that read the operands in these forms.
    pub(super) fn read<'a>(&'a self, kernel: Kernel, a: AForm, b: BForm, io: &'a Io<'a>, caps: &'a Caps) -> Result<Bound<'a>> {
        let mut params = self.params()?;
        let sources = [self.a_source(io, a, &mut params)?, self.b_source(io, b, &mut params)?];
        self.bind(kernel, sources, params, io, caps)
    }

    /// A kernel that takes four terms at a step, with its operands from these sources.
    pub(super) fn bind<'a>(
        &'a self,
        kernel: Kernel,
        sources: [Source; 2],
        params: MatMulParams,
        io: &'a Io<'a>,
        caps: &'a Caps,
    ) -> Result<Bound<'a>> {
        let [axes] = u32s([self.batch.len()])?;
        let width = if self.row_length().is_multiple_of(4) { 4 } else { 1 };
        let mut kernel = kernel
            .constant("K_EDGE", (!self.k.is_multiple_of(4)).into())
            .prelude(&preludes::MATMUL)
            .prelude(caps.fours())
            .prelude(self.gather.as_ref().map_or(&preludes::PLACE_COLUMN, |gather| gather.place))
            .prelude(if width == 4 { &preludes::STORE_WIDTH4 } else { &preludes::STORE_WIDTH1 })
            .set("BATCH_AXES", axes);
        let (mut bindings, mut packed, mut more) = (Vec::new(), Vec::new(), Vec::new());
        for source in sources {
            kernel = source.base.into_iter().chain([source.prelude]).fold(kernel, Kernel::prelude);
            kernel.constants.extend(source.constants);
            bindings.push(match source.place {
                Place::Lying(operand) => operand,
                Place::Packed(packing) => pack(packing, &mut packed),
            });
            more.extend(source.more);
        }
        bindings.push(Operand::Output(0));
        for (packing, access) in more {
            bindings.push(pack(packing, &mut packed));
            kernel.storage.push(access);
        }
        Ok(Bound { product: self, io, caps, kernel, bindings, params, packed, width })
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

/// One more packed operand.
fn pack(packing: Packing, packed: &mut Vec<Packing>) -> Operand {
    packed.push(packing);
    Operand::Packed(packed.len() - 1)
}

impl Bound<'_> {
    /// The kernel with one more prelude.
    pub(super) fn prelude(mut self, prelude: &'static Prelude) -> Self {
        self.kernel = self.kernel.prelude(prelude);
        self
    }

    /// The finished variant, in whose loops an invocation takes so many turns.
    pub(super) fn finish(self, grid: [usize; 3], turns: usize) -> Result<Lowering> {
        let io = self.io;
        let (dispatch, packed) = self.dispatch(io, grid, turns)?;
        Ok(Lowering::new(vec![dispatch]).packed(packed))
    }

    /// The finished variant with k in parts, if it is split: `grid` has them outermost in z.
    pub(super) fn finish_split(mut self, split: Option<Parts>, grid: [usize; 3], turns: usize) -> Result<Lowering> {
        let Some(Parts { count, terms }) = split else { return self.finish(grid, turns) };
        let elements = self.product.elements();
        let size = 4 * (count * elements) as u64;
        if size > self.caps.max_storage_binding {
            return Err(Error::limit(format!("{count} partial sums take {size} bytes")));
        }
        [self.params.terms] = u32s([terms])?;
        for binding in self.bindings.iter_mut().filter(|b| **b == Operand::Output(0)) {
            *binding = Operand::Temporary(0);
        }
        let join = split::join(elements, count, self.width, self.io, self.caps)?;
        let plain = Io { epilogue: None, ..self.io.clone() };
        let (mut dispatch, packed) = self.dispatch(&plain, grid, turns)?;
        dispatch.work.bytes += size;
        Ok(Lowering::new(vec![dispatch, join]).temporaries(vec![size]).packed(packed))
    }

    /// The product's dispatch, and what it reads packed.
    fn dispatch(mut self, io: &Io, grid: [usize; 3], turns: usize) -> Result<(Dispatch, Vec<Packing>)> {
        let kernel = io.attach_epilogue(self.kernel, &mut self.bindings, self.width, self.caps)?;
        let (flops, bytes) = self.product.work();
        let dispatch = Dispatch::new(kernel, self.params, self.bindings, u32s(grid)?);
        Ok((dispatch.turns(turns).work(flops, bytes), self.packed))
    }
}
