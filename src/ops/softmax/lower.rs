//! Softmax on the GPU: rows held in registers, long rows in two kernels, and one invocation per row where the axis has
//! others inside it.

use super::super::team::Team;
use super::{Normalization, Softmax};
use crate::error::{Error, Result};
use crate::graph::Io;
use crate::kernel::{Access, Caps, Dispatch, Kernel, Lowering, Operand, Shader, params, shader};

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

/// Groups of values that one lane may hold in registers.
const MOST_HELD: usize = 32;
/// Rows that keep a device busy with one workgroup each; fewer long ones are split into chunks.
const ENOUGH_WORKGROUPS: usize = 64;

/// The rows of one softmax.
struct Rows<'a> {
    io: &'a Io<'a>,
    caps: &'a Caps,
    logarithm: u32,
    rows: usize,
    length: usize,
    stride: usize,
}

pub(super) fn lower(op: &Softmax, io: &Io, caps: &Caps) -> Result<Vec<Lowering>> {
    let x = io.input(0)?;
    if op.normalization == Normalization::Hardmax {
        return Err(Error::unsupported("Hardmax runs as the nodes it is composed of"));
    }
    if x.scalar() != Some(crate::tensor::Scalar::F32) {
        return Err(Error::unsupported(format!("softmax of {}", x.dtype())));
    }
    if x.ty.elements() == 0 {
        return Ok(vec![Lowering::empty()]);
    }
    let (outer, length, inner) = op.around(x.shape())?;
    let logarithm = u32::from(op.normalization == Normalization::LogSoftmax);
    let rows = Rows { io, caps, logarithm, rows: outer * inner, length, stride: inner };
    if inner == 1 {
        let held = rows.held()?;
        return if held.is_empty() { Ok(vec![rows.long()?]) } else { Ok(held) };
    }
    let long = rows.long()?;
    if length * 2 > caps.max_loop as usize {
        return Ok(vec![long]);
    }
    let columns = rows.columns()?;
    // Few rows, or rows that do not lie side by side, leave most lanes of the column form idle.
    Ok(if inner >= 8 && rows.rows >= 64 { vec![columns, long] } else { vec![long, columns] })
}

impl Rows<'_> {
    fn work(&self, dispatch: Dispatch) -> Dispatch {
        let elements = (self.rows * self.length) as u64;
        dispatch.work(elements * 4, elements * 8)
    }

    /// One workgroup per row, values in registers; none when rows are too long.
    fn held(&self) -> Result<Vec<Lowering>> {
        let width = if self.length.is_multiple_of(4) { 4 } else { 1 };
        let columns = self.length / width;
        let team = Team::for_items(columns, self.caps);
        let held = columns.div_ceil(team.lanes as usize);
        if held > MOST_HELD {
            return Ok(vec![]);
        }
        let form = |variant: &'static str, x: Access| -> Result<Lowering> {
            let kernel = Kernel::new(&ROW, &[x, Access::Write], [team.lanes, 1, 1])
                .reads_rows(x)
                .constant("COLUMNS", columns as u32)
                .constant("HELD", held as u32)
                .set("LOGARITHM", self.logarithm);
            let mut bindings = vec![Operand::Input(0), Operand::Output(0)];
            let kernel = self.io.attach_epilogue(team.join(kernel), &mut bindings, width as u32, self.caps)?;
            let grid = Dispatch::linear_grid(self.rows as u64, self.caps)?;
            let dispatch = Dispatch::new(kernel, RowParams { rows: self.rows as u32 }, bindings, grid);
            Ok(Lowering::dispatches(variant, vec![self.work(dispatch)]))
        };
        let plain = form("row", Access::Read)?;
        let copied = width == 4 && self.caps.copying_pays(self.rows * self.length, self.rows * self.length);
        Ok(if copied { vec![form("row_texels", Access::ReadTexture)?, plain] } else { vec![plain] })
    }

    /// One invocation per row.
    fn columns(&self) -> Result<Lowering> {
        let width = if self.stride.is_multiple_of(4) { 4 } else { 1 };
        let kernel = Kernel::new(&COLUMNS, &[Access::Read, Access::Write], [64, 1, 1]).set("LOGARITHM", self.logarithm);
        let mut bindings = vec![Operand::Input(0), Operand::Output(0)];
        let kernel = self.io.attach_epilogue(kernel, &mut bindings, width as u32, self.caps)?;
        let rows = self.rows / width;
        let params = ColumnsParams { rows: rows as u32, length: self.length as u32, stride: (self.stride / width) as u32 };
        let grid = Dispatch::linear_grid(rows.div_ceil(64) as u64, self.caps)?;
        Ok(Lowering::dispatches("columns", vec![self.work(Dispatch::new(kernel, params, bindings, grid))]))
    }

    /// Statistics of chunks, then the result.
    fn long(&self) -> Result<Lowering> {
        let team = Team::for_items(self.length, self.caps);
        let lanes = team.lanes as usize;
        // No more chunks than keep the device busy, unless a lane would loop too often.
        let wanted = ENOUGH_WORKGROUPS.div_ceil(self.rows).min(self.length.div_ceil(lanes * 16)).max(1);
        let chunk = self.length.div_ceil(wanted).min(lanes * 4096).max(1);
        let chunks = self.length.div_ceil(chunk);
        let params = LongParams {
            rows: self.rows as u32,
            length: self.length as u32,
            stride: self.stride as u32,
            chunk: chunk as u32,
            chunks: chunks as u32,
        };
        let grid = Dispatch::linear_grid((self.rows * chunks) as u64, self.caps)?;
        let statistics = team.join(Kernel::new(&STATISTICS, &[Access::Read, Access::Write], [team.lanes, 1, 1]));
        let statistics = Dispatch::new(statistics, params, vec![Operand::Input(0), Operand::Temporary(0)], grid);
        let apply =
            Kernel::new(&APPLY, &[Access::Read, Access::Read, Access::Write], [team.lanes, 1, 1]).set("LOGARITHM", self.logarithm);
        let mut bindings = vec![Operand::Input(0), Operand::Temporary(0), Operand::Output(0)];
        let apply = self.io.attach_epilogue(team.join(apply), &mut bindings, 1, self.caps)?;
        let apply = Dispatch::new(apply, params, bindings, grid);
        Ok(Lowering::Dispatches {
            variant: "long",
            dispatches: vec![self.work(statistics), self.work(apply)],
            temporaries: vec![(self.rows * chunks * 8) as u64],
            packed: vec![],
            tables: vec![],
        })
    }
}
