//! Normalization of rows on the GPU: held in registers where they fit, else statistics of chunks first.

use super::super::team::Team;
use super::{Geometry, Normalization, Rows};
use crate::error::{Error, Result};
use crate::graph::Io;
use crate::kernel::{Access, AdapterClass, Caps, Dispatch, Kernel, Lowering, Operand, Prelude, Shader, params, preludes, shader};
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
    /// Parameters of norm_statistics.
    struct StatisticsParams {
        rows: u32,
        columns: u32,
        chunk: u32,
        chunks: u32,
    }
}

params! {
    /// Parameters of norm_apply.
    struct ApplyParams {
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

params! {
    /// Parameters of norm_moments.
    struct MomentsParams {
        rows: u32,
        columns: u32,
        chunk: u32,
        chunks: u32,
        epsilon: f32,
    }
}

shader!(static ROW: RowParams = "norm_row");
shader!(static STATISTICS: StatisticsParams = "norm_statistics");
shader!(static APPLY: ApplyParams = "norm_apply");
shader!(static MOMENTS: MomentsParams = "norm_moments");

pub(super) static SHADERS: &[&Shader] = &[&ROW, &STATISTICS, &APPLY, &MOMENTS];

/// Groups of values that one lane may hold in registers.
const MOST_HELD: usize = 32;
/// Workgroups that keep a device busy; fewer rows than that are split into chunks.
const ENOUGH_WORKGROUPS: usize = 64;

/// Where a row finds its scale and bias.
pub(super) struct Affine {
    prelude: &'static Prelude,
    /// Row `r` begins at channel `r % period * step`, and `spatial` columns share one.
    period: usize,
    step: usize,
    spatial: usize,
    width: usize,
}

impl Normalization {
    pub(super) fn affine(&self, g: &Geometry) -> Result<Affine> {
        let channels = |period: usize, step: usize, spatial: usize| {
            let width = if spatial.is_multiple_of(4) { 4 } else { 1 };
            Ok(Affine { prelude: &preludes::AFFINE_CHANNELS, period, step, spatial: spatial / width, width })
        };
        match self.rows {
            Rows::Layer { .. } | Rows::Rms { .. } => {
                let stripped = |dims: &[usize]| dims.iter().copied().skip_while(|d| *d == 1).collect::<Vec<_>>();
                let own = stripped(&g.parameter);
                let inner = g.seen.rank() - self.inner_rank(g);
                if own == stripped(&g.seen[inner..]) {
                    let width = if g.columns.is_multiple_of(4) { 4 } else { 1 };
                    Ok(Affine { prelude: &preludes::AFFINE_COLUMNS, period: 1, step: 0, spatial: 1, width })
                } else if own.is_empty() {
                    channels(1, 0, g.columns)
                } else {
                    Err(Error::unsupported(format!("a scale of shape {} for rows of {}", g.parameter, g.seen)))
                }
            }
            Rows::Instance | Rows::Group { .. } if g.parameter[2] == g.seen[2] => channels(g.seen[1], g.seen[2], g.seen[3]),
            Rows::Instance | Rows::Group { .. } => channels(g.seen[1], 1, g.columns),
        }
    }

    /// How many of the last axes make a row.
    fn inner_rank(&self, g: &Geometry) -> usize {
        match self.rows {
            Rows::Layer { axis } | Rows::Rms { axis } => g.seen.axis(axis).map_or(g.seen.rank(), |axis| g.seen.rank() - axis),
            Rows::Instance | Rows::Group { .. } => 2,
        }
    }
}

/// One normalization being lowered.
struct Builder<'a> {
    op: &'a Normalization,
    io: &'a Io<'a>,
    caps: &'a Caps,
    affine: Affine,
    rows: usize,
    /// Groups of values in a row.
    columns: usize,
}

pub(super) fn lower(op: &Normalization, io: &Io, caps: &Caps) -> Result<Vec<Lowering>> {
    let (x, scale) = (io.input(0)?, io.input(1)?);
    if [Some(x), Some(scale), io.optional(2)].into_iter().flatten().any(|f| f.scalar() != Some(Scalar::F32)) {
        return Err(Error::unsupported(format!("normalization of {}", x.dtype())));
    }
    let statistics = io.used.iter().skip(1).any(|u| *u);
    if x.ty.elements() == 0 {
        if statistics && io.outputs.iter().skip(1).any(|o| o.ty.elements() > 0) {
            return Err(Error::unsupported("the mean of rows without elements"));
        }
        return Ok(vec![Lowering::empty()]);
    }
    let g = op.geometry(x.shape(), Some(scale.shape()))?;
    let affine = op.affine(&g)?;
    let columns = g.columns / affine.width;
    let builder = Builder { op, io, caps, affine, rows: g.rows, columns };
    let mut held = if statistics { vec![] } else { builder.held()? };
    // Few long rows leave most of a device idle when each has but one workgroup.
    if held.is_empty() || builder.rows < 16 && builder.columns >= 1024 {
        held.insert(0, builder.long(statistics)?);
    }
    Ok(held)
}

impl Builder<'_> {
    /// Scale and, where there is none, scale once more in the place of the bias.
    fn parameters(&self) -> [Operand; 2] {
        [Operand::Input(1), Operand::Input(if self.io.optional(2).is_some() { 2 } else { 1 })]
    }

    fn has_bias(&self) -> u32 {
        u32::from(self.io.optional(2).is_some())
    }

    fn work(&self, dispatch: Dispatch) -> Dispatch {
        let elements = (self.rows * self.columns * self.affine.width) as u64;
        dispatch.work(elements * 7, elements * 8)
    }

    /// Rows that one workgroup does in turn. On a CPU, reading scale and bias again for each row costs as much as the row;
    /// a GPU has caches for that, and wants workgroups.
    fn rows_each(&self) -> usize {
        if self.caps.class == AdapterClass::Cpu && self.affine.prelude == &preludes::AFFINE_COLUMNS {
            (self.rows / ENOUGH_WORKGROUPS).clamp(1, 16)
        } else {
            1
        }
    }

    /// How scale and bias are read: constants in groups of four may be in textures from the start.
    fn affine_access(&self) -> (Access, &'static Prelude) {
        let constant = |k: usize| self.io.optional(k).is_none_or(|f| f.value.is_some() && self.caps.texture_holds(f.gpu_bytes()));
        let columns = self.affine.prelude == &preludes::AFFINE_COLUMNS && self.affine.width == 4;
        if self.caps.class == AdapterClass::Cpu && columns && constant(1) && constant(2) {
            return (Access::ReadTexture, &preludes::AFFINE_COLUMNS_TEXELS);
        }
        (Access::Read, self.affine.prelude)
    }

    /// Rows in the registers of a workgroup; none when they are too long.
    fn held(&self) -> Result<Vec<Lowering>> {
        if self.columns.div_ceil(Team::for_items(self.columns, self.caps).lanes as usize) > MOST_HELD {
            return Ok(vec![]);
        }
        let elements = self.rows * self.columns * self.affine.width;
        let copied = self.affine.width == 4 && self.caps.copying_pays(elements, elements);
        let plain = self.row("row", Access::Read)?;
        Ok(if copied { vec![self.row("row_texels", Access::ReadTexture)?, plain] } else { vec![plain] })
    }

    /// Rows in the registers of a workgroup, read by such access.
    fn row(&self, variant: &'static str, x: Access) -> Result<Lowering> {
        let team = Team::for_items(self.columns, self.caps);
        let rows = self.rows_each();
        let (affine, prelude) = self.affine_access();
        let kernel = Kernel::new(&ROW, &[x, affine, affine, Access::Write], [team.lanes, 1, 1]);
        let kernel = if affine.is_texture() { kernel.texels() } else { kernel };
        let kernel = kernel
            .reads_rows(x)
            .prelude(prelude)
            .constant("COLUMNS", self.columns as u32)
            .constant("HELD", self.columns.div_ceil(team.lanes as usize) as u32)
            .constant("ROWS", rows as u32)
            .set("CENTERED", u32::from(self.op.centered()))
            .set("HAS_BIAS", self.has_bias());
        let [scale, bias] = self.parameters();
        let mut bindings = vec![Operand::Input(0), scale, bias, Operand::Output(0)];
        let kernel = self.io.attach_epilogue(team.join(kernel), &mut bindings, self.affine.width as u32, self.caps)?;
        let params = RowParams {
            rows: self.rows as u32,
            period: self.affine.period as u32,
            step: self.affine.step as u32,
            spatial: self.affine.spatial as u32,
            epsilon: self.op.epsilon,
        };
        let grid = Dispatch::linear_grid(self.rows.div_ceil(rows) as u64, self.caps)?;
        Ok(Lowering::dispatches(variant, vec![self.work(Dispatch::new(kernel, params, bindings, grid))]))
    }

    fn long(&self, statistics: bool) -> Result<Lowering> {
        let team = Team::for_items(self.columns, self.caps);
        let lanes = team.lanes as usize;
        // No more chunks than keep the device busy, unless a lane would loop too often.
        let wanted = ENOUGH_WORKGROUPS.div_ceil(self.rows).min(self.columns.div_ceil(lanes * 8)).max(1);
        let chunk = self.columns.div_ceil(wanted).min(lanes * 4096).max(1);
        let chunks = self.columns.div_ceil(chunk);
        let width = self.affine.width;
        let [rows, columns, chunk, parts] = [self.rows, self.columns, chunk, chunks].map(|n| n as u32);
        let grid = Dispatch::linear_grid((self.rows * chunks) as u64, self.caps)?;
        let first = Kernel::new(&STATISTICS, &[Access::Read, Access::Write], [team.lanes, 1, 1])
            .width(width as u32, self.caps)
            .set("CENTERED", u32::from(self.op.centered()));
        let params = StatisticsParams { rows, columns, chunk, chunks: parts };
        let first = Dispatch::new(team.join(first), params, vec![Operand::Input(0), Operand::Temporary(0)], grid);
        let access = [Access::Read, Access::Read, Access::Read, Access::Read, Access::Write];
        let second = Kernel::new(&APPLY, &access, [team.lanes, 1, 1]).prelude(self.affine.prelude).set("HAS_BIAS", self.has_bias());
        let [scale, bias] = self.parameters();
        let mut bindings = vec![Operand::Input(0), scale, bias, Operand::Temporary(0), Operand::Output(0)];
        let second = self.io.attach_epilogue(team.join(second), &mut bindings, width as u32, self.caps)?;
        let params = ApplyParams {
            rows,
            columns,
            chunk,
            chunks: parts,
            period: self.affine.period as u32,
            step: self.affine.step as u32,
            spatial: self.affine.spatial as u32,
            epsilon: self.op.epsilon,
        };
        let mut dispatches = vec![self.work(first), self.work(Dispatch::new(second, params, bindings, grid))];
        if statistics {
            let kernel = Kernel::new(&MOMENTS, &[Access::Read, Access::Write, Access::Write], [64, 1, 1]);
            let width = width as u32;
            let params =
                MomentsParams { rows, columns: columns * width, chunk: chunk * width, chunks: parts, epsilon: self.op.epsilon };
            let bindings = vec![Operand::Temporary(0), Operand::Output(1), Operand::Output(2)];
            let grid = Dispatch::linear_grid(self.rows.div_ceil(64) as u64, self.caps)?;
            dispatches.push(Dispatch::new(kernel, params, bindings, grid));
        }
        let temporaries = vec![(self.rows * chunks * 8) as u64];
        Ok(Lowering::Dispatches { variant: "long", dispatches, temporaries, packed: vec![], tables: vec![] })
    }
}
