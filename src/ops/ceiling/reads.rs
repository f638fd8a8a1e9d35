//! ReadCeiling: a load of reads and next to nothing else, to measure what an adapter reads in a second.

use super::software;
use crate::error::{Error, Result};
use crate::graph::{Fact, Io, Op, required};
use crate::kernel::{Access, Caps, Kernel, Lowering, Offers, Operand, params, shader, u32s};
use crate::ops::shared::{WORKGROUP, one_each};
use crate::tensor::{Scalar, Tensor};
use std::sync::Arc;

params! {
    /// Parameters of `ceiling_reads.wgsl`.
    struct ReadParams {
        count: u32,
        rounds: u32,
    }
}

shader!(pub(super) static CEILING_READS: ReadParams = "ceiling_reads");

pub(super) const NAME: &str = "ReadCeiling";

/// The sum of a matrix's rows and one row more: input 0 has rows of as many elements as input 1, which is added to their sum.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadCeiling;

/// The operator; its inputs are f32, the second with a multiple of four elements.
pub fn read_ceiling() -> Arc<dyn Op> {
    Arc::new(ReadCeiling)
}

impl Op for ReadCeiling {
    fn name(&self) -> &'static str {
        NAME
    }

    crate::attributes!();

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let (x, first) = (required(NAME, inputs, 0)?, required(NAME, inputs, 1)?);
        let elements = first.ty.elements();
        let whole = elements.is_multiple_of(4) && x.ty.elements().is_multiple_of(elements.max(1));
        if !whole || x.ty.elements() == 0 || !x.dtype().is_float() || x.dtype() != first.dtype() {
            let (x, first) = (&x.ty, &first.ty);
            return Err(Error::invalid_model(format!("{NAME} expects floats, rows of a multiple of four, found {x} and {first}")));
        }
        Ok(vec![Fact::new(x.dtype(), first.shape().clone())])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let first = required(NAME, inputs, 1)?;
        let mut sums = first.to_f64();
        for row in required(NAME, inputs, 0)?.to_f64().chunks(sums.len().max(1)) {
            sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
        }
        Ok(vec![Tensor::from_f64(first.ty().clone(), &sums)?])
    }

    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        if io.input(0)?.scalar() != Some(Scalar::F32) {
            return Err(Error::unsupported(format!("{NAME} of {}", io.input(0)?.ty)));
        }
        software::offer(io, offers);
        let caps = offers.caps();
        offers.add("buffers", 1, || lowering(io, Access::Read, caps));
        Ok(())
    }
}

/// The kernel with its first input bound so.
pub(super) fn lowering(io: &Io, x: Access, caps: &Caps) -> Result<Lowering> {
    let (rows, vectors) = (io.input(0)?, io.input(1)?.ty.elements() / 4);
    let rounds = rows.ty.elements() / 4 / vectors.max(1);
    let [count, rounds_number] = u32s([vectors, rounds])?;
    let kernel = Kernel::new(&CEILING_READS, &[x, Access::Read, Access::Write], [WORKGROUP, 1, 1]);
    let kernel = kernel.width(4, caps).reads_rows(x);
    let bindings = vec![Operand::Input(0), Operand::Input(1), Operand::Output(0)];
    let dispatch = one_each(kernel, ReadParams { count, rounds: rounds_number }, vectors, bindings, caps)?.turns(rounds);
    Ok(Lowering::new(vec![dispatch.work(rows.ty.elements() as u64, rows.gpu_bytes() + 8 * vectors as u64 * 4)]))
}
