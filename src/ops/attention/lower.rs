//! Attention on the GPU: tiles of keys in workgroup memory, or keys split over workgroups, where there are few queries or no tile
//! holds a head.

use super::super::shared::no_scalar;
use super::{Attention, AttentionShape, LENGTHS, gradient_lower, software, split};
use crate::error::{Error, Result};
use crate::graph::Io;
use crate::kernel::{
    Access, Caps, Dispatch, Kernel, Lowering, Offers, Operand, Prelude, Rank, Shader, params, preludes, shader, u32s,
};
use crate::tensor::{DType, Scalar, View};

params! {
    /// Parameters of all attention kernels.
    pub(super) struct AttentionParams {
        query_strides: [i32; 4],
        key_strides: [i32; 4],
        value_strides: [i32; 4],
        mask_strides: [i32; 4],
        output_strides: [u32; 4],
        query_offset: i32,
        key_offset: i32,
        value_offset: i32,
        mask_offset: i32,
        rows: u32,
        heads: u32,
        shared_by: u32,
        queries: u32,
        keys: u32,
        size: u32,
        value_size: u32,
        causal_offset: i32,
        scale: f32,
        softcap: f32,
        fill: f32,
        splits: u32,
    }
}

shader!(static TILES: AttentionParams = "attention_tiles");

pub(super) static SHADERS: &[&Shader] = &[
    &TILES,
    &gradient_lower::QUERIES,
    &gradient_lower::KEYS,
    &split::SPLIT,
    &split::JOIN,
    &software::PACK,
    &software::PACKED,
    &software::BROADCAST,
    &software::SPLIT_SUBGROUP,
];

/// Queries for which the invocations of a workgroup take keys instead.
pub(super) const FEW_QUERIES: usize = 4;
/// Fewer workgroups than this leave a device idle.
const ENOUGH_WORKGROUPS: usize = 32;

/// How the variants rank that serve all adapters. On GPUs they are all there are.
pub(super) struct Ranks {
    /// Split keys, for few queries and otherwise.
    pub(super) split: Rank,
    pub(super) split_of_many: Rank,
    pub(super) tiles: Rank,
}

const ON_GPUS: Ranks = Ranks { split: 0, tiles: 1, split_of_many: 2 };

/// The kernels of one attention.
pub(super) struct AttentionKernels<'a> {
    pub(super) op: &'a Attention,
    pub(super) io: &'a Io<'a>,
    pub(super) caps: &'a Caps,
    pub(super) shape: AttentionShape,
    /// Queries, keys and values are read in groups of four.
    pub(super) vectors: bool,
    pub(super) params: AttentionParams,
}

pub(super) fn lower(op: &Attention, io: &Io, offers: &mut Offers) -> Result<()> {
    check_types(io)?;
    let kernels = AttentionKernels::new(op, io, offers.caps(), op.shape_of(&io.inputs)?)?;
    let ranks = software::offer(&kernels, offers).unwrap_or(ON_GPUS);
    let split = if kernels.is_worth_splitting() { ranks.split } else { ranks.split_of_many };
    offers.add("split", split, || kernels.split());
    offers.add("tiles", ranks.tiles, || kernels.tiles());
    Ok(())
}

/// Refuses inputs that kernels do not read.
pub(super) fn check_types(io: &Io) -> Result<()> {
    for k in 0..3 {
        let found = io.input(k)?;
        if found.scalar() != Some(Scalar::F32) {
            return Err(Error::unsupported(format!("attention over {}", found.dtype())));
        }
    }
    if let Some(lengths) = io.optional(LENGTHS).filter(|fact| fact.scalar() != Some(Scalar::I32)) {
        return Err(no_scalar(lengths));
    }
    if io.optional(3).is_some_and(|m| m.dtype() == DType::F64) {
        return Err(Error::unsupported("attention with a mask of f64"));
    }
    Ok(())
}

/// Strides of a view whose innermost one is 1, with everything a multiple of four, counted in fours.
fn in_fours(view: &View) -> Option<View> {
    let last = view.shape.rank() - 1;
    let fours = view.strides[..last].iter().zip(view.shape.iter()).all(|(s, d)| *d == 1 || s % 4 == 0);
    let aligned = view.offset % 4 == 0 && view.shape[last].is_multiple_of(4) && view.shape[last] > 0 && view.strides[last] == 1;
    let strides = view.strides.iter().map(|s| s / 4).collect();
    (fours && aligned).then(|| View { shape: view.shape.clone(), strides, offset: view.offset / 4 })
}

fn four<T: Copy + Default>(values: &[T]) -> [T; 4] {
    let mut four = [T::default(); 4];
    four.iter_mut().zip(values).for_each(|(to, from)| *to = *from);
    four
}

fn parameters(op: &Attention, shape: &AttentionShape) -> Result<AttentionParams> {
    let small = |n: i64| i32::try_from(n).map_err(|_| Error::limit(format!("a stride of {n} elements exceeds 32 bits")));
    let strides = |view: &View| Ok::<_, Error>(four(&view.strides.iter().map(|s| small(*s)).collect::<Result<Vec<_>>>()?));
    let by_head = shape.queries * shape.value_size;
    let output = if op.interleaved {
        [shape.heads * by_head, shape.value_size, shape.heads * shape.value_size, 1]
    } else {
        [shape.heads * by_head, by_head, shape.value_size, 1]
    };
    let shared_by = shape.heads / shape.key_heads.max(1);
    let [rows, heads, shared_by] = u32s([shape.batch * shape.heads, shape.heads, shared_by])?;
    let [queries, keys, size, value_size] = u32s([shape.queries, shape.keys, shape.size, shape.value_size])?;
    Ok(AttentionParams {
        query_strides: strides(&shape.query)?,
        key_strides: strides(&shape.key)?,
        value_strides: strides(&shape.value)?,
        mask_strides: shape.mask.as_ref().map_or(Ok([0; 4]), strides)?,
        output_strides: u32s(output)?,
        query_offset: small(shape.query.offset)?,
        key_offset: small(shape.key.offset)?,
        value_offset: small(shape.value.offset)?,
        mask_offset: small(shape.mask.as_ref().map_or(0, |m| m.offset))?,
        rows,
        heads,
        shared_by,
        queries,
        keys,
        size,
        value_size,
        // An offset past either end sees all keys or none, as the nearest one that 32 bits hold.
        causal_offset: small(op.causal_offset.clamp(-(1 << 30), 1 << 30))?,
        scale: op.scale,
        softcap: op.softcap.unwrap_or(1.0),
        fill: op.unseen.code().1,
        splits: 1,
    })
}

impl<'a> AttentionKernels<'a> {
    pub(super) fn new(op: &'a Attention, io: &'a Io<'a>, caps: &'a Caps, mut shape: AttentionShape) -> Result<Self> {
        let fours = [&shape.query, &shape.key, &shape.value].map(in_fours);
        let vectors = fours.iter().all(Option::is_some);
        if let [Some(query), Some(key), Some(value)] = fours {
            (shape.query, shape.key, shape.value) = (query, key, value);
        }
        let params = parameters(op, &shape)?;
        Ok(AttentionKernels { op, io, caps, shape, vectors, params })
    }

    /// Inputs as the shared preludes bind them.
    pub(super) fn bindings(&self) -> Vec<Operand> {
        let mask = if self.shape.mask.is_some() { Operand::Input(3) } else { Operand::Nothing };
        vec![Operand::Input(0), Operand::Input(1), Operand::Input(2), mask, self.lengths()]
    }

    /// How many keys each batch element has, where it is data.
    pub(super) fn lengths(&self) -> Operand {
        if self.has_lengths() { Operand::Input(LENGTHS) } else { Operand::Nothing }
    }

    pub(super) fn has_lengths(&self) -> bool {
        self.io.optional(LENGTHS).is_some()
    }

    pub(super) fn zero_unseen(&self) -> bool {
        self.op.zero_unseen || self.has_lengths()
    }

    /// A kernel whose queries, keys and values, whole or packed, and what it writes are bound as `access` says.
    pub(super) fn kernel(&self, shader: &'static Shader, workgroup: u32, inputs: [Access; 3], outputs: &[Access]) -> Kernel {
        let mask = match (&self.shape.mask, self.io.optional(3)) {
            (Some(_), Some(mask)) if mask.dtype() == DType::Bool => 2,
            (Some(_), Some(_)) => 1,
            _ => 0,
        };
        let access = [&inputs, [Access::Read; 2].as_slice(), outputs].concat();
        Kernel::new(shader, &access, [workgroup, 1, 1])
            .prelude(&preludes::LOWEST)
            .prelude(&preludes::ATTENTION)
            .constant("GROUPS", self.params.size.div_ceil(4).max(1))
            .constant("VALUE_GROUPS", self.params.value_size.div_ceil(4))
            .set("CAUSAL", u32::from(self.op.causal))
            .set("SOFTCAP", u32::from(self.op.softcap.is_some()))
            .set("MASK", mask)
            .set("UNSEEN", self.op.unseen.code().0)
            .set("ZERO_UNSEEN", u32::from(self.zero_unseen()))
            .set("LENGTHS", u32::from(self.has_lengths()))
    }

    /// Joins what reads queries from where they lie.
    pub(super) fn query_input(&self, kernel: Kernel) -> Kernel {
        let loads: &'static Prelude =
            if self.vectors { &preludes::ATTENTION_QUERY_VECTORS } else { &preludes::ATTENTION_QUERY_SCALARS };
        kernel.prelude(self.caps.fours()).prelude(loads)
    }

    /// Joins what reads queries, keys and values.
    pub(super) fn all_inputs(&self, kernel: Kernel) -> Kernel {
        let loads: &'static Prelude =
            if self.vectors { &preludes::ATTENTION_KEY_VECTORS } else { &preludes::ATTENTION_KEY_SCALARS };
        self.query_input(kernel).prelude(loads)
    }

    /// A kernel that reads all inputs and writes one buffer.
    pub(super) fn plain(&self, shader: &'static Shader, workgroup: u32) -> Kernel {
        self.all_inputs(self.kernel(shader, workgroup, [Access::Read; 3], &[Access::Write]))
    }

    pub(super) fn groups(&self) -> usize {
        self.shape.size.div_ceil(4)
    }

    pub(super) fn value_groups(&self) -> usize {
        self.shape.value_size.div_ceil(4)
    }

    pub(super) fn work(&self, dispatch: Dispatch) -> Dispatch {
        let AttentionShape { batch, heads, key_heads, queries, keys, size, value_size, .. } = self.shape;
        let flops = 2 * batch * heads * queries * keys * (size + value_size);
        let bytes = 4 * batch * (heads * queries + key_heads * keys) * (size + value_size);
        dispatch.work(flops as u64, bytes as u64)
    }

    /// Tiles in workgroup memory.
    fn tiles(&self) -> Result<Lowering> {
        let (groups, value_groups) = (self.groups(), self.value_groups());
        // As the kernel has it: groups of elements at a time, and fours of keys whose values are.
        let (chunk, fours) = (groups.min(4), |keys: usize| (keys / 4).min(4));
        let bytes = |own: usize, keys: usize| {
            16 * (16 * own * (chunk.max(fours(keys)) + 1) + (keys * chunk).max(4 * fours(keys) * value_groups))
        };
        let fits = |(own, keys): &(usize, usize)| bytes(*own, *keys) <= self.caps.max_workgroup_storage as usize;
        // Registers hold OWN * (VALUE_GROUPS + KEYS / 4) groups or so of a team; large heads take fewer queries. Four queries of
        // each team, the most multiply-adds for each load, are worth it only where they leave enough workgroups.
        let choices = [(4, 32), (2, 32), (2, 16), (1, 16), (1, 8), (1, 4)];
        let worth = |own: usize| own < 4 || self.shape.batch * self.shape.heads * (self.shape.queries / 64) >= ENOUGH_WORKGROUPS;
        let suits = |(own, _): &(usize, usize)| worth(*own) && own * value_groups <= if *own > 1 { 64 } else { 128 };
        let chosen = choices.into_iter().filter(suits).find(fits).filter(|_| groups > 0);
        let Some((own, keys)) = chosen else {
            let (size, value_size) = (self.shape.size, self.shape.value_size);
            return Err(Error::unsupported(format!("no tile holds heads of {size} elements and values of {value_size}")));
        };
        let [own_queries, tile_keys] = u32s([own, keys])?;
        let kernel =
            self.plain(&TILES, 64).prelude(&preludes::ATTENTION_OUTPUT).constant("OWN", own_queries).constant("KEYS", tile_keys);
        // Loops within a tile, each of which goes round once more than it does something.
        let chunks = groups.div_ceil(chunk) * (4 + chunk + (16 * own + keys) * chunk / 64);
        let portions = (keys / 4).div_ceil(fours(keys)) * (4 + fours(keys) * (1 + value_groups / 16));
        self.one(kernel, 16 * own, self.shape.keys.div_ceil(keys) * (4 + chunks + portions))
    }

    /// A kernel that takes four keys at a time and leaves the result.
    pub(super) fn four_keys(&self, kernel: Kernel) -> Kernel {
        kernel.prelude(&preludes::ATTENTION_FOUR_KEYS).prelude(&preludes::ATTENTION_OUTPUT)
    }

    /// One dispatch of workgroups with so many queries each.
    pub(super) fn one(&self, kernel: Kernel, queries: usize, turns: usize) -> Result<Lowering> {
        let tiles = self.shape.batch * self.shape.heads * self.shape.queries.div_ceil(queries);
        let mut bindings = self.bindings();
        bindings.push(Operand::Output(0));
        let grid = Dispatch::linear_grid(tiles as u64, self.caps)?;
        Ok(Lowering::new(vec![self.work(Dispatch::new(kernel, self.params, bindings, grid).turns(turns))]))
    }
}
