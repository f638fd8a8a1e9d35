//! Attention of few queries over many keys: the keys split over workgroups, then joined.

use super::super::team::Team;
use super::lower::{AttentionParams, Builder};
use crate::error::Result;
use crate::graph::Fact;
use crate::kernel::{Access, Dispatch, Kernel, Lowering, Operand, params, preludes, shader};

params! {
    /// Parameters of attention_join.
    struct JoinParams {
        rows: u32,
        heads: u32,
        queries: u32,
        splits: u32,
        groups: u32,
        value_size: u32,
        batch_stride: u32,
        head_stride: u32,
        query_stride: u32,
    }
}

shader!(pub(super) static SPLIT: AttentionParams = "attention_split");
shader!(pub(super) static JOIN: JoinParams = "attention_join");

shader!(pub(super) static STRETCHES: AttentionParams = "attention_stretch");

/// Keys of one workgroup on a GPU: as many as leave enough workgroups to fill it.
const STRETCHES_OF_GPUS: [usize; 3] = [1024, 512, 256];
/// Workgroups that fill a GPU.
const ENOUGH_WORKGROUPS: usize = 256;
/// The fewest keys of a subgroup on a software adapter: joining costs as much as loading a few.
const LEAST_STRETCH: usize = 64;
/// Subgroups that keep the cores of a software adapter busy to the end.
const ENOUGH_SUBGROUPS: usize = 64;
/// Elements of keys and values whose copies cost less than what reading from textures saves.
const WORTH_COPYING: usize = 1 << 15;
/// Groups of queries and of sums that a lane holds, beyond which queries are taken one at a time.
const HELD: usize = 16;
/// The most groups of four elements in a head: the body grows with them.
const MOST_GROUPS: usize = 64;

impl Builder<'_> {
    /// One workgroup per query, head and stretch of keys.
    pub(super) fn split(&self) -> Result<Lowering> {
        let g = &self.g;
        let rows = g.batch * g.heads * g.queries;
        let enough = |stretch: &usize| rows * g.keys.div_ceil(*stretch) >= ENOUGH_WORKGROUPS;
        let stretch = STRETCHES_OF_GPUS.into_iter().find(enough).unwrap_or(STRETCHES_OF_GPUS[2]);
        let splits = g.keys.div_ceil(stretch);
        let team = Team::for_items(stretch / 2, self.caps);
        let kernel = team.join(self.plain(&SPLIT, team.lanes).constant("SPLIT", stretch as u32));
        self.joined("split", kernel, splits, rows * splits)
    }

    /// One subgroup per key head, stretch of keys and a few queries; `None` when heads are too large.
    pub(super) fn stretches(&self) -> Result<Option<Lowering>> {
        let g = &self.g;
        let largest = self.groups().max(self.value_groups());
        let (rows, queries) = (g.batch * g.key_heads, g.heads / g.key_heads.max(1) * g.queries);
        if largest > MOST_GROUPS || rows == 0 || g.keys == 0 {
            return Ok(None);
        }
        let held = self.groups().div_ceil(8) + self.value_groups().div_ceil(8);
        let own = [4, 2].into_iter().find(|own| *own <= queries && own * held <= HELD).unwrap_or(1);
        let tiles = rows * queries.div_ceil(own);
        let stretch = g.keys.div_ceil(ENOUGH_SUBGROUPS.div_ceil(tiles)).next_multiple_of(8).max(LEAST_STRETCH);
        let splits = g.keys.div_ceil(stretch);
        let kernel = if self.worth_copying()? {
            let access = [Access::Read, Access::ReadTexture, Access::ReadTexture, Access::Read, Access::Write];
            self.query_input(self.kernel(&STRETCHES, 8, &access)).prelude(&preludes::ATTENTION_KEY_TEXELS).texels()
        } else {
            self.plain(&STRETCHES, 8)
        };
        let kernel = kernel.constant("OWN", own as u32).constant("SPLIT", stretch as u32);
        self.joined("stretches", kernel, splits, tiles * splits).map(Some)
    }

    /// Whether keys and values are read faster from textures that they are copied to.
    fn worth_copying(&self) -> Result<bool> {
        let g = &self.g;
        let read = g.batch * g.key_heads * g.keys * (g.size + g.value_size);
        let (keys, values) = (self.io.input(1)?, self.io.input(2)?);
        let held = |fact: &Fact| self.caps.texture_holds(fact.gpu_bytes());
        // What attention sees of its inputs may be a small part of them.
        let mostly_read = keys.ty.elements().max(values.ty.elements()) <= 2 * read;
        Ok(self.vectors && read >= WORTH_COPYING && mostly_read && held(keys) && held(values))
    }

    /// A kernel that leaves a state for each query and split, and the one that joins them.
    fn joined(&self, variant: &'static str, kernel: Kernel, splits: usize, workgroups: usize) -> Result<Lowering> {
        let g = &self.g;
        let (rows, groups) = (g.batch * g.heads, self.value_groups());
        let mut bindings = self.bindings();
        bindings.push(Operand::Temporary(0));
        let params = AttentionParams { splits: splits as u32, ..self.params };
        let grid = Dispatch::linear_grid(workgroups as u64, self.caps)?;
        let first = self.work(Dispatch::new(kernel, params, bindings, grid));
        let [batch_stride, head_stride, query_stride, _] = self.params.output_strides;
        let params = JoinParams {
            rows: rows as u32,
            heads: g.heads as u32,
            queries: g.queries as u32,
            splits: splits as u32,
            groups: groups as u32,
            value_size: g.value_size as u32,
            batch_stride,
            head_stride,
            query_stride,
        };
        let kernel =
            Kernel::new(&JOIN, &[Access::Read, Access::Write], [64, 1, 1]).set("ZERO_UNSEEN", u32::from(self.op.zero_unseen));
        let grid = Dispatch::linear_grid((rows * g.queries * groups).div_ceil(64) as u64, self.caps)?;
        let join = Dispatch::new(kernel, params, vec![Operand::Temporary(0), Operand::Output(0)], grid);
        let temporaries = vec![(rows * g.queries * splits * (1 + groups) * 16) as u64];
        Ok(Lowering::Dispatches { variant, dispatches: vec![first, join], temporaries, packed: vec![], tables: vec![] })
    }
}
