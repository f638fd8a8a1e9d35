//! NormGradient: how changes of a normalization's input, scale and bias are worth.

use super::super::row_workgroup::RowWorkgroup;
use super::super::shared::{WORKGROUP, no_scalar, one_each};
use crate::error::{Error, Result};
use crate::graph::{Fact, Io, Op, required};
use crate::kernel::{Access, Caps, Dispatch, Kernel, Lowering, Offers, Operand, Shader, params, shader, u32s};
use crate::tensor::{Scalar, Tensor};
use std::sync::Arc;

params! {
    /// Parameters of norm_gradient.
    struct RowParams {
        rows: u32,
        columns: u32,
        epsilon: f32,
    }
}

params! {
    /// Parameters of norm_gradient_columns and norm_gradient_join.
    struct ColumnsParams {
        rows: u32,
        columns: u32,
        chunk: u32,
        chunks: u32,
    }
}

shader!(static ROWS: RowParams = "norm_gradient");
shader!(static COLUMNS: ColumnsParams = "norm_gradient_columns");
shader!(static BLOCKS: ColumnsParams = "norm_gradient_blocks");
shader!(static JOIN: ColumnsParams = "norm_gradient_join");

pub(super) static SHADERS: &[&Shader] = &[&ROWS, &COLUMNS, &BLOCKS, &JOIN];

pub(super) const NAME: &str = "NormGradient";

/// The fewest rows that are worth a chunk, and the most chunks.
const WORTH_A_CHUNK: usize = 16;
const MOST_CHUNKS: usize = 256;

/// Lanes of a group of columns, and groups of a workgroup, of norm_gradient_blocks.
const BLOCK: usize = 16;
/// The most rows of a lane of it: longer sums are more exact in chunks.
const LONGEST_LOOP: usize = 64;

/// The gradients of LayerNormalization and RMSNormalization of the rows of a matrix, input 0, with a scale for each column, input 1, from
/// what a change of the result is worth, input 2: those of the rows, of the scale, and of a bias.
#[derive(Clone, Debug, PartialEq)]
pub struct NormGradient {
    /// Whether the mean of a row is taken from it.
    pub centered: bool,
    /// Keeps the divisor from zero.
    pub epsilon: f32,
}

/// The gradients of a normalization of rows, see [`NormGradient`].
pub fn norm_gradient(centered: bool, epsilon: f32) -> Arc<dyn Op> {
    Arc::new(NormGradient { centered, epsilon })
}

impl NormGradient {
    /// Mean and one over the deviation of a row.
    fn moments(&self, row: &[f64]) -> (f64, f64) {
        let count = row.len() as f64;
        let mean = if self.centered { row.iter().sum::<f64>() / count } else { 0.0 };
        let variance = row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
        (mean, 1.0 / (variance + f64::from(self.epsilon)).sqrt())
    }
}

impl Op for NormGradient {
    fn name(&self) -> &'static str {
        NAME
    }

    crate::attributes!(centered, epsilon);

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let (x, scale, worth) = (required(NAME, inputs, 0)?, required(NAME, inputs, 1)?, required(NAME, inputs, 2)?);
        let fits = matches!(x.shape().dims(), [_, columns] if scale.shape().dims() == [*columns]);
        if !fits || x.ty != worth.ty || !x.dtype().is_float() || scale.dtype() != x.dtype() {
            return Err(Error::invalid_model(format!(
                "{NAME} expects two matrices of floats and a scale for each column, found {}, {} and {}",
                x.ty, worth.ty, scale.ty
            )));
        }
        let parameter = || Fact::new(scale.dtype(), scale.shape().clone());
        Ok(vec![Fact::new(x.dtype(), x.shape().clone()), parameter(), parameter()])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let (x, scale, worth) = (required(NAME, inputs, 0)?, required(NAME, inputs, 1)?, required(NAME, inputs, 2)?);
        let (data, weight, given) = (x.to_f64(), scale.to_f64(), worth.to_f64());
        let columns = weight.len();
        let count = columns as f64;
        let (mut of_x, mut of_scale, mut of_bias) = (Vec::with_capacity(data.len()), vec![0.0; columns], vec![0.0; columns]);
        for (row, given) in data.chunks(columns.max(1)).zip(given.chunks(columns.max(1))) {
            let (mean, inverse) = self.moments(row);
            let normal: Vec<f64> = row.iter().map(|v| (v - mean) * inverse).collect();
            let share: Vec<f64> = given.iter().zip(&weight).map(|(g, w)| g * w).collect();
            let plain = if self.centered { share.iter().sum::<f64>() / count } else { 0.0 };
            let along = share.iter().zip(&normal).map(|(h, n)| h * n).sum::<f64>() / count;
            of_x.extend(share.iter().zip(&normal).map(|(h, n)| (h - plain - n * along) * inverse));
            for (k, given) in given.iter().enumerate() {
                of_scale[k] += given * normal[k];
                of_bias[k] += given;
            }
        }
        let parameter = |values: &[f64]| Tensor::from_f64(scale.ty().clone(), values);
        Ok(vec![Tensor::from_f64(x.ty().clone(), &of_x)?, parameter(&of_scale)?, parameter(&of_bias)?])
    }

    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        let x = io.input(0)?;
        if x.scalar() != Some(Scalar::F32) {
            return Err(no_scalar(x));
        }
        if x.ty.elements() == 0 {
            return Err(Error::unsupported("rows without elements"));
        }
        let caps = offers.caps();
        let (rows, columns) = (x.shape()[0], x.shape()[1]);
        let width = if columns.is_multiple_of(4) { 4 } else { 1 };
        let kernels = GradientKernels { op: self, caps, rows, columns: columns / width, width };
        let of_parameters = io.used.iter().skip(1).any(|used| *used);
        let ranks = if caps.prefers_dispatches() { [0, 1] } else { [1, 0] };
        offers.add("blocks", ranks[1], || match of_parameters {
            true => Ok(Lowering::new(vec![kernels.of_rows(io)?, kernels.of_blocks()?]).temporaries(vec![8 * rows as u64])),
            false => Err(Error::unsupported("nobody asks for what scale and bias are worth")),
        });
        offers.add("rows", ranks[0], || {
            let chunks = rows.div_ceil(kernels.chunk());
            let mut dispatches = vec![kernels.of_rows(io)?];
            if of_parameters {
                dispatches.extend([kernels.of_columns(chunks)?, kernels.join(chunks)?]);
            }
            Ok(Lowering::new(dispatches).temporaries(vec![8 * rows as u64, 8 * (chunks * columns) as u64]))
        });
        Ok(())
    }

    fn takes_epilogue(&self) -> bool {
        true
    }
}

/// The kernels of one node.
struct GradientKernels<'a> {
    op: &'a NormGradient,
    caps: &'a Caps,
    rows: usize,
    /// Groups of values in a row.
    columns: usize,
    width: usize,
}

impl GradientKernels<'_> {
    /// How many rows an invocation sums.
    fn chunk(&self) -> usize {
        self.rows.div_ceil(MOST_CHUNKS).max(WORTH_A_CHUNK)
    }

    fn kernel(&self, shader: &'static Shader, access: &[Access], lanes: u32) -> Kernel {
        // 1 or 4.
        Kernel::new(shader, access, [lanes, 1, 1]).width(self.width as u32, self.caps)
    }

    fn columns_params(&self, chunks: usize) -> Result<ColumnsParams> {
        let [rows, columns, chunk, chunks] = u32s([self.rows, self.columns, self.chunk(), chunks])?;
        Ok(ColumnsParams { rows, columns, chunk, chunks })
    }

    /// One workgroup per row.
    fn of_rows(&self, io: &Io) -> Result<Dispatch> {
        let workgroup = RowWorkgroup::for_items(self.columns, self.caps);
        let [rows, columns] = u32s([self.rows, self.columns])?;
        let access = [Access::Read, Access::Read, Access::Read, Access::Write, Access::Write];
        let kernel = Kernel::new(&ROWS, &access, [workgroup.lanes, 1, 1]).set("CENTERED", self.op.centered.into());
        let mut bindings = vec![Operand::Input(0), Operand::Input(1), Operand::Input(2), Operand::Output(0), Operand::Temporary(0)];
        // 1 or 4.
        let kernel = io.attach_epilogue(workgroup.reduces(kernel), &mut bindings, self.width as u32, self.caps)?;
        let grid = Dispatch::linear_grid(self.rows as u64, self.caps)?;
        let elements = (self.rows * self.columns * self.width) as u64;
        let params = RowParams { rows, columns, epsilon: self.op.epsilon };
        let dispatch = Dispatch::new(kernel, params, bindings, grid);
        Ok(dispatch.turns(3 * self.columns.div_ceil(workgroup.lanes as usize)).work(14 * elements, 12 * elements))
    }

    /// Sums of chunks of rows.
    fn of_columns(&self, chunks: usize) -> Result<Dispatch> {
        let access = [Access::Read, Access::Read, Access::Read, Access::Write];
        let bindings = vec![Operand::Input(0), Operand::Input(2), Operand::Temporary(0), Operand::Temporary(1)];
        let kernel = self.kernel(&COLUMNS, &access, WORKGROUP);
        let dispatch = one_each(kernel, self.columns_params(chunks)?, chunks * self.columns, bindings, self.caps)?;
        let elements = (self.rows * self.columns * self.width) as u64;
        Ok(dispatch.turns(self.chunk()).work(5 * elements, 8 * elements))
    }

    /// Sums of all rows, for neighbouring columns.
    fn of_blocks(&self) -> Result<Dispatch> {
        let turns = self.rows.div_ceil(BLOCK);
        if turns > LONGEST_LOOP {
            return Err(Error::unsupported("more rows than a workgroup sums"));
        }
        let access = [Access::Read, Access::Read, Access::Read, Access::Write, Access::Write];
        let bindings = vec![Operand::Input(0), Operand::Input(2), Operand::Temporary(0), Operand::Output(1), Operand::Output(2)];
        let [lanes] = u32s([BLOCK * BLOCK])?;
        let grid = Dispatch::linear_grid(self.columns.div_ceil(BLOCK) as u64, self.caps)?;
        let dispatch = Dispatch::new(self.kernel(&BLOCKS, &access, lanes), self.columns_params(1)?, bindings, grid);
        let elements = (self.rows * self.columns * self.width) as u64;
        Ok(dispatch.turns(turns).work(5 * elements, 8 * elements))
    }

    fn join(&self, chunks: usize) -> Result<Dispatch> {
        let access = [Access::Read, Access::Write, Access::Write];
        let bindings = vec![Operand::Temporary(1), Operand::Output(1), Operand::Output(2)];
        let kernel = self.kernel(&JOIN, &access, WORKGROUP);
        Ok(one_each(kernel, self.columns_params(chunks)?, self.columns, bindings, self.caps)?.turns(chunks))
    }
}
