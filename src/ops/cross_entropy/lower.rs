//! Cross entropy on the GPU: a workgroup per row of many classes, an invocation per row of few.

use super::super::row_workgroup::RowWorkgroup;
use super::super::shared::{WORKGROUP, no_scalar, one_each};
use super::check::ignored;
use super::{CrossEntropy, Rows};
use crate::error::{Error, Result};
use crate::graph::Io;
use crate::kernel::{Access, Caps, Dispatch, Kernel, Lowering, Offers, Operand, Shader, params, preludes, shader, u32s};
use crate::tensor::Scalar;

params! {
    /// Parameters of both kernels of CrossEntropy.
    struct CrossEntropyParams {
        rows: u32,
        classes: u32,
        stride: u32,
        ignored: i32,
        own: f32,
        spread: f32,
    }
}

shader!(pub(super) static ROW: CrossEntropyParams = "cross_entropy_row");
shader!(pub(super) static COLUMNS: CrossEntropyParams = "cross_entropy_columns");

/// The fewest classes that are worth a workgroup.
const MANY_CLASSES: usize = 64;

/// The kernels of one cross entropy.
struct CrossEntropyKernels<'a> {
    op: &'a CrossEntropy,
    io: &'a Io<'a>,
    caps: &'a Caps,
    rows: Rows,
}

pub(super) fn lower(op: &CrossEntropy, io: &Io, offers: &mut Offers) -> Result<()> {
    let (logits, labels) = (io.input(0)?, io.input(1)?);
    if let Some(fact) = [Some(logits), io.optional(2)].into_iter().flatten().find(|fact| fact.scalar() != Some(Scalar::F32)) {
        return Err(no_scalar(fact));
    }
    if labels.scalar() != Some(Scalar::I32) {
        return Err(no_scalar(labels));
    }
    let kernels = CrossEntropyKernels { op, io, caps: offers.caps(), rows: op.rows(logits.shape())? };
    if kernels.rows.classes == 0 {
        return Err(Error::unsupported("labels of no classes"));
    }
    let many = kernels.rows.inner == 1 && kernels.rows.classes >= MANY_CLASSES;
    if kernels.rows.inner == 1 {
        offers.add("row", if many { 0 } else { 2 }, || kernels.row());
    }
    offers.add("columns", 1, || kernels.columns());
    Ok(())
}

impl CrossEntropyKernels<'_> {
    fn has_slopes(&self) -> bool {
        self.io.used.get(1).copied().unwrap_or(false)
    }

    fn params(&self) -> Result<CrossEntropyParams> {
        let Rows { outer, classes, inner } = self.rows;
        let [rows, count, stride] = u32s([outer * inner, classes, inner])?;
        let smoothing = self.op.label_smoothing;
        // The nearest f32, as those of any number of a network.
        let (own, spread) = ((1.0 - smoothing) as f32, (smoothing / classes as f64) as f32);
        Ok(CrossEntropyParams { rows, classes: count, stride, ignored: ignored(self.op.ignore_index).unwrap_or(0), own, spread })
    }

    /// A kernel with what both have, and what it binds.
    fn kernel(&self, shader: &'static Shader, lanes: u32) -> (Kernel, Vec<Operand>) {
        let weights = self.io.optional(2);
        let mut access = vec![Access::Read, Access::Read, Access::Read, Access::Write, Access::Write];
        let weights_bound = weights.map_or(Operand::Nothing, |_| Operand::Input(2));
        let mut bindings = vec![Operand::Input(0), Operand::Input(1), weights_bound, Operand::Output(0), Operand::Output(2)];
        if self.has_slopes() {
            access.push(Access::Write);
            bindings.push(Operand::Output(1));
        }
        let slopes = if self.has_slopes() { &preludes::CROSS_ENTROPY_SLOPES } else { &preludes::CROSS_ENTROPY_LOSSES };
        let kernel = Kernel::new(shader, &access, [lanes, 1, 1])
            .prelude(&preludes::LOWEST)
            .prelude(&preludes::CROSS_ENTROPY)
            .prelude(slopes)
            .set("WEIGHTED", weights.is_some().into())
            .set("SMOOTHED", u32::from(self.op.label_smoothing != 0.0))
            .set("IGNORES", ignored(self.op.ignore_index).is_some().into());
        (kernel, bindings)
    }

    fn work(&self, dispatch: Dispatch) -> Dispatch {
        let elements = (self.rows.outer * self.rows.classes * self.rows.inner) as u64;
        dispatch.work(6 * elements, if self.has_slopes() { 8 } else { 4 } * elements)
    }

    /// One workgroup per row.
    fn row(&self) -> Result<Lowering> {
        let workgroup = RowWorkgroup::for_items(self.rows.classes, self.caps);
        let (kernel, bindings) = self.kernel(&ROW, workgroup.lanes);
        let grid = Dispatch::linear_grid(self.rows.outer as u64, self.caps)?;
        let dispatch = Dispatch::new(workgroup.reduces(kernel), self.params()?, bindings, grid);
        Ok(Lowering::new(vec![self.work(dispatch.turns(3 * self.rows.classes.div_ceil(workgroup.lanes as usize)))]))
    }

    /// One invocation per row.
    fn columns(&self) -> Result<Lowering> {
        let (kernel, bindings) = self.kernel(&COLUMNS, WORKGROUP);
        let dispatch = one_each(kernel, self.params()?, self.rows.outer * self.rows.inner, bindings, self.caps)?;
        Ok(Lowering::new(vec![self.work(dispatch.turns(3 * self.rows.classes))]))
    }
}
