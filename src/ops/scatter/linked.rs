//! ScatterND with a reduction by chains: updates of one slice are linked, and whoever is first takes in those behind it.

use crate::error::Result;
use crate::kernel::{Access, Caps, Dispatch, Kernel, Operand, params, preludes, shader, u32s};
use crate::ops::gather::Tuples;
use crate::ops::shared::{WORKGROUP, one_each};
use crate::tensor::Shape;

params! {
    /// Parameters of `scatter_nd_link.wgsl`.
    struct LinkParams {
        extents: [u32; 8],
        strides: [u32; 8],
        depth: u32,
        rows: u32,
    }
}

params! {
    /// Parameters of `scatter_nd_linked.wgsl`.
    struct LinkedParams {
        inner: u32,
        rows: u32,
        count: u32,
    }
}

shader!(pub(super) static LINK: LinkParams = "scatter_nd_link");
shader!(pub(super) static LINKED: LinkedParams = "scatter_nd_linked");

/// Updates that go to slices of a tensor.
pub(super) struct Updates<'a> {
    pub tuples: Tuples,
    /// The shape of the tensor.
    pub data: &'a Shape,
    /// How many updates there are.
    pub rows: usize,
}

impl Updates<'_> {
    /// Bytes of the chains.
    pub(super) fn bytes(&self) -> u64 {
        self.rows as u64 * 8
    }

    /// The most iterations of an invocation: past all other tuples, and for each along its indices and once more.
    pub(super) fn turns(&self) -> usize {
        (self.rows + 1) * (self.tuples.depth + 2)
    }

    /// The kernel that links them, and the one that combines them with what is bound to `data`, by the numbers that kernels know a scalar type and
    /// a reduction by.
    pub(super) fn dispatches(&self, [scalar, reduction]: [u32; 2], data: Operand, caps: &Caps) -> Result<Vec<Dispatch>> {
        let inner = self.tuples.inner(self.data);
        let (extents, strides) = self.tuples.axes(self.data, 1)?;
        let [depth, rows, inner_size, count] = u32s([self.tuples.depth, self.rows, inner, self.rows * inner])?;
        let link = Kernel::new(&LINK, &[Access::Read, Access::Write], [WORKGROUP, 1, 1])
            .prelude(&preludes::INDEX)
            .prelude(&preludes::INDEX_TUPLES);
        let bindings = vec![Operand::Input(1), Operand::Temporary(0)];
        let link = one_each(link, LinkParams { extents, strides, depth, rows }, self.rows, bindings, caps)?;
        let walk = Kernel::new(&LINKED, &[Access::Read, Access::Read, Access::Write], [WORKGROUP, 1, 1])
            .prelude(&preludes::COMBINE)
            .set("SCALAR", scalar)
            .set("REDUCTION", reduction);
        let bindings = vec![Operand::Temporary(0), Operand::Input(2), data];
        let params = LinkedParams { inner: inner_size, rows, count };
        let walk = one_each(walk, params, self.rows * inner, bindings, caps)?;
        Ok(vec![
            link.turns(self.turns()).work(0, self.bytes()),
            walk.turns(self.rows).work(0, self.rows as u64 * inner as u64 * 12),
        ])
    }
}
