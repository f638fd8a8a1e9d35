//! Attention of many queries on software adapters: keys and values packed into textures, then read by blocks.

use super::lower::{AttentionParams, Builder};
use crate::error::Result;
use crate::kernel::Access::{Read, ReadTexture, Write, WriteTexture};
use crate::kernel::{Dispatch, Lowering, Operand, shader};

shader!(pub(super) static PACK: AttentionParams = "attention_pack");
shader!(pub(super) static BLOCKS: AttentionParams = "attention_blocks");

/// The most groups of four elements in a head: as many iterations as the driver unrolls.
const MOST_GROUPS: usize = 32;
/// Groups of queries and of sums that a lane holds.
const HELD: usize = 128;
/// Scores from which on four queries a lane are worth it.
const LARGE: usize = 1 << 18;
/// Keys of a block.
const KEYS: usize = 8;

impl Builder<'_> {
    /// Packing, then one workgroup per head and eight queries or a multiple; `None` when heads or textures are too large.
    pub(super) fn blocks(&self) -> Result<Option<Lowering>> {
        let g = &self.g;
        let (groups, value_groups) = (self.groups().max(1), self.value_groups());
        let blocks = g.batch * g.key_heads * g.keys.div_ceil(KEYS);
        let [keys, values] = [groups, value_groups].map(|n| (blocks * KEYS * n * 16) as u64);
        let long = g.keys.div_ceil(KEYS) >= self.caps.max_loop as usize;
        if long || groups > MOST_GROUPS || value_groups > MOST_GROUPS || blocks == 0 || !self.caps.texture_holds(keys.max(values)) {
            return Ok(None);
        }
        // The body grows with the queries of a lane, and with it the time to compile it.
        let most = if g.batch * g.heads * g.queries * g.keys >= LARGE { 4 } else { 2 };
        let suits = |own: &usize| own * (groups + value_groups) <= HELD && (own - 1) * 8 < g.queries;
        let own = [4, 2].into_iter().filter(|own| *own <= most).find(suits).unwrap_or(1);
        let pack = self.kernel(&PACK, 8, &[Read, Read, Read, Read, WriteTexture, WriteTexture]);
        let mut bindings = self.bindings();
        bindings.extend([Operand::Temporary(0), Operand::Temporary(1)]);
        let grid = Dispatch::linear_grid(blocks as u64, self.caps)?;
        let pack = Dispatch::new(self.all_inputs(pack).texels(), self.params, bindings, grid).work(0, 2 * (keys + values));
        let kernel = self.kernel(&BLOCKS, 8, &[Read, ReadTexture, ReadTexture, Read, Write]);
        let shared = g.mask.as_ref().is_some_and(|mask| g.queries == 1 || mask.strides[2] == 0);
        let kernel = self.query_input(kernel).texels().constant("OWN", own as u32).set("SHARED_MASK", u32::from(shared));
        let mut bindings = self.bindings();
        (bindings[1], bindings[2]) = (Operand::Temporary(0), Operand::Temporary(1));
        bindings.push(Operand::Output(0));
        let tiles = g.batch * g.heads * g.queries.div_ceil(8 * own);
        let grid = Dispatch::linear_grid(tiles as u64, self.caps)?;
        let attend = self.work(Dispatch::new(kernel, self.params, bindings, grid));
        let dispatches = vec![pack, attend];
        Ok(Some(Lowering::Dispatches {
            variant: "blocks",
            dispatches,
            temporaries: vec![keys, values],
            packed: vec![],
            tables: vec![],
        }))
    }
}
