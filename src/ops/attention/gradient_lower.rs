//! Attention's gradients on the GPU: a kernel that walks along the keys for each query, then one that walks along the queries for each key.

use super::lower::{AttentionKernels, AttentionParams, check_types};
use super::{Attention, OUTPUT, Unseen, WORTH, software};
use crate::error::{Error, Result};
use crate::graph::Io;
use crate::kernel::{Access, Dispatch, Kernel, Lowering, Offers, Operand, Prelude, Rank, Shader, preludes, shader};
use crate::tensor::Scalar;

shader!(pub(super) static QUERIES: AttentionParams = "attention_gradient_queries");
shader!(pub(super) static KEYS: AttentionParams = "attention_gradient_keys");

/// Rows of a workgroup, one for each invocation.
const ROWS: u32 = 64;
/// Groups of four elements of a head that all compilers unroll loops over.
const UNROLLED: usize = 32;

const TILE_RANK: Rank = 1;
const DIRECT_RANK: Rank = 2;

pub(super) fn lower(op: &Attention, io: &Io, offers: &mut Offers) -> Result<()> {
    check_types(io)?;
    if [OUTPUT, WORTH].iter().any(|k| io.optional(*k).is_none_or(|fact| fact.scalar() != Some(Scalar::F32))) {
        return Err(Error::unsupported("gradients of attention of other than 32-bit floats"));
    }
    let shape = op.shape_of(&io.inputs)?;
    if shape.size * shape.value_size * shape.keys == 0 {
        return Err(Error::unsupported("gradients of attention over nothing"));
    }
    let caps = offers.caps();
    let back = Back { io, kernels: AttentionKernels::new(op, io, caps, shape)? };
    let held = back.kernels.groups() + back.kernels.value_groups();
    if let Some((rank, own)) = software::lanes_of_gradient(caps, held) {
        let form = Form { columns: &preludes::ATTENTION_COLUMNS_LANES, workgroup: 8, own };
        offers.add("lanes", rank, || back.lowering(&form));
    }
    // The second kernel's columns are one group longer.
    if 16 * 8 * (held + 1) <= caps.max_workgroup_storage as usize && !caps.avoids_barriers() {
        let form = Form { columns: &preludes::ATTENTION_COLUMNS_TILE, workgroup: ROWS, own: 1 };
        offers.add("tile", TILE_RANK, || back.lowering(&form));
    } else {
        let form = Form { columns: &preludes::ATTENTION_COLUMNS_DIRECT, workgroup: ROWS, own: 1 };
        offers.add("direct", DIRECT_RANK, || back.lowering(&form));
    }
    Ok(())
}

/// How rows are shared out, and how columns come in.
struct Form {
    columns: &'static Prelude,
    workgroup: u32,
    /// Rows of an invocation.
    own: u32,
}

impl Form {
    fn rows(&self) -> usize {
        (self.workgroup * self.own) as usize
    }
}

/// The kernels of one attention's gradients.
struct Back<'a> {
    io: &'a Io<'a>,
    kernels: AttentionKernels<'a>,
}

impl Back<'_> {
    fn lowering(&self, form: &Form) -> Result<Lowering> {
        let mut dispatches = vec![self.queries(form)?];
        if self.io.used.get(1) != Some(&false) {
            dispatches.push(self.keys(form)?);
        }
        Ok(Lowering::new(dispatches))
    }

    fn kernel(&self, shader: &'static Shader, form: &Form) -> Kernel {
        let outputs = [Access::Read, Access::Read, Access::Write];
        let kernel = self.kernels.kernel(shader, form.workgroup, [Access::Read; 3], &outputs);
        let worths: &'static Prelude =
            if self.kernels.vectors { &preludes::ATTENTION_WORTH_VECTORS } else { &preludes::ATTENTION_WORTH_SCALARS };
        let kernel = self.kernels.all_inputs(kernel).prelude(worths).prelude(&preludes::ATTENTION_GRADIENT);
        kernel.prelude(form.columns).constant("WORKGROUP", form.workgroup).constant("OWN", form.own)
    }

    /// A dispatch of so many workgroups over so many columns, which takes so many products of each row and column.
    fn dispatch(&self, kernel: Kernel, read: Operand, write: Operand, extents: [usize; 3]) -> Result<Dispatch> {
        let [workgroups, columns, products] = extents;
        let mut bindings = self.kernels.bindings();
        bindings.extend([read, Operand::Input(WORTH), write]);
        let grid = Dispatch::linear_grid(workgroups as u64, self.kernels.caps)?;
        let (groups, value_groups) = (self.kernels.groups(), self.kernels.value_groups());
        // Loops over groups that a compiler may leave as they are, and those that fill a tile; each goes round once more.
        let longer = |groups: usize| if groups > UNROLLED { 2 * groups + 2 } else { 0 };
        let within = longer(groups) + longer(value_groups) + (groups + value_groups).div_ceil(8) + 2;
        let shape = &self.kernels.shape;
        let sharers = shape.heads / shape.key_heads.max(1);
        let work = 2 * shape.batch * shape.heads * shape.queries * shape.keys * 4 * products;
        let bytes = 16 * shape.batch * (shape.heads * shape.queries + shape.key_heads * shape.keys) * (groups + value_groups);
        let dispatch = Dispatch::new(kernel, self.kernels.params, bindings, grid);
        Ok(dispatch.turns(columns.div_ceil(8) * (1 + within) + 2 * sharers).work(work as u64, bytes as u64))
    }

    /// What changes of queries are worth, and what the other kernel wants to know of each row.
    fn queries(&self, form: &Form) -> Result<Dispatch> {
        let shape = &self.kernels.shape;
        let workgroups = shape.batch * shape.heads * shape.queries.div_ceil(form.rows());
        let products = 2 * self.kernels.groups() + self.kernels.value_groups();
        let kernel = self.kernel(&QUERIES, form);
        self.dispatch(kernel, Operand::Input(OUTPUT), Operand::Output(0), [workgroups, shape.keys, products])
    }

    /// What changes of keys and values are worth.
    fn keys(&self, form: &Form) -> Result<Dispatch> {
        let (shape, op) = (&self.kernels.shape, self.kernels.op);
        let hidden = op.causal && op.unseen == Unseen::Hidden;
        let all_see = shape.mask.is_none() && op.causal_offset >= 0;
        let skips = hidden && (self.kernels.zero_unseen() || all_see);
        let workgroups = shape.batch * shape.key_heads * shape.keys.div_ceil(form.rows());
        let columns = shape.queries.next_multiple_of(8) * (shape.heads / shape.key_heads.max(1));
        let products = 2 * (self.kernels.groups() + self.kernels.value_groups());
        let kernel = self.kernel(&KEYS, form).set("SKIPS", u32::from(skips));
        self.dispatch(kernel, Operand::Output(0), Operand::Output(1), [workgroups, columns, products])
    }
}
