//! What attention has for software adapters whose subgroups have eight lanes: kernels in which lanes exchange what they load, and
//! keys and values in textures.

use super::lower::{AttentionKernels, AttentionParams, FEW_QUERIES, Ranks};
use crate::error::{Error, Result};
use crate::kernel::Access::{Read, ReadTexture, Write, WriteTexture};
use crate::kernel::software::READ_OFTEN;
use crate::kernel::{Caps, Dispatch, Lowering, Offers, Operand, Rank, preludes, shader, u32s};

shader!(pub(super) static BROADCAST: AttentionParams = "software/attention_broadcast");
shader!(pub(super) static PACK: AttentionParams = "software/attention_pack");
shader!(pub(super) static PACKED: AttentionParams = "software/attention_packed");
shader!(pub(super) static SPLIT_SUBGROUP: AttentionParams = "software/attention_split_subgroup");

/// Lanes of a subgroup, which is a workgroup.
const LANES: usize = 8;

/// The most groups of four elements in a head that `broadcast` unrolls over.
const MOST_BROADCAST: usize = 64;

/// The most groups of four elements in a head that `packed` takes: as many iterations as the driver unrolls.
const MOST_PACKED: usize = 32;
/// Groups of queries and of sums that a lane of `packed` holds.
const HELD_OF_PACKED: usize = 128;
/// Scores from which on four queries a lane are worth it.
const LARGE: usize = 1 << 18;
/// Subgroups of queries for each key head that make packing worth it, which reads keys and values once more.
const ENOUGH_READERS: usize = 3;

/// The most groups of four elements in a head that `split_subgroup` takes: its body grows with them.
const MOST_SPLIT: usize = 64;
/// Groups of queries and of sums that a lane of `split_subgroup` holds, beyond which queries are taken one at a time.
const HELD_OF_SPLIT: usize = 16;
/// The fewest keys of a subgroup: joining costs as much as loading a few.
const LEAST_KEYS: usize = 64;
/// The most keys of a subgroup, whose loops a driver ends when they are long.
const MOST_KEYS: usize = 1 << 14;
/// Subgroups that keep the cores of an adapter busy to the end.
const ENOUGH_SUBGROUPS: usize = 64;

/// The most groups of four elements of a row's two operands in the kernels of gradients: their loops over them are unrolled.
const MOST_OF_GRADIENT: usize = 64;
/// Groups of a lane's rows there.
const HELD_OF_GRADIENT: usize = 64;

// The order of preference, and that of what serves all adapters, which is slower here.
const SPLIT_SUBGROUP_RANK: Rank = 0;
const PACKED_RANK: Rank = 1;
const BROADCAST_RANK: Rank = 2;
const OTHERS: Ranks = Ranks { split: 3, tiles: 4, split_of_many: 5 };

/// Offers the variants that only software adapters run, and answers how the others rank beside them; `None` where none is offered.
pub(super) fn offer(kernels: &AttentionKernels, offers: &mut Offers) -> Option<Ranks> {
    let caps = kernels.caps;
    if !caps.is_software() || caps.subgroup != Some(8) {
        return None;
    }
    offers.add("split_subgroup", SPLIT_SUBGROUP_RANK, || kernels.split_subgroup());
    offers.add("packed", PACKED_RANK, || kernels.packed());
    offers.add("broadcast", BROADCAST_RANK, || kernels.broadcast());
    Some(OTHERS)
}

/// How the form of the gradients' kernels ranks whose columns travel by broadcast, and how many rows a lane takes, whose query and worth or
/// key and value have so many groups of four elements; `None` where it is not offered.
pub(super) fn lanes_of_gradient(caps: &Caps, held: usize) -> Option<(Rank, u32)> {
    let own = [4, 2].into_iter().find(|own| *own as usize * held <= HELD_OF_GRADIENT).unwrap_or(1);
    let fits = caps.is_software() && caps.subgroup == Some(8) && held <= MOST_OF_GRADIENT;
    fits.then_some((0, own))
}

impl AttentionKernels<'_> {
    /// A query per lane; lanes share the loads of keys and values.
    fn broadcast(&self) -> Result<Lowering> {
        self.holds_heads(MOST_BROADCAST)?;
        let [chunks, value_chunks] = u32s([self.groups().div_ceil(LANES).max(1), self.value_groups().div_ceil(LANES)])?;
        let kernel = self.four_keys(self.plain(&BROADCAST, 8)).constant("CHUNKS", chunks).constant("VALUE_CHUNKS", value_chunks);
        self.one(kernel, LANES, self.shape.keys.div_ceil(4))
    }

    /// Keys and values packed into textures, then one workgroup per head and eight queries or a multiple.
    fn packed(&self) -> Result<Lowering> {
        let shape = &self.shape;
        let (groups, value_groups) = (self.groups().max(1), self.value_groups());
        if shape.queries.div_ceil(LANES) * shape.heads < ENOUGH_READERS * shape.key_heads {
            return Err(Error::unsupported(format!("packing keys for {} queries takes longer than it saves", shape.queries)));
        }
        self.holds_heads(MOST_PACKED)?;
        let blocks = shape.batch * shape.key_heads * shape.keys.div_ceil(LANES);
        if blocks == 0 {
            return Err(Error::unsupported("there are no keys to pack"));
        }
        let [keys, values] = [groups, value_groups].map(|n| (blocks * LANES * n * 16) as u64);
        let pack = self.kernel(&PACK, 8, [Read; 3], &[WriteTexture; 2]);
        let mut bindings = self.bindings();
        bindings.extend([Operand::Temporary(0), Operand::Temporary(1)]);
        let grid = Dispatch::linear_grid(blocks as u64, self.caps)?;
        let pack = Dispatch::new(self.all_inputs(pack).texels(), self.params, bindings, grid).work(0, 2 * (keys + values));
        Ok(Lowering::new(vec![pack, self.over_packed(groups + value_groups)?]).temporaries(vec![keys, values]))
    }

    /// The dispatch that reads packed keys and values, where a query and its sum have so many groups of four elements.
    fn over_packed(&self, groups: usize) -> Result<Dispatch> {
        let shape = &self.shape;
        // The body grows with the queries of a lane, and with it the time to compile it.
        let most = if shape.batch * shape.heads * shape.queries * shape.keys >= LARGE { 4 } else { 2 };
        let suits = |own: &usize| own * groups <= HELD_OF_PACKED && (own - 1) * LANES < shape.queries;
        let own = [4, 2].into_iter().filter(|own| *own <= most).find(suits).unwrap_or(1);
        let [own_queries] = u32s([own])?;
        let shared = shape.mask.as_ref().is_some_and(|mask| shape.queries == 1 || mask.strides[2] == 0);
        let kernel = self.query_input(self.kernel(&PACKED, 8, [Read, ReadTexture, ReadTexture], &[Write]));
        let kernel =
            kernel.texels().prelude(&preludes::ATTENTION_OUTPUT).constant("OWN", own_queries).set("SHARED_MASK", u32::from(shared));
        let mut bindings = self.bindings();
        (bindings[1], bindings[2]) = (Operand::Temporary(0), Operand::Temporary(1));
        bindings.push(Operand::Output(0));
        let tiles = shape.batch * shape.heads * shape.queries.div_ceil(LANES * own);
        let grid = Dispatch::linear_grid(tiles as u64, self.caps)?;
        Ok(self.work(Dispatch::new(kernel, self.params, bindings, grid)).turns(shape.keys.div_ceil(LANES)))
    }

    /// One subgroup per key head, split of the keys and a few queries.
    fn split_subgroup(&self) -> Result<Lowering> {
        let shape = &self.shape;
        if shape.queries > FEW_QUERIES || shape.keys < LANES {
            let (queries, keys) = (shape.queries, shape.keys);
            return Err(Error::unsupported(format!(
                "it is for {FEW_QUERIES} queries over {LANES} keys, found {queries} over {keys}"
            )));
        }
        self.holds_heads(MOST_SPLIT)?;
        let rows = shape.batch * shape.key_heads;
        let queries = shape.heads / shape.key_heads.max(1) * shape.queries;
        let held = self.groups().div_ceil(LANES) + self.value_groups().div_ceil(LANES);
        let own = [4, 2].into_iter().find(|own| *own <= queries && own * held <= HELD_OF_SPLIT).unwrap_or(1);
        let tiles = rows * queries.div_ceil(own);
        let keys = shape.keys.div_ceil(ENOUGH_SUBGROUPS.div_ceil(tiles)).next_multiple_of(LANES).clamp(LEAST_KEYS, MOST_KEYS);
        let splits = shape.keys.div_ceil(keys);
        let kernel = if self.worth_copying()? {
            let inputs = [Read, ReadTexture, ReadTexture];
            self.query_input(self.kernel(&SPLIT_SUBGROUP, 8, inputs, &[Write])).prelude(&preludes::ATTENTION_KEY_TEXELS).texels()
        } else {
            self.plain(&SPLIT_SUBGROUP, 8)
        };
        let [own_queries, split] = u32s([own, keys])?;
        // Blocks of keys, and the keys of a block once for their scores and once for their values.
        let turns = keys / LANES * (1 + 2 * LANES);
        self.joined(kernel.constant("OWN", own_queries).constant("SPLIT", split), [splits, keys], tiles * splits, turns)
    }

    /// Whether keys and values are read faster from textures that they are copied to.
    fn worth_copying(&self) -> Result<bool> {
        let shape = &self.shape;
        let read = shape.batch * shape.key_heads * shape.keys * (shape.size + shape.value_size);
        // What attention sees of its inputs may be a small part of them.
        let pays = |k: usize| Ok::<_, Error>(self.caps.copying_pays_from(READ_OFTEN, read, self.io.input(k)?.ty.elements()));
        // Where a part of the keys counts at a time, a copy of all of them may be most of the work.
        Ok(self.vectors && !self.has_lengths() && pays(1)? && pays(2)?)
    }

    /// Refuses heads of more groups of four elements than a kernel takes.
    fn holds_heads(&self, groups: usize) -> Result<()> {
        if self.groups().max(self.value_groups()) <= groups {
            return Ok(());
        }
        let (size, value_size, most) = (self.shape.size, self.shape.value_size, 4 * groups);
        Err(Error::unsupported(format!("heads of {size} elements and values of {value_size} exceed {most}")))
    }
}
