//! Attention on the GPU: one query per lane on software adapters, tiles of keys in workgroup memory on GPUs, and keys
//! split over workgroups where there are few queries.

use super::{Attention, Geometry, blocks, split};
use crate::error::{Error, Result};
use crate::graph::Io;
use crate::kernel::{Access, AdapterClass, Caps, Dispatch, Kernel, Lowering, Operand, Prelude, Shader, params, preludes, shader};
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

shader!(static LANES: AttentionParams = "attention_lanes");
shader!(static SUBGROUP: AttentionParams = "attention_subgroup");

shader!(static TILES: AttentionParams = "attention_tiles");

pub(super) static SHADERS: &[&Shader] =
    &[&LANES, &SUBGROUP, &TILES, &blocks::PACK, &blocks::BLOCKS, &split::SPLIT, &split::STRETCHES, &split::JOIN];

/// The most chunks of eight groups that the subgroup kernel unrolls over.
const MOST_CHUNKS: usize = 8;
/// Queries for which lanes take keys instead.
const FEW_QUERIES: usize = 4;
/// Fewer workgroups than this leave a device idle.
const ENOUGH_WORKGROUPS: usize = 32;
/// Keys that are worth a workgroup of their own.
const WORTH_SPLITTING: usize = 256;

/// One attention being lowered.
pub(super) struct Builder<'a> {
    pub(super) op: &'a Attention,
    pub(super) io: &'a Io<'a>,
    pub(super) caps: &'a Caps,
    pub(super) g: Geometry,
    /// Queries, keys and values are read in groups of four.
    pub(super) vectors: bool,
    pub(super) params: AttentionParams,
}

pub(super) fn lower(op: &Attention, io: &Io, caps: &Caps) -> Result<Vec<Lowering>> {
    for k in 0..3 {
        let found = io.input(k)?;
        if found.scalar() != Some(Scalar::F32) {
            return Err(Error::unsupported(format!("attention over {}", found.dtype())));
        }
    }
    if io.optional(3).is_some_and(|m| m.dtype() == DType::F64) {
        return Err(Error::unsupported("attention with a mask of f64"));
    }
    if io.outputs[0].ty.elements() == 0 {
        return Ok(vec![Lowering::empty()]);
    }
    let g = op.geometry_of(&io.inputs)?;
    let builder = Builder::new(op, io, caps, g)?;
    let lanes = builder.lanes()?;
    // The kernels of one class serve the other too, only slower.
    if caps.subgroup == Some(8) && caps.class == AdapterClass::Cpu {
        let mut candidates = builder.for_software()?;
        candidates.push(lanes);
        candidates.extend(builder.for_gpus()?);
        return Ok(candidates);
    }
    let mut candidates = builder.for_gpus()?;
    candidates.push(lanes);
    Ok(candidates)
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

impl<'a> Builder<'a> {
    fn new(op: &'a Attention, io: &'a Io<'a>, caps: &'a Caps, mut g: Geometry) -> Result<Self> {
        let fours = [&g.query, &g.key, &g.value].map(in_fours);
        let vectors = fours.iter().all(Option::is_some);
        if let [Some(query), Some(key), Some(value)] = fours {
            (g.query, g.key, g.value) = (query, key, value);
        }
        let small = |n: i64| i32::try_from(n).map_err(|_| Error::limit(format!("a stride of {n} elements exceeds 32 bits")));
        let strides = |view: &View| Ok::<_, Error>(four(&view.strides.iter().map(|s| small(*s)).collect::<Result<Vec<_>>>()?));
        let (by_head, by_query) = (g.queries * g.value_size, g.heads * g.value_size);
        let output = if op.interleaved {
            [g.heads * by_head, g.value_size, by_query, 1]
        } else {
            [g.heads * by_head, by_head, g.value_size, 1]
        };
        let params = AttentionParams {
            query_strides: strides(&g.query)?,
            key_strides: strides(&g.key)?,
            value_strides: strides(&g.value)?,
            mask_strides: g.mask.as_ref().map_or(Ok([0; 4]), strides)?,
            output_strides: output.map(|n| n as u32),
            query_offset: small(g.query.offset)?,
            key_offset: small(g.key.offset)?,
            value_offset: small(g.value.offset)?,
            mask_offset: small(g.mask.as_ref().map_or(0, |m| m.offset))?,
            rows: (g.batch * g.heads) as u32,
            heads: g.heads as u32,
            shared_by: (g.heads / g.key_heads.max(1)) as u32,
            queries: g.queries as u32,
            keys: g.keys as u32,
            size: g.size as u32,
            value_size: g.value_size as u32,
            // An offset past either end sees all keys or none, as the nearest one that 32 bits hold.
            causal_offset: op.causal_offset.clamp(-(1 << 30), 1 << 30) as i32,
            scale: op.scale,
            softcap: op.softcap.unwrap_or(1.0),
            fill: op.unseen.code().1,
            splits: 1,
        };
        Ok(Builder { op, io, caps, g, vectors, params })
    }

    /// Inputs as the shared preludes bind them; where there is no mask the queries stand in its place.
    pub(super) fn bindings(&self) -> Vec<Operand> {
        let mask = Operand::Input(if self.g.mask.is_some() { 3 } else { 0 });
        vec![Operand::Input(0), Operand::Input(1), Operand::Input(2), mask]
    }

    /// A kernel whose inputs, whole or packed, are bound as `access` says.
    pub(super) fn kernel(&self, shader: &'static Shader, workgroup: u32, access: &[Access]) -> Kernel {
        let mask = match (&self.g.mask, self.io.optional(3)) {
            (Some(_), Some(mask)) if mask.dtype() == DType::Bool => 2,
            (Some(_), Some(_)) => 1,
            _ => 0,
        };
        Kernel::new(shader, access, [workgroup, 1, 1])
            .prelude(&preludes::ATTENTION)
            .constant("GROUPS", self.groups().max(1) as u32)
            .constant("VALUE_GROUPS", self.value_groups() as u32)
            .set("CAUSAL", u32::from(self.op.causal))
            .set("SOFTCAP", u32::from(self.op.softcap.is_some()))
            .set("MASK", mask)
            .set("UNSEEN", self.op.unseen.code().0)
            .set("ZERO_UNSEEN", u32::from(self.op.zero_unseen))
    }

    /// The same with what reads queries from where they lie.
    pub(super) fn query_input(&self, kernel: Kernel) -> Kernel {
        let loads: &'static Prelude =
            if self.vectors { &preludes::ATTENTION_QUERY_VECTORS } else { &preludes::ATTENTION_QUERY_SCALARS };
        kernel.prelude(self.caps.fours()).prelude(loads)
    }

    /// The same with what reads queries, keys and values.
    pub(super) fn all_inputs(&self, kernel: Kernel) -> Kernel {
        let loads: &'static Prelude =
            if self.vectors { &preludes::ATTENTION_KEY_VECTORS } else { &preludes::ATTENTION_KEY_SCALARS };
        self.query_input(kernel).prelude(loads)
    }

    /// A kernel that reads all inputs and writes one buffer.
    pub(super) fn plain(&self, shader: &'static Shader, workgroup: u32) -> Kernel {
        self.all_inputs(self.kernel(shader, workgroup, &[Access::Read, Access::Read, Access::Read, Access::Read, Access::Write]))
    }

    pub(super) fn groups(&self) -> usize {
        self.g.size.div_ceil(4)
    }

    pub(super) fn value_groups(&self) -> usize {
        self.g.value_size.div_ceil(4)
    }

    pub(super) fn work(&self, dispatch: Dispatch) -> Dispatch {
        let Geometry { batch, heads, key_heads, queries, keys, size, value_size, .. } = self.g;
        let flops = 2 * batch * heads * queries * keys * (size + value_size);
        let bytes = 4 * batch * (heads * queries + key_heads * keys) * (size + value_size);
        dispatch.work(flops as u64, bytes as u64)
    }

    /// Candidates of GPUs.
    fn for_gpus(&self) -> Result<Vec<Lowering>> {
        let g = &self.g;
        let mut candidates = vec![];
        // Tiles of queries would stay almost empty.
        if g.queries <= FEW_QUERIES && g.keys >= WORTH_SPLITTING {
            candidates.push(self.split()?);
        }
        if g.size > 0 {
            candidates.extend(self.tiles()?);
        }
        Ok(candidates)
    }

    /// Candidates of adapters whose workgroups are subgroups of eight lanes.
    fn for_software(&self) -> Result<Vec<Lowering>> {
        let g = &self.g;
        let mut candidates = vec![];
        if g.queries <= FEW_QUERIES && g.keys >= 8 {
            candidates.extend(self.stretches()?);
        }
        // Packing reads keys and values once more; without it they are read for every eight queries.
        if g.queries.div_ceil(8) * g.heads >= 3 * g.key_heads {
            candidates.extend(self.blocks()?);
        }
        if self.groups().max(self.value_groups()) <= MOST_CHUNKS * 8 {
            candidates.push(self.subgroup()?);
        }
        Ok(candidates)
    }

    fn subgroup(&self) -> Result<Lowering> {
        let kernel = self
            .plain(&SUBGROUP, 8)
            .constant("CHUNKS", self.groups().div_ceil(8).max(1) as u32)
            .constant("VALUE_CHUNKS", self.value_groups().div_ceil(8) as u32);
        self.one("subgroup", kernel, 8)
    }

    /// Tiles in workgroup memory; `None` when heads are too large for it.
    fn tiles(&self) -> Result<Option<Lowering>> {
        let (groups, value_groups) = (self.groups(), self.value_groups());
        let largest = groups.max(value_groups);
        let bytes = |own: usize, keys: usize| 16 * (16 * own * (groups + keys / 4 + 1) + keys * largest);
        let fits = |(own, keys): &(usize, usize)| bytes(*own, *keys) <= self.caps.max_workgroup_storage as usize;
        // Registers hold 2 * OWN * VALUE_GROUPS / 4 groups or so; large heads take fewer queries. Four queries a lane, the
        // most multiply-adds for each load, are worth it only where they leave enough workgroups.
        let choices = [(4, 16), (2, 32), (2, 16), (1, 16), (1, 8)];
        let worth = |own: usize| own < 4 || self.g.batch * self.g.heads * (self.g.queries / 64) >= ENOUGH_WORKGROUPS;
        let suits = |(own, _): &(usize, usize)| *own * value_groups <= 64 && worth(*own);
        let Some((own, keys)) = choices.into_iter().filter(suits).find(fits) else {
            return Ok(None);
        };
        let kernel = self
            .plain(&TILES, 64)
            .constant("OWN", own as u32)
            .constant("KEYS", keys as u32)
            .constant("TILE_GROUPS", largest as u32);
        self.one("tiles", kernel, 16 * own).map(Some)
    }

    fn lanes(&self) -> Result<Lowering> {
        self.one("lanes", self.plain(&LANES, 64).constant("WORKGROUP", 64), 64)
    }

    /// One dispatch of workgroups with so many queries each.
    fn one(&self, variant: &'static str, kernel: Kernel, queries: usize) -> Result<Lowering> {
        let tiles = self.g.batch * self.g.heads * self.g.queries.div_ceil(queries);
        let mut bindings = self.bindings();
        bindings.push(Operand::Output(0));
        let grid = Dispatch::linear_grid(tiles as u64, self.caps)?;
        Ok(Lowering::dispatches(variant, vec![self.work(Dispatch::new(kernel, self.params, bindings, grid))]))
    }
}
