//! Attention of few queries over many keys, or of heads that no tile holds: the keys split over workgroups, then joined.

use super::super::row_workgroup::RowWorkgroup;
use super::lower::{AttentionKernels, AttentionParams, FEW_QUERIES};
use crate::error::{Error, Result};
use crate::kernel::{Access, Dispatch, Kernel, Lowering, Operand, params, preludes, shader, u32s};

params! {
    /// Parameters of attention_join.
    struct JoinParams {
        rows: u32,
        heads: u32,
        queries: u32,
        splits: u32,
        split: u32,
        groups: u32,
        value_size: u32,
        batch_stride: u32,
        head_stride: u32,
        query_stride: u32,
    }
}

shader!(pub(super) static SPLIT: AttentionParams = "attention_split");
shader!(pub(super) static JOIN: JoinParams = "attention_join");

/// Keys of one workgroup on a GPU: as many as leave enough workgroups to fill it.
const KEYS: [usize; 3] = [1024, 512, 256];
/// Workgroups that fill a GPU.
const ENOUGH_WORKGROUPS: usize = 256;
/// Keys that are worth a workgroup of their own.
const WORTH_SPLITTING: usize = 256;

impl AttentionKernels<'_> {
    /// Whether queries are so few, over so many keys, that tiles would leave most of a device idle.
    pub(super) fn is_worth_splitting(&self) -> bool {
        self.shape.queries <= FEW_QUERIES && self.shape.keys >= WORTH_SPLITTING
    }

    /// One workgroup per query, head and split of the keys.
    pub(super) fn split(&self) -> Result<Lowering> {
        let shape = &self.shape;
        if shape.keys == 0 || self.value_groups() == 0 {
            return Err(Error::unsupported("there are no keys to split"));
        }
        let rows = shape.batch * shape.heads * shape.queries;
        let enough = |keys: &usize| rows * shape.keys.div_ceil(*keys) >= ENOUGH_WORKGROUPS;
        let keys = KEYS.into_iter().find(enough).unwrap_or(WORTH_SPLITTING);
        let splits = shape.keys.div_ceil(keys);
        let workgroup = RowWorkgroup::for_items(keys / 2, self.caps);
        let lanes = workgroup.lanes as usize;
        let [split] = u32s([keys])?;
        let kernel = workgroup.reduces(self.plain(&SPLIT, workgroup.lanes).constant("SPLIT", split));
        let turns = 2 * keys.div_ceil(lanes) + self.value_groups().div_ceil(lanes) * (keys + lanes);
        self.joined(kernel, [splits, keys], rows * splits, turns)
    }

    /// A kernel that leaves a state for each query and split of so many keys, and the one that joins them.
    pub(super) fn joined(&self, kernel: Kernel, [splits, keys]: [usize; 2], workgroups: usize, turns: usize) -> Result<Lowering> {
        let (rows, groups) = (self.shape.batch * self.shape.heads, self.value_groups());
        let [split_count, split, group_count] = u32s([splits, keys, groups])?;
        let mut bindings = self.bindings();
        bindings.push(Operand::Temporary(0));
        let params = AttentionParams { splits: split_count, ..self.params };
        let grid = Dispatch::linear_grid(workgroups as u64, self.caps)?;
        let first = self.work(Dispatch::new(kernel, params, bindings, grid).turns(turns));
        let [batch_stride, head_stride, query_stride, _] = params.output_strides;
        let AttentionParams { rows: row_count, heads, queries, value_size, .. } = params;
        let params = JoinParams {
            rows: row_count,
            heads,
            queries,
            splits: split_count,
            split,
            groups: group_count,
            value_size,
            batch_stride,
            head_stride,
            query_stride,
        };
        let kernel = Kernel::new(&JOIN, &[Access::Read, Access::Read, Access::Write], [64, 1, 1])
            .prelude(&preludes::LOWEST)
            .set("ZERO_UNSEEN", u32::from(self.zero_unseen()))
            .set("LENGTHS", u32::from(self.has_lengths()));
        let grid = Dispatch::linear_grid((rows * self.shape.queries * groups).div_ceil(64) as u64, self.caps)?;
        let bindings = vec![Operand::Temporary(0), self.lengths(), Operand::Output(0)];
        let join = Dispatch::new(kernel, params, bindings, grid).turns(splits);
        let state_bytes = (rows * self.shape.queries * splits * (1 + groups) * 16) as u64;
        if state_bytes > self.caps.max_storage_binding {
            return Err(Error::limit(format!("the states of {splits} splits take {state_bytes} bytes, which no binding holds")));
        }
        Ok(Lowering::new(vec![first, join]).temporaries(vec![state_bytes]))
    }
}
