//! Softmax on the GPU: rows held in registers, long rows in two kernels, and one invocation per row where the axis has
//! others inside it.

use super::super::row_workgroup::RowWorkgroup;
use super::{Normalization, Softmax, software};
use crate::error::{Error, Result};
use crate::graph::Io;
use crate::kernel::{Access, Caps, Dispatch, Kernel, Lowering, Offers, Operand, Rank, Shader, params, preludes, shader, u32s};
use crate::tensor::Scalar;

params! {
    /// Parameters of softmax_row.
    struct RowParams {
        rows: u32,
    }
}

params! {
    /// Parameters of softmax_columns.
    struct ColumnsParams {
        rows: u32,
        length: u32,
        stride: u32,
    }
}

params! {
    /// Parameters of softmax_statistics and softmax_apply.
    struct LongParams {
        rows: u32,
        length: u32,
        stride: u32,
        chunk: u32,
        chunks: u32,
    }
}

shader!(static ROW: RowParams = "softmax_row");
shader!(static COLUMNS: ColumnsParams = "softmax_columns");
shader!(static STATISTICS: LongParams = "softmax_statistics");
shader!(static APPLY: LongParams = "softmax_apply");

pub(super) static SHADERS: &[&Shader] = &[&ROW, &COLUMNS, &STATISTICS, &APPLY];

/// The fewest loads of an invocation that are worth a chunk.
const WORTH_A_CHUNK: usize = 16;
/// Rows side by side, and rows in all, that keep the invocations of `columns` busy.
const ENOUGH_NEIGHBOURS: usize = 8;
const ENOUGH_ROWS: usize = 64;

/// The order of preference.
pub(super) struct Ranks {
    /// What software adapters have beside `row`.
    pub(super) software: Rank,
    row: Rank,
    columns: Rank,
    long: Rank,
}

/// Rows in one piece, and rows that lie side by side.
const PREFER_COLUMNS: Ranks = Ranks { software: 0, row: 1, columns: 2, long: 3 };
/// Few rows, or rows that do not lie side by side: they leave most invocations of `columns` idle.
const PREFER_LONG: Ranks = Ranks { columns: 3, long: 2, ..PREFER_COLUMNS };

/// The kernels of one softmax.
pub(super) struct SoftmaxKernels<'a> {
    io: &'a Io<'a>,
    pub(super) caps: &'a Caps,
    logarithm: u32,
    rows: usize,
    length: usize,
    /// From a value of a row to the next.
    stride: usize,
}

pub(super) fn lower(op: &Softmax, io: &Io, offers: &mut Offers) -> Result<()> {
    let x = io.input(0)?;
    if op.normalization == Normalization::Hardmax {
        return Err(Error::unsupported("Hardmax runs as the nodes it is composed of"));
    }
    if x.scalar() != Some(Scalar::F32) {
        return Err(Error::unsupported(format!("softmax of {}", x.dtype())));
    }
    let (outer, length, inner) = op.around(x.shape())?;
    let logarithm = u32::from(op.normalization == Normalization::LogSoftmax);
    let kernels = SoftmaxKernels { io, caps: offers.caps(), logarithm, rows: outer * inner, length, stride: inner };
    let side_by_side = inner >= ENOUGH_NEIGHBOURS && kernels.rows >= ENOUGH_ROWS;
    let ranks = if side_by_side { &PREFER_COLUMNS } else { &PREFER_LONG };
    software::offer(&kernels, ranks, offers);
    if inner == 1 {
        offers.add("row", ranks.row, || kernels.row(Access::Read, |kernel| kernel.prelude(&preludes::ROWS_STORED)));
    } else {
        offers.add("columns", ranks.columns, || kernels.columns());
    }
    if inner > 1 || !kernels.fit_registers() {
        offers.add("long", ranks.long, || kernels.long());
    }
    Ok(())
}

impl SoftmaxKernels<'_> {
    pub(super) fn elements(&self) -> usize {
        self.rows * self.length
    }

    /// Whether rows lie in one piece.
    pub(super) fn in_one_piece(&self) -> bool {
        self.stride == 1
    }

    /// Values that `row` reads at a time.
    pub(super) fn width(&self) -> usize {
        if self.length.is_multiple_of(4) { 4 } else { 1 }
    }

    fn work(&self, dispatch: Dispatch) -> Dispatch {
        let elements = self.elements() as u64;
        dispatch.work(elements * 4, elements * 8)
    }

    fn fit_registers(&self) -> bool {
        let columns = self.length / self.width();
        RowWorkgroup::for_items(columns, self.caps).held(columns).is_ok()
    }

    /// One workgroup per row, values in registers. `reads` joins what defines `x_at`, over an input bound as `x`.
    pub(super) fn row(&self, x: Access, reads: impl FnOnce(Kernel) -> Kernel) -> Result<Lowering> {
        let columns = self.length / self.width();
        let workgroup = RowWorkgroup::for_items(columns, self.caps);
        let held = workgroup.held(columns)?;
        let [rows, columns, held, width] = u32s([self.rows, columns, held, self.width()])?;
        let kernel = reads(Kernel::new(&ROW, &[x, Access::Write], [workgroup.lanes, 1, 1]))
            .prelude(&preludes::LOWEST)
            .constant("COLUMNS", columns)
            .constant("HELD", held)
            .set("LOGARITHM", self.logarithm);
        let mut bindings = vec![Operand::Input(0), Operand::Output(0)];
        let kernel = self.io.attach_epilogue(workgroup.reduces(kernel), &mut bindings, width, self.caps)?;
        let grid = Dispatch::linear_grid(u64::from(rows), self.caps)?;
        Ok(Lowering::new(vec![self.work(Dispatch::new(kernel, RowParams { rows }, bindings, grid))]))
    }

    /// One invocation per row.
    fn columns(&self) -> Result<Lowering> {
        let width = if self.stride.is_multiple_of(4) { 4 } else { 1 };
        let [rows, length, stride, width] = u32s([self.rows / width, self.length, self.stride / width, width])?;
        let kernel = Kernel::new(&COLUMNS, &[Access::Read, Access::Write], [64, 1, 1]).prelude(&preludes::LOWEST);
        let kernel = kernel.set("LOGARITHM", self.logarithm);
        let mut bindings = vec![Operand::Input(0), Operand::Output(0)];
        let kernel = self.io.attach_epilogue(kernel, &mut bindings, width, self.caps)?;
        let grid = Dispatch::linear_grid(u64::from(rows.div_ceil(64)), self.caps)?;
        let dispatch = Dispatch::new(kernel, ColumnsParams { rows, length, stride }, bindings, grid);
        Ok(Lowering::new(vec![self.work(dispatch.turns(2 * self.length))]))
    }

    /// Statistics of chunks, then the result.
    fn long(&self) -> Result<Lowering> {
        let width = if self.in_one_piece() { self.width() } else { 1 };
        let loads = self.length / width;
        let workgroup = RowWorkgroup::for_items(loads, self.caps);
        let chunks = workgroup.chunks(self.rows, loads, WORTH_A_CHUNK);
        let [rows, length, stride, width] = u32s([self.rows, loads, self.stride, width])?;
        let [chunk, count] = u32s([chunks.size, chunks.count])?;
        let params = LongParams { rows, length, stride, chunk, chunks: count };
        let grid = Dispatch::linear_grid((self.rows * chunks.count) as u64, self.caps)?;
        let kernel = |shader, access: &[Access]| {
            let kernel = Kernel::new(shader, access, [workgroup.lanes, 1, 1]).prelude(&preludes::LOWEST);
            workgroup.reduces(kernel.prelude(&preludes::SOFTMAX_CHUNKS).prelude(&preludes::ROW_CHUNKS))
        };
        let statistics = kernel(&STATISTICS, &[Access::Read, Access::Write]).width(width, self.caps);
        let statistics = Dispatch::new(statistics, params, vec![Operand::Input(0), Operand::Temporary(0)], grid);
        let apply = kernel(&APPLY, &[Access::Read, Access::Read, Access::Write]).set("LOGARITHM", self.logarithm);
        let mut bindings = vec![Operand::Input(0), Operand::Temporary(0), Operand::Output(0)];
        let apply = self.io.attach_epilogue(apply, &mut bindings, width, self.caps)?;
        let apply = Dispatch::new(apply, params, bindings, grid);
        let joining = 2 * chunks.count.div_ceil(workgroup.lanes as usize);
        let dispatches = vec![self.work(statistics.turns(2 * chunks.turns)), self.work(apply.turns(chunks.turns + joining))];
        Ok(Lowering::new(dispatches).temporaries(vec![(self.rows * chunks.count * 8) as u64]))
    }
}
