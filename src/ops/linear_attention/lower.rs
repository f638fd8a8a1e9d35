//! Linear attention on the GPU: tokens one after another, columns of the states side by side.

use super::{LinearAttention, LinearAttentionShape, NAME, input};
use crate::error::{Error, Result};
use crate::graph::Io;
use crate::kernel::{Access, Caps, Dispatch, Kernel, Lowering, Offers, Operand, Rank, Shader, params, preludes, shader, u32s};
use crate::tensor::Scalar;

params! {
    /// Parameters of `linear_attention.wgsl`.
    struct LinearAttentionParams {
        rows: u32,
        heads: u32,
        shared_by: u32,
        steps: u32,
        first: u32,
        last: u32,
        value_size: u32,
        rates: u32,
        scale: f32,
    }
}

shader!(static LINEAR_ATTENTION: LinearAttentionParams = "linear_attention");

pub(super) static SHADERS: &[&Shader] = &[&LINEAR_ATTENTION];

/// Columns of a workgroup whose lanes share columns.
const SHARED_COLUMNS: usize = 16;
/// Groups of four rows that a lane of them has, where the workgroup may be as large.
const FEW_OWNED: usize = 4;
/// The most that it has where registers hold them and a key.
const MOST_OWNED: usize = 16;
/// The most that a lane has which takes a column by itself, so that others fit beside it.
const MOST_ALONE: usize = 8;
/// The same where a workgroup is a subgroup, and what exceeds its registers lies on the stack.
const MOST_ON_STACK: usize = 32;

/// How the lanes of a workgroup share columns of a state.
#[derive(Clone, Copy)]
struct Sharing {
    columns: usize,
    /// Lanes of a column.
    slices: usize,
    /// The most groups of four rows of a lane.
    most: usize,
}

struct LinearAttentionKernels<'a> {
    op: &'a LinearAttention,
    io: &'a Io<'a>,
    caps: &'a Caps,
    shape: LinearAttentionShape,
}

pub(super) fn lower(op: &LinearAttention, io: &Io, offers: &mut Offers) -> Result<()> {
    if let Some(found) = io.inputs.iter().flatten().find(|fact| fact.scalar() != Some(Scalar::F32)) {
        return Err(Error::unsupported(format!("{NAME} over {}", found.dtype())));
    }
    let kernels = LinearAttentionKernels { op, io, caps: offers.caps(), shape: op.shape_of(&io.inputs)? };
    if kernels.shape.steps == 0 || kernels.shape.value_size == 0 || kernels.shape.size == 0 {
        return Err(Error::unsupported("there is no token, or no element of it"));
    }
    // Lanes that share a column wait for each other at each token, which adapters without barriers do better without.
    let (columns, slices): (Rank, Rank) = if kernels.caps.barrier_free_lanes().is_some() { (0, 1) } else { (1, 0) };
    offers.add("columns", columns, || kernels.columns());
    offers.add("slices", slices, || kernels.slices());
    Ok(())
}

impl LinearAttentionKernels<'_> {
    fn groups(&self) -> usize {
        self.shape.size.div_ceil(4)
    }

    /// A column for each lane.
    fn columns(&self) -> Result<Lowering> {
        self.shared(match self.caps.barrier_free_lanes() {
            Some(lanes) => Sharing { columns: lanes as usize, slices: 1, most: MOST_ON_STACK },
            None => Sharing { columns: 64, slices: 1, most: MOST_ALONE },
        })
    }

    /// Several lanes for each column.
    fn slices(&self) -> Result<Lowering> {
        let most = (self.caps.max_invocations.min(256) as usize / SHARED_COLUMNS).max(1);
        let slices = self.groups().div_ceil(FEW_OWNED).next_power_of_two().clamp(2, most.max(2));
        self.shared(Sharing { columns: SHARED_COLUMNS, slices, most: MOST_OWNED })
    }

    fn shared(&self, Sharing { columns, slices, most }: Sharing) -> Result<Lowering> {
        let shape = &self.shape;
        let owned = self.groups().div_ceil(slices);
        if owned > most {
            return Err(Error::unsupported(format!(
                "a lane would hold {} of {} rows of a state: expected at most {}",
                4 * owned,
                shape.size,
                4 * most
            )));
        }
        let [workgroup, column_count, slice_count, owned_groups] = u32s([columns * slices, columns, slices, owned])?;
        // The shader knows no decay, one for a head, and one for each row of its state.
        let [size, groups, gate] = u32s([shape.size, self.groups(), shape.decays.min(2)])?;
        let access = [[Access::Read; 6].as_slice(), &[Access::Write; 2]].concat();
        let kernel = Kernel::new(&LINEAR_ATTENTION, &access, [workgroup, 1, 1])
            .constant("WORKGROUP", workgroup)
            .constant("COLUMNS", column_count)
            .constant("SLICES", slice_count)
            .constant("OWNED", owned_groups)
            .constant("SIZE", size)
            .constant("GROUPS", groups)
            .prelude(self.caps.fours())
            .prelude(if shape.size.is_multiple_of(4) {
                &preludes::LINEAR_ATTENTION_VECTORS
            } else {
                &preludes::LINEAR_ATTENTION_SCALARS
            })
            .set("GATE", gate)
            .set("DELTA", self.op.rule.is_delta().into());
        // Loops over what a lane owns, with run-time checks not unrolled, for the state, the key, and each head of queries.
        let iterations = owned * (6 + 2 * shape.shared_by) + (1 + shape.shared_by) * (slices + 1) + 1;
        let tokens = self.caps.most_turns(iterations);
        let stretches = (0..shape.steps.div_ceil(tokens)).map(|k| (k * tokens, shape.steps.min((k + 1) * tokens)));
        let workgroups = shape.batch * shape.heads * shape.value_size.div_ceil(columns);
        let grid = Dispatch::linear_grid(workgroups as u64, self.caps)?;
        let dispatches = stretches.map(|(first, last)| {
            let start = if first > 0 { 2 } else { u32::from(self.io.optional(input::STATE).is_some()) };
            let kernel = kernel.clone().set("START", start);
            let dispatch = Dispatch::new(kernel, self.params(first, last)?, self.bindings(), grid);
            Ok(self.work(dispatch.turns((last - first) * iterations), last - first))
        });
        Ok(Lowering::new(dispatches.collect::<Result<_>>()?))
    }

    fn params(&self, first: usize, last: usize) -> Result<LinearAttentionParams> {
        let shape = &self.shape;
        let [rows, heads, shared_by, steps] = u32s([shape.batch * shape.heads, shape.heads, shape.shared_by, shape.steps])?;
        let [first, last, value_size, rates] = u32s([first, last, shape.value_size, shape.rates])?;
        Ok(LinearAttentionParams { rows, heads, shared_by, steps, first, last, value_size, rates, scale: self.op.scale(shape) })
    }

    fn bindings(&self) -> Vec<Operand> {
        let optional = |k: usize| self.io.optional(k).map_or(Operand::Nothing, |_| Operand::Input(k));
        vec![
            Operand::Input(input::QUERY),
            Operand::Input(input::KEY),
            Operand::Input(input::VALUE),
            optional(input::STATE),
            optional(input::DECAY),
            optional(input::RATE),
            Operand::Output(0),
            Operand::Output(1),
        ]
    }

    fn work(&self, dispatch: Dispatch, steps: usize) -> Dispatch {
        let LinearAttentionShape { batch, heads, shared_by, size, value_size, .. } = self.shape;
        let products = 1 + shared_by + usize::from(self.op.rule.is_delta());
        let tokens = batch * heads * steps;
        let flops = 2 * tokens * size * value_size * products;
        let bytes = 4 * tokens * (1 + shared_by) * (size + value_size) + 8 * batch * heads * size * value_size;
        dispatch.work(flops as u64, bytes as u64)
    }
}
