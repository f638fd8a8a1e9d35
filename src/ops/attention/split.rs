//! Attention of few queries over many keys: the keys split over workgroups, then joined.

use super::super::team::Team;
use super::lower::{AttentionParams, Builder};
use crate::error::Result;
use crate::kernel::{Access, Dispatch, Kernel, Lowering, Operand, Parameters, Shader, params};

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

pub(super) static SPLIT: Shader = Shader {
    name: "attention_split",
    source: include_str!("../../../shaders/attention_split.wgsl"),
    params: AttentionParams::FIELDS,
};
pub(super) static JOIN: Shader =
    Shader { name: "attention_join", source: include_str!("../../../shaders/attention_join.wgsl"), params: JoinParams::FIELDS };

/// Keys of one workgroup.
const STRETCH: usize = 256;

impl Builder<'_> {
    /// One workgroup per query, head and stretch of keys.
    pub(super) fn split(&self) -> Result<Lowering> {
        let g = &self.g;
        let (rows, groups) = (g.batch * g.heads, self.value_groups());
        let splits = g.keys.div_ceil(STRETCH);
        let team = Team::for_items(STRETCH / 2, self.caps);
        let kernel = self.kernel(&SPLIT, team.lanes).constant("SPLIT", STRETCH as u32);
        let mut bindings = self.bindings();
        bindings.push(Operand::Temporary(0));
        let params = AttentionParams { splits: splits as u32, ..self.params };
        let grid = Dispatch::linear_grid((rows * g.queries * splits) as u64, self.caps)?;
        let first = self.work(Dispatch::new(team.join(kernel), params, bindings, grid));
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
        Ok(Lowering::Dispatches { variant: "split", dispatches: vec![first, join], temporaries, packed: vec![] })
    }
}
