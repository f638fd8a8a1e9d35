//! Transposed convolutions as a matrix product, channels and taps by filters times filters by pixels, whose columns are then
//! summed where their windows overlap: no multiplication by the zeros between strides.

use super::{Problem, extents, spatial};
use crate::error::{Error, Result};
use crate::graph::{Fact, Io};
use crate::kernel::{Access, Caps, Dispatch, Kernel, Lowering, Operand, params, shader};
use crate::ops::matmul;
use crate::tensor::{DType, View};

params! {
    /// Parameters of the sums.
    struct FoldParams { count: u32 }
}

shader!(pub(super) static SHADER: FoldParams = "conv_fold");

/// The candidate, where a binding holds the columns: the product's best kernel, then the sums.
pub(super) fn lower(problem: &Problem, io: &Io, caps: &Caps) -> Result<Option<Lowering>> {
    let (rows, pixels) = (problem.channels * problem.taps(), problem.output_area());
    let shape = [problem.batches, problem.groups, rows, pixels];
    let bytes = 4 * shape.iter().fold(1u64, |all, n| all.saturating_mul(*n as u64));
    let limit = caps.max_storage_binding.min(u64::from(u32::MAX));
    if bytes > limit || problem.filters == 0 || pixels == 0 || problem.taps() > caps.max_loop as usize / 2 {
        return Ok(None);
    }
    let weights = View {
        shape: [1, problem.groups, rows, problem.filters].into(),
        strides: vec![0, (problem.filters * rows) as i64, 1, rows as i64],
        offset: 0,
    };
    let inputs = View::contiguous(&[problem.batches, problem.groups, problem.filters, pixels].into());
    let mut product = matmul::Problem::new(&weights, &inputs)?;
    product.inputs = [1, 0];
    let columns = Fact::new(DType::F32, shape.to_vec());
    let inner = Io { outputs: vec![&columns], used: vec![true], epilogue: None, ..io.clone() };
    let Some(Lowering::Dispatches { mut dispatches, mut temporaries, packed, .. }) =
        product.lower(&inner, caps)?.into_iter().next()
    else {
        return Err(Error::internal("a matrix product without a kernel"));
    };
    let place = Operand::Temporary(temporaries.len());
    temporaries.push(bytes);
    for binding in dispatches.iter_mut().flat_map(|d| &mut d.bindings).filter(|b| **b == Operand::Output(0)) {
        *binding = place;
    }
    let count = io.outputs[0].ty.elements();
    let mut kernel = Kernel::new(&SHADER, &[Access::Read, Access::Write], [64, 1, 1]);
    kernel.constants.extend(extents(&spatial(problem)));
    let mut bindings = vec![place, Operand::Output(0)];
    let kernel = io.attach_epilogue(kernel, &mut bindings, 1, caps)?;
    let grid = Dispatch::linear_grid(count.div_ceil(64) as u64, caps)?;
    let fold = Dispatch::new(kernel, FoldParams { count: count as u32 }, bindings, grid);
    dispatches.push(fold.work(bytes / 4, bytes + 4 * count as u64));
    Ok(Some(Lowering::Dispatches { variant: "product", dispatches, temporaries, packed, tables: vec![] }))
}
