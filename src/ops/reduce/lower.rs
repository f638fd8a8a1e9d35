//! Reductions on the GPU: a workgroup or an invocation per set, large sets in chunks that a second kernel joins.

use super::super::team::Team;
use super::{Reduce, Reduction};
use crate::error::{Error, Result};
use crate::graph::Io;
use crate::kernel::{Access, Caps, Dispatch, Kernel, Lowering, Operand, Prelude, Shader, params, preludes, shader};
use crate::tensor::{DType, Scalar, Shape};

params! {
    /// Parameters of reduce_rows and reduce_columns.
    struct ReduceParams {
        kept_extents: [u32; 8],
        kept_strides: [u32; 8],
        reduced_extents: [u32; 8],
        reduced_strides: [u32; 8],
        outputs: u32,
        count: u32,
        loads: u32,
        chunk: u32,
        chunks: u32,
    }
}

params! {
    /// Parameters of reduce_join.
    struct JoinParams {
        outputs: u32,
        count: u32,
        chunks: u32,
    }
}

shader!(static ROWS: ReduceParams = "reduce_rows");
shader!(static COLUMNS: ReduceParams = "reduce_columns");
shader!(static JOIN: JoinParams = "reduce_join");

pub(super) static SHADERS: &[&Shader] = &[&ROWS, &COLUMNS, &JOIN];

/// Invocations or workgroups that keep a device busy.
const ENOUGH: usize = 64;

/// An axis, or several that are walked as one.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Axis {
    extent: usize,
    stride: usize,
}

/// The axes of a shape that are kept and those that are reduced, neighbours of one kind joined.
fn split(shape: &Shape, reduced: &[bool]) -> (Vec<Axis>, Vec<Axis>) {
    let mut axes: Vec<(Axis, bool)> = vec![];
    for ((&extent, stride), &reduced) in shape.iter().zip(shape.strides()).zip(reduced).filter(|((d, _), _)| **d != 1) {
        match axes.last_mut() {
            Some((outer, kind)) if *kind == reduced => *outer = Axis { extent: outer.extent * extent, stride },
            _ => axes.push((Axis { extent, stride }, reduced)),
        }
    }
    let of_kind = |kind| axes.iter().filter(|a| a.1 == kind).map(|a| a.0).collect();
    (of_kind(false), of_kind(true))
}

/// How a set is read.
#[derive(Clone, Copy)]
struct Plan {
    team: Option<Team>,
    /// Values per load.
    width: usize,
    chunk: usize,
    chunks: usize,
}

struct Sets<'a> {
    io: &'a Io<'a>,
    caps: &'a Caps,
    fold: u32,
    scalar: Scalar,
    kept: Vec<Axis>,
    reduced: Vec<Axis>,
    outputs: usize,
    count: usize,
}

pub(super) fn lower(op: &Reduce, io: &Io, caps: &Caps) -> Result<Vec<Lowering>> {
    let (x, y) = (io.input(0)?, io.outputs[0]);
    if y.ty.elements() == 0 {
        return Ok(vec![Lowering::empty()]);
    }
    let (Some(scalar), true) = (x.scalar(), x.scalar() == y.scalar()) else {
        return Err(Error::unsupported(format!(
            "{} of {x:?} to {y:?}: integers are not known to fit 32 bits",
            op.reduction.operator()
        )));
    };
    let reduced = op.reduced_of(&io.inputs)?;
    let (kept, axes) = split(x.shape(), &reduced);
    let count = axes.iter().map(|a| a.extent).product::<usize>();
    if scalar != Scalar::F32 {
        supported(op.reduction, x.dtype(), x.bounds(), count)?;
    }
    let sets = Sets { io, caps, fold: op.reduction as u32, scalar, outputs: y.ty.elements(), count, kept, reduced: axes };
    let (rows, columns) = (sets.rows(), sets.columns());
    let inner_kept = sets.reduced.last().is_some_and(|r| r.stride > 1);
    let prefer_columns = sets.outputs >= ENOUGH && (inner_kept || count <= 16) || count <= 1;
    let plans = if prefer_columns { [columns, rows] } else { [rows, columns] };
    plans.into_iter().map(|plan| sets.lowering(plan)).collect()
}

/// Integers whose reduction 32 bits hold exactly, or wrap as the dtype does.
fn supported(reduction: Reduction, dtype: DType, bounds: Option<(i128, i128)>, count: usize) -> Result<()> {
    let unsupported = |why: &str| Err(Error::unsupported(format!("{} of {dtype}: {why}", reduction.operator())));
    match reduction {
        Reduction::L2 | Reduction::LogSum | Reduction::LogSumExp => unsupported("roots and logarithms of integers"),
        Reduction::Mean if count > 0 => {
            let most = bounds.map_or(u128::MAX, |(low, high)| low.unsigned_abs().max(high.unsigned_abs()));
            let fits = most.checked_mul(count as u128).is_some_and(|sum| sum <= i32::MAX as u128);
            if fits { Ok(()) } else { unsupported("the sum may not fit 32 bits") }
        }
        // An empty set takes the limits of the dtype, which are not those of its scalar.
        Reduction::Max | Reduction::Min if count == 0 && dtype.size() != 4 => unsupported("an empty set"),
        Reduction::Max | Reduction::Min => Ok(()),
        _ if matches!(dtype, DType::I8 | DType::I16 | DType::U8 | DType::U16) => {
            unsupported("sums that wrap at fewer than 32 bits")
        }
        _ => Ok(()),
    }
}

impl Sets<'_> {
    /// A workgroup per chunk.
    fn rows(&self) -> Plan {
        let by_four = |axes: &[Axis]| axes.iter().all(|a| a.stride % 4 == 0);
        let four = match self.reduced.split_last() {
            Some((last, outer)) => last.stride == 1 && last.extent % 4 == 0 && by_four(outer) && by_four(&self.kept),
            None => false,
        };
        let width = if four { 4 } else { 1 };
        let loads = self.count / width;
        let team = Team::for_items(loads, self.caps);
        let lanes = team.lanes as usize;
        let wanted = ENOUGH.div_ceil(self.outputs).min(loads.div_ceil(lanes * 16)).max(1);
        self.plan(Some(team), width, loads.div_ceil(wanted).min(lanes * 4096))
    }

    /// An invocation per chunk.
    fn columns(&self) -> Plan {
        let wanted = (ENOUGH * 16).div_ceil(self.outputs).min(self.count.div_ceil(64)).max(1);
        self.plan(None, 1, self.count.div_ceil(wanted).min(4096))
    }

    fn plan(&self, team: Option<Team>, width: usize, chunk: usize) -> Plan {
        let chunk = chunk.max(1);
        Plan { team, width, chunk, chunks: (self.count / width).div_ceil(chunk).max(1) }
    }

    /// The preludes that say what is folded and how.
    fn number(&self, kernel: Kernel) -> Kernel {
        let number: &'static Prelude = match self.scalar {
            Scalar::F32 => &preludes::NUMBER_F32,
            Scalar::I32 => &preludes::NUMBER_I32,
            Scalar::U32 => &preludes::NUMBER_U32,
        };
        kernel.prelude(number).constant("FOLD", self.fold).prelude(&preludes::FOLD)
    }

    /// The prelude that writes results, and the bindings it needs.
    fn result(&self, kernel: Kernel, bindings: &mut Vec<Operand>) -> Result<Kernel> {
        bindings.push(Operand::Output(0));
        if self.scalar == Scalar::F32 {
            self.io.attach_epilogue(kernel.prelude(&preludes::EMIT_FLOAT), bindings, 1, self.caps)
        } else {
            Ok(kernel.prelude(&preludes::EMIT_INTEGER))
        }
    }

    fn join_team(team: Team, kernel: Kernel) -> Kernel {
        let prelude: &'static Prelude = if team.is_subgroup() { &preludes::FOLD_SUBGROUP } else { &preludes::FOLD_SHARED };
        kernel.constant("WORKGROUP", team.lanes).prelude(prelude)
    }

    fn lowering(&self, plan: Plan) -> Result<Lowering> {
        let first = self.first(plan)?;
        let variant = if plan.team.is_some() { "rows" } else { "columns" };
        if plan.chunks == 1 {
            return Ok(Lowering::dispatches(variant, vec![first]));
        }
        let team = Team::for_items(plan.chunks, self.caps);
        let kernel = Kernel::new(&JOIN, &[Access::Read, Access::Write], [team.lanes, 1, 1]);
        let mut bindings = vec![Operand::Temporary(0)];
        let kernel = self.result(Self::join_team(team, self.number(kernel)), &mut bindings)?;
        let params = JoinParams { outputs: self.outputs as u32, count: self.count as u32, chunks: plan.chunks as u32 };
        let join = Dispatch::new(kernel, params, bindings, Dispatch::linear_grid(self.outputs as u64, self.caps)?);
        let temporaries = vec![(self.outputs * plan.chunks * 8) as u64];
        Ok(Lowering::Dispatches { variant, dispatches: vec![first, join], temporaries, packed: vec![], tables: vec![] })
    }

    fn first(&self, plan: Plan) -> Result<Dispatch> {
        let mut params = ReduceParams {
            kept_extents: [1; 8],
            kept_strides: [0; 8],
            reduced_extents: [1; 8],
            reduced_strides: [0; 8],
            outputs: self.outputs as u32,
            count: self.count as u32,
            loads: (self.count / plan.width) as u32,
            chunk: plan.chunk as u32,
            chunks: plan.chunks as u32,
        };
        for (k, axis) in self.kept.iter().enumerate() {
            (params.kept_extents[k], params.kept_strides[k]) = (axis.extent as u32, (axis.stride / plan.width) as u32);
        }
        for (k, axis) in self.reduced.iter().enumerate() {
            (params.reduced_extents[k], params.reduced_strides[k]) = (axis.extent as u32, (axis.stride / plan.width) as u32);
        }
        if let Some(last) = self.reduced.len().checked_sub(1)
            && plan.width == 4
        {
            params.reduced_extents[last] /= 4;
            params.reduced_strides[last] = 1;
        }
        let workgroup = plan.team.map_or(64, |team| team.lanes);
        let shader = if plan.team.is_some() { &ROWS } else { &COLUMNS };
        let kernel = Kernel::new(shader, &[Access::Read, Access::Write], [workgroup, 1, 1])
            .set("KEPT", self.kept.len() as u32)
            .set("REDUCED", self.reduced.len() as u32);
        let mut kernel = match (plan.width, self.scalar) {
            (4, Scalar::F32) => self.number(kernel).prelude(self.caps.fours()).prelude(&preludes::LOAD4_FLOATS),
            (4, _) => self.number(kernel).prelude(&preludes::LOAD4),
            _ => self.number(kernel).prelude(&preludes::LOAD1),
        };
        if let Some(team) = plan.team {
            kernel = Self::join_team(team, kernel);
        }
        let mut bindings = vec![Operand::Input(0)];
        let kernel = if plan.chunks == 1 {
            self.result(kernel, &mut bindings)?
        } else {
            bindings.push(Operand::Temporary(0));
            kernel.prelude(&preludes::EMIT_STATE)
        };
        let parts = (self.outputs * plan.chunks) as u64;
        let groups = if plan.team.is_some() { parts } else { parts.div_ceil(64) };
        let values = (self.outputs * self.count) as u64;
        Ok(Dispatch::new(kernel, params, bindings, Dispatch::linear_grid(groups, self.caps)?).work(values, values * 4))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_axes_of_one_kind_are_joined() {
        let (kept, reduced) = split(&[2, 3, 1, 4, 5].into(), &[false, true, false, true, false]);
        assert_eq!(kept, [Axis { extent: 2, stride: 60 }, Axis { extent: 5, stride: 1 }]);
        assert_eq!(reduced, [Axis { extent: 12, stride: 5 }]);
    }
}
