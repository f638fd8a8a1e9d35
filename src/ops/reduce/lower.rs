//! Reductions on the GPU: a workgroup or an invocation per set, large sets in chunks that a second kernel joins.

use super::super::row_workgroup::RowWorkgroup;
use super::super::shared::{ENOUGH_WORKGROUPS, WORKGROUP, axis_parameters, number, one_each};
use super::{Reduce, Reduction};
use crate::error::{Error, Result};
use crate::graph::Io;
use crate::kernel::{
    Access, Caps, Dispatch, Kernel, Lowering, Offers, Operand, Prelude, Rank, Shader, params, preludes, shader, u32s,
};
use crate::tensor::{DType, JoinedAxis, Scalar, Shape, joined_axes};

params! {
    /// Parameters of the kernels that read sets, see the prelude `reduce_sets`.
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
    /// Parameters of `reduce_join.wgsl`.
    struct JoinParams {
        outputs: u32,
        count: u32,
        chunks: u32,
    }
}

shader!(static ROWS: ReduceParams = "reduce_rows");
shader!(static COLUMNS: ReduceParams = "reduce_columns");
shader!(static BLOCKS: ReduceParams = "reduce_blocks");
shader!(static JOIN: JoinParams = "reduce_join");

pub(super) static SHADERS: &[&Shader] = &[&ROWS, &COLUMNS, &BLOCKS, &JOIN];

/// Invocations that keep an adapter busy which has a few cores.
const FEW_INVOCATIONS: usize = 64;
/// Loads of an invocation, at most.
const LONGEST_LOOP: usize = 4096;

/// An axis, or several that are walked as one.
type Axis = JoinedAxis<1>;

/// The order of preference, the smallest rank first.
struct Ranks {
    /// A workgroup for each set.
    rows: Rank,
    /// An invocation for each set.
    columns: Rank,
    /// A workgroup for some neighbouring sets.
    blocks: Rank,
}

/// Lanes and sets of a workgroup of `reduce_blocks.wgsl`.
const BLOCK: usize = 256;
const SETS_OF_BLOCK: usize = 16;

/// The axes of a kind, those that are kept or those that are reduced, neighbours joined.
fn axes_of(shape: &Shape, reduced: &[bool], kind: bool) -> Vec<Axis> {
    let strides = shape.strides();
    let own = || (0..shape.rank()).filter(|axis| reduced[*axis] == kind);
    let extents: Vec<usize> = own().map(|axis| shape[axis]).collect();
    let strides: Vec<i64> = own().map(|axis| strides[axis] as i64).collect();
    joined_axes(&extents, [&strides])
}

/// How sets are read.
#[derive(Clone, Copy)]
struct Reading {
    /// The workgroup that reads a chunk; `None` for an invocation.
    team: Option<RowWorkgroup>,
    /// Values per load.
    width: usize,
    /// Neighbouring sets of an invocation, a value of each per load.
    sets: usize,
    /// Loads of a chunk.
    chunk: usize,
    /// Chunks of a set.
    chunks: usize,
}

/// The sets of values that are reduced to one each.
struct Sets<'a> {
    io: &'a Io<'a>,
    caps: &'a Caps,
    reduction: Reduction,
    scalar: Scalar,
    kept: Vec<Axis>,
    reduced: Vec<Axis>,
    outputs: usize,
    count: usize,
}

/// Offers a workgroup for each set, and an invocation for each.
pub(super) fn lower(op: &Reduce, io: &Io, offers: &mut Offers) -> Result<()> {
    let (x, y) = (io.input(0)?, io.outputs[0]);
    let (Some(scalar), true) = (x.scalar(), x.scalar() == y.scalar()) else {
        return Err(Error::unsupported(format!(
            "{} of {x:?} to {y:?}: integers are not known to fit 32 bits",
            op.reduction.operator()
        )));
    };
    let of_kind = op.reduced_of(&io.inputs)?;
    let (kept, reduced) = (axes_of(x.shape(), &of_kind, false), axes_of(x.shape(), &of_kind, true));
    let count = reduced.iter().map(|a| a.extent).product::<usize>();
    if scalar != Scalar::F32 {
        supported(op.reduction, x.dtype(), x.bounds(), count)?;
    }
    let caps = offers.caps();
    let sets = Sets { io, caps, reduction: op.reduction, scalar, outputs: y.ty.elements(), count, kept, reduced };
    let ranks = sets.ranks();
    offers.add("rows", ranks.rows, || sets.lowering(sets.rows()));
    offers.add("columns", ranks.columns, || sets.lowering(sets.columns()));
    offers.add("blocks", ranks.blocks, || sets.blocks());
    Ok(())
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
    /// Invocations suit sets that lie side by side or are short, where there are enough of them.
    fn ranks(&self) -> Ranks {
        let side_by_side = self.reduced.last().is_some_and(|r| r.strides[0] > 1);
        if self.count <= 1 || self.outputs >= ENOUGH_WORKGROUPS && (side_by_side || self.count <= 16) {
            // Where sets would be split over invocations, and these be joined by another kernel.
            let splits = self.columns().chunks > 1 && !self.caps.prefers_dispatches();
            if splits { Ranks { blocks: 0, columns: 1, rows: 2 } } else { Ranks { columns: 0, rows: 1, blocks: 2 } }
        } else {
            Ranks { rows: 0, columns: 1, blocks: 2 }
        }
    }

    /// A workgroup per chunk.
    fn rows(&self) -> Reading {
        let width = if self.values_lie_in_fours() { 4 } else { 1 };
        let loads = self.count / width;
        let team = RowWorkgroup::for_items(loads, self.caps);
        let lanes = team.lanes as usize;
        // To halve a set is not worth another kernel.
        let wanted = ENOUGH_WORKGROUPS.div_ceil(self.outputs).min(loads.div_ceil(lanes * 16));
        let wanted = if wanted <= 2 { 1 } else { wanted };
        self.reading(Some(team), width, loads.div_ceil(wanted).min(lanes * LONGEST_LOOP))
    }

    /// An invocation per chunk, of four neighbouring sets where that leaves enough of them.
    fn columns(&self) -> Reading {
        let most = |sets: usize| self.outputs / sets * self.count.div_ceil(64).max(1);
        let enough = ENOUGH_WORKGROUPS * 16;
        let (fours_fill, fill) = match self.caps.prefers_dispatches() {
            true => (self.outputs / 4 >= FEW_INVOCATIONS, FEW_INVOCATIONS),
            false => (most(4) >= enough, enough),
        };
        let (sets, enough) = if self.sets_lie_in_fours() && fours_fill { (4, fill) } else { (1, enough) };
        let width = if sets == 1 && self.values_lie_in_fours() { 4 } else { 1 };
        let loads = self.count / width;
        let wanted = enough.div_ceil(self.outputs / sets).min(loads.div_ceil(64)).max(1);
        Reading { sets, ..self.reading(None, width, loads.div_ceil(wanted).min(LONGEST_LOOP)) }
    }

    /// Whether the values of a set lie in fours.
    fn values_lie_in_fours(&self) -> bool {
        let by_four = |axes: &[Axis]| axes.iter().all(|a| a.strides[0] % 4 == 0);
        self.reduced
            .split_last()
            .is_some_and(|(last, outer)| last.strides[0] == 1 && last.extent % 4 == 0 && by_four(outer) && by_four(&self.kept))
    }

    /// Whether four neighbouring sets lie side by side, in fours, all the way.
    fn sets_lie_in_fours(&self) -> bool {
        let in_fours = |axis: &Axis| axis.strides[0] % 4 == 0;
        let neighbours = self
            .kept
            .split_last()
            .is_some_and(|(last, outer)| last.strides[0] == 1 && last.extent.is_multiple_of(4) && outer.iter().all(in_fours));
        self.scalar == Scalar::F32 && neighbours && self.reduced.iter().all(in_fours)
    }

    /// A workgroup for neighbouring sets, which reads all of them.
    fn blocks(&self) -> Result<Lowering> {
        let sets = if self.sets_lie_in_fours() { 4 } else { 1 };
        let turns = self.count.div_ceil(BLOCK / (SETS_OF_BLOCK / sets));
        if turns > LONGEST_LOOP || self.outputs < SETS_OF_BLOCK {
            return Err(Error::unsupported("sets that are too few or too long for workgroups of several"));
        }
        let reading = Reading { team: None, width: 1, sets, chunk: self.count.max(1), chunks: 1 };
        let [lanes] = u32s([BLOCK])?;
        let kernel = self.reads(&BLOCKS, lanes, reading)?;
        let mut bindings = vec![Operand::Input(0)];
        let kernel = self.result(kernel, &mut bindings)?;
        let grid = Dispatch::linear_grid(self.outputs.div_ceil(SETS_OF_BLOCK) as u64, self.caps)?;
        let values = (self.outputs * self.count) as u64;
        let dispatch = Dispatch::new(kernel, self.params(reading)?, bindings, grid).turns(turns);
        Ok(Lowering::new(vec![dispatch.work(values, values * 4)]))
    }

    fn reading(&self, team: Option<RowWorkgroup>, width: usize, chunk: usize) -> Reading {
        let chunk = chunk.max(1);
        Reading { team, width, sets: 1, chunk, chunks: (self.count / width).div_ceil(chunk).max(1) }
    }

    /// The preludes that say what is folded and how.
    fn folding(&self, kernel: Kernel) -> Kernel {
        number(kernel, self.scalar).constant("FOLD", self.reduction as u32).prelude(&preludes::FOLD)
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

    fn join_team(team: RowWorkgroup, kernel: Kernel) -> Kernel {
        let prelude: &'static Prelude = if team.is_subgroup() { &preludes::FOLD_SUBGROUP } else { &preludes::FOLD_SHARED };
        kernel.constant("WORKGROUP", team.lanes).prelude(prelude)
    }

    fn lowering(&self, reading: Reading) -> Result<Lowering> {
        let first = self.first(reading)?;
        if reading.chunks == 1 {
            return Ok(Lowering::new(vec![first]));
        }
        let team = RowWorkgroup::for_items(reading.chunks, self.caps);
        let kernel = Kernel::new(&JOIN, &[Access::Read, Access::Write], [team.lanes, 1, 1]);
        let mut bindings = vec![Operand::Temporary(0)];
        let kernel = self.result(Self::join_team(team, self.folding(kernel)), &mut bindings)?;
        let [outputs, count, chunks] = u32s([self.outputs, self.count, reading.chunks])?;
        let grid = Dispatch::linear_grid(outputs.into(), self.caps)?;
        let join = Dispatch::new(kernel, JoinParams { outputs, count, chunks }, bindings, grid);
        let join = join.turns(reading.chunks.div_ceil(team.lanes as usize));
        Ok(Lowering::new(vec![first, join]).temporaries(vec![(self.outputs * reading.chunks * 8) as u64]))
    }

    fn params(&self, reading: Reading) -> Result<ReduceParams> {
        let Reading { width, chunk, chunks, .. } = reading;
        let extents = |axes: &[Axis]| axis_parameters(axes.iter().map(|axis| axis.extent), 1);
        let strides = |axes: &[Axis]| axis_parameters(axes.iter().map(|axis| axis.strides[0] / width as i64), 0);
        let mut reduced = self.reduced.clone();
        if let Some(last) = reduced.last_mut().filter(|_| width == 4) {
            // The next four values are the next load.
            *last = Axis { extent: last.extent / 4, strides: [4] };
        }
        let [outputs, count, loads, chunk, chunks] = u32s([self.outputs, self.count, self.count / width, chunk, chunks])?;
        Ok(ReduceParams {
            kept_extents: extents(&self.kept)?,
            kept_strides: strides(&self.kept)?,
            reduced_extents: extents(&reduced)?,
            reduced_strides: strides(&reduced)?,
            outputs,
            count,
            loads,
            chunk,
            chunks,
        })
    }

    /// A kernel with the preludes by which it reads the sets.
    fn reads(&self, shader: &'static Shader, workgroup: u32, reading: Reading) -> Result<Kernel> {
        let [kept, reduced] = u32s([self.kept.len(), self.reduced.len()])?;
        let kernel = Kernel::new(shader, &[Access::Read, Access::Write], [workgroup, 1, 1]);
        let kernel = self.folding(kernel.prelude(&preludes::REDUCE_SETS).set("KEPT", kept).set("REDUCED", reduced));
        let kernel = match (reading.width.max(reading.sets), self.scalar) {
            (4, Scalar::F32) => kernel.prelude(self.caps.fours()).prelude(&preludes::LOAD4_FLOATS),
            (4, _) => kernel.prelude(&preludes::LOAD4),
            _ => kernel.prelude(&preludes::LOAD1),
        };
        Ok(match (reading.team, reading.sets) {
            (Some(team), _) => Self::join_team(team, kernel),
            (None, 4) => kernel.prelude(&preludes::SETS_FOUR),
            (None, _) => kernel.prelude(&preludes::SETS_SINGLE),
        })
    }

    /// The dispatch that reads the sets, and writes results or what is to be joined.
    fn first(&self, reading: Reading) -> Result<Dispatch> {
        let (shader, workgroup) = reading.team.map_or((&COLUMNS, WORKGROUP), |team| (&ROWS, team.lanes));
        let kernel = self.reads(shader, workgroup, reading)?;
        let mut bindings = vec![Operand::Input(0)];
        let kernel = if reading.chunks == 1 {
            self.result(kernel, &mut bindings)?
        } else {
            bindings.push(Operand::Temporary(0));
            kernel.prelude(&preludes::EMIT_STATE)
        };
        let (params, parts) = (self.params(reading)?, self.outputs * reading.chunks);
        let dispatch = match reading.team {
            Some(team) => Dispatch::new(kernel, params, bindings, Dispatch::linear_grid(parts as u64, self.caps)?)
                .turns(reading.chunk.div_ceil(team.lanes as usize)),
            None => one_each(kernel, params, parts / reading.sets, bindings, self.caps)?.turns(reading.chunk),
        };
        let values = (self.outputs * self.count) as u64;
        Ok(dispatch.work(values, values * 4))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_axes_of_one_kind_are_joined() {
        let axes = |kind| axes_of(&[2, 3, 1, 4, 5].into(), &[false, true, false, true, false], kind);
        assert_eq!(axes(false), [Axis { extent: 2, strides: [60] }, Axis { extent: 5, strides: [1] }]);
        assert_eq!(axes(true), [Axis { extent: 12, strides: [5] }]);
    }
}
