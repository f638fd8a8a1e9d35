//! Normalization of rows on the GPU: held in registers where they fit, else statistics of chunks first.

use super::super::row_workgroup::{Chunks, RowWorkgroup};
use super::{NormShape, Normalization, Rows, software};
use crate::error::{Error, Result};
use crate::graph::Io;
use crate::kernel::{
    Access, Caps, Dispatch, Kernel, Lowering, Offers, Operand, Prelude, Rank, Shader, params, preludes, shader, u32s,
};
use crate::tensor::Scalar;

params! {
    /// Parameters of norm_row.
    struct RowParams {
        rows: u32,
        period: u32,
        step: u32,
        spatial: u32,
        epsilon: f32,
    }
}

params! {
    /// Parameters of norm_statistics, norm_apply and norm_moments.
    struct ChunkParams {
        rows: u32,
        columns: u32,
        chunk: u32,
        chunks: u32,
        period: u32,
        step: u32,
        spatial: u32,
        epsilon: f32,
    }
}

shader!(static ROW: RowParams = "norm_row");
shader!(static STATISTICS: ChunkParams = "norm_statistics");
shader!(static APPLY: ChunkParams = "norm_apply");
shader!(static MOMENTS: ChunkParams = "norm_moments");

pub(super) static SHADERS: &[&Shader] = &[&ROW, &STATISTICS, &APPLY, &MOMENTS];

/// The fewest loads of an invocation that are worth a chunk.
const WORTH_A_CHUNK: usize = 8;

/// The order of preference.
pub(super) struct Ranks {
    /// Offered only where rows do not fit registers, or are few and long.
    long: Rank,
    /// What software adapters have beside `row`.
    pub(super) row_texels: Rank,
    pub(super) row: Rank,
}

pub(super) const RANKS: Ranks = Ranks { long: 0, row_texels: 1, row: 2 };

/// Fewer rows than this leave most of a device idle when each has but one workgroup...
const FEW_ROWS: usize = 16;
/// ... and is that long.
const LONG_ROW: usize = 1024;

/// Where a row finds its scale and bias.
pub(super) struct Affine {
    pub(super) prelude: &'static Prelude,
    /// Row `r` begins at channel `r % period * step`, and `spatial` columns share one.
    period: usize,
    step: usize,
    spatial: usize,
    pub(super) width: usize,
}

impl Affine {
    /// Period, step, spatial and width.
    fn numbers(&self) -> Result<[u32; 4]> {
        u32s([self.period, self.step, self.spatial, self.width])
    }
}

impl Normalization {
    pub(super) fn affine(&self, shape: &NormShape) -> Result<Affine> {
        let channels = |period: usize, step: usize, spatial: usize| {
            let width = if spatial.is_multiple_of(4) { 4 } else { 1 };
            Ok(Affine { prelude: &preludes::AFFINE_CHANNELS, period, step, spatial: spatial / width, width })
        };
        match self.rows {
            Rows::Layer { .. } | Rows::Rms { .. } => {
                let stripped = |dims: &[usize]| dims.iter().copied().skip_while(|d| *d == 1).collect::<Vec<_>>();
                let own = stripped(&shape.parameter);
                let inner = shape.seen.rank() - self.inner_rank(shape);
                if own == stripped(&shape.seen[inner..]) {
                    let width = if shape.columns.is_multiple_of(4) { 4 } else { 1 };
                    Ok(Affine { prelude: &preludes::AFFINE_COLUMNS, period: 1, step: 0, spatial: 1, width })
                } else if own.is_empty() {
                    channels(1, 0, shape.columns)
                } else {
                    Err(Error::unsupported(format!("a scale of shape {} for rows of {}", shape.parameter, shape.seen)))
                }
            }
            Rows::Instance | Rows::Group { .. } if shape.parameter[2] == shape.seen[2] => {
                channels(shape.seen[1], shape.seen[2], shape.seen[3])
            }
            Rows::Instance | Rows::Group { .. } => channels(shape.seen[1], 1, shape.columns),
        }
    }

    /// How many of the last axes make a row.
    fn inner_rank(&self, shape: &NormShape) -> usize {
        match self.rows {
            Rows::Layer { axis } | Rows::Rms { axis } => {
                shape.seen.axis(axis).map_or(shape.seen.rank(), |axis| shape.seen.rank() - axis)
            }
            Rows::Instance | Rows::Group { .. } => 2,
        }
    }
}

/// The kernels of one normalization.
pub(super) struct NormKernels<'a> {
    op: &'a Normalization,
    pub(super) io: &'a Io<'a>,
    pub(super) caps: &'a Caps,
    pub(super) affine: Affine,
    pub(super) rows: usize,
    /// Groups of values in a row.
    columns: usize,
    workgroup: RowWorkgroup,
}

pub(super) fn lower(op: &Normalization, io: &Io, offers: &mut Offers) -> Result<()> {
    let (x, scale) = (io.input(0)?, io.input(1)?);
    if [Some(x), Some(scale), io.optional(2)].into_iter().flatten().any(|f| f.scalar() != Some(Scalar::F32)) {
        return Err(Error::unsupported(format!("normalization of {}", x.dtype())));
    }
    if x.ty.elements() == 0 {
        return Err(Error::unsupported("the mean of rows without elements"));
    }
    let shape = op.geometry(x.shape(), Some(scale.shape()))?;
    let affine = op.affine(&shape)?;
    let columns = shape.columns / affine.width;
    let caps = offers.caps();
    let workgroup = RowWorkgroup::for_items(columns, caps);
    let kernels = NormKernels { op, io, caps, affine, rows: shape.rows, columns, workgroup };
    let few_and_long = kernels.rows < FEW_ROWS && columns >= LONG_ROW;
    if few_and_long || kernels.wants_statistics() || workgroup.held(columns).is_err() {
        offers.add("long", RANKS.long, || kernels.long());
    }
    if !software::offer(&kernels, offers) {
        offers.add("row", RANKS.row, || {
            let reads = kernels.row_kernel(Access::Read, Access::Read).prelude(&preludes::ROWS_STORED);
            kernels.row(reads.prelude(kernels.affine.prelude), 1)
        });
    }
    Ok(())
}

impl NormKernels<'_> {
    pub(super) fn elements(&self) -> usize {
        self.rows * self.columns * self.affine.width
    }

    fn wants_statistics(&self) -> bool {
        self.io.used.iter().skip(1).any(|used| *used)
    }

    fn has_bias(&self) -> bool {
        self.io.optional(2).is_some()
    }

    /// What kernels bind for x, scale and bias.
    fn inputs(&self) -> Vec<Operand> {
        vec![Operand::Input(0), Operand::Input(1), if self.has_bias() { Operand::Input(2) } else { Operand::Nothing }]
    }

    fn work(&self, dispatch: Dispatch) -> Dispatch {
        let elements = self.elements() as u64;
        dispatch.work(elements * 7, elements * 8)
    }

    /// The kernel of [`row`](Self::row) before what defines `x_at`, `scale_at` and `bias_at`, with x bound so, and scale and bias.
    pub(super) fn row_kernel(&self, x: Access, affine: Access) -> Kernel {
        Kernel::new(&ROW, &[x, affine, affine, Access::Write], [self.workgroup.lanes, 1, 1])
    }

    /// Rows in the registers of a workgroup, which does so many in turn.
    pub(super) fn row(&self, kernel: Kernel, in_turn: usize) -> Result<Lowering> {
        if self.wants_statistics() {
            return Err(Error::unsupported("it leaves no mean and no deviation"));
        }
        let held = self.workgroup.held(self.columns)?;
        let [rows, columns, held, in_turn] = u32s([self.rows, self.columns, held, in_turn])?;
        let [period, step, spatial, width] = self.affine.numbers()?;
        let kernel = kernel
            .constant("COLUMNS", columns)
            .constant("HELD", held)
            .constant("ROWS", in_turn)
            .set("CENTERED", u32::from(self.op.centered()))
            .set("HAS_BIAS", u32::from(self.has_bias()));
        let mut bindings = self.inputs();
        bindings.push(Operand::Output(0));
        let kernel = self.io.attach_epilogue(self.workgroup.reduces(kernel), &mut bindings, width, self.caps)?;
        let params = RowParams { rows, period, step, spatial, epsilon: self.op.epsilon };
        let grid = Dispatch::linear_grid(u64::from(rows.div_ceil(in_turn)), self.caps)?;
        Ok(Lowering::new(vec![self.work(Dispatch::new(kernel, params, bindings, grid))]))
    }

    /// Statistics of chunks, then the result, and the mean and deviation of rows where they are read.
    fn long(&self) -> Result<Lowering> {
        let chunks = self.workgroup.chunks(self.rows, self.columns, WORTH_A_CHUNK);
        let [rows, columns, chunk, count] = u32s([self.rows, self.columns, chunks.size, chunks.count])?;
        let [period, step, spatial, _] = self.affine.numbers()?;
        let params = ChunkParams { rows, columns, chunk, chunks: count, period, step, spatial, epsilon: self.op.epsilon };
        let mut dispatches = vec![self.work(self.statistics(params, chunks)?), self.work(self.apply(params, chunks)?)];
        if self.wants_statistics() {
            dispatches.push(self.moments(params, chunks)?);
        }
        Ok(Lowering::new(dispatches).temporaries(vec![(self.rows * chunks.count * 8) as u64]))
    }

    /// A kernel with a workgroup for each chunk.
    fn chunk_kernel(&self, shader: &'static Shader, access: &[Access]) -> Kernel {
        let kernel = Kernel::new(shader, access, [self.workgroup.lanes, 1, 1]);
        self.workgroup.reduces(kernel.prelude(&preludes::NORM_CHUNKS).prelude(&preludes::ROW_CHUNKS))
    }

    fn statistics(&self, params: ChunkParams, chunks: Chunks) -> Result<Dispatch> {
        let [.., width] = self.affine.numbers()?;
        let kernel = self
            .chunk_kernel(&STATISTICS, &[Access::Read, Access::Write])
            .width(width, self.caps)
            .set("CENTERED", u32::from(self.op.centered()));
        let bindings = vec![Operand::Input(0), Operand::Temporary(0)];
        let grid = Dispatch::linear_grid((self.rows * chunks.count) as u64, self.caps)?;
        Ok(Dispatch::new(kernel, params, bindings, grid).turns(2 * chunks.turns))
    }

    fn apply(&self, params: ChunkParams, chunks: Chunks) -> Result<Dispatch> {
        let [.., width] = self.affine.numbers()?;
        let access = [Access::Read, Access::Read, Access::Read, Access::Read, Access::Write];
        let kernel = self.chunk_kernel(&APPLY, &access).prelude(self.affine.prelude).set("HAS_BIAS", u32::from(self.has_bias()));
        let mut bindings = self.inputs();
        bindings.extend([Operand::Temporary(0), Operand::Output(0)]);
        let kernel = self.io.attach_epilogue(kernel, &mut bindings, width, self.caps)?;
        let grid = Dispatch::linear_grid((self.rows * chunks.count) as u64, self.caps)?;
        let joining = 2 * chunks.count.div_ceil(self.workgroup.lanes as usize);
        Ok(Dispatch::new(kernel, params, bindings, grid).turns(joining + chunks.turns))
    }

    fn moments(&self, params: ChunkParams, chunks: Chunks) -> Result<Dispatch> {
        let [.., width] = self.affine.numbers()?;
        let access = [Access::Read, Access::Write, Access::Write];
        let kernel = Kernel::new(&MOMENTS, &access, [64, 1, 1]).prelude(&preludes::NORM_CHUNKS).width(width, self.caps);
        let bindings = vec![Operand::Temporary(0), Operand::Output(1), Operand::Output(2)];
        let grid = Dispatch::linear_grid(self.rows.div_ceil(64) as u64, self.caps)?;
        Ok(Dispatch::new(kernel, params, bindings, grid).turns(2 * chunks.count))
    }
}
