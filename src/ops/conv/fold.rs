//! Transposed convolutions as a matrix product, channels and taps by filters times filters by pixels, whose columns are then
//! summed where their windows overlap: no multiplication by the zeros between strides.

use super::{ConvShape, check_scratch};
use crate::error::{Error, Result};
use crate::graph::{Fact, Io};
use crate::kernel::{Access, Caps, Dispatch, Kernel, Lowering, Operand, params, preludes, shader, u32s};
use crate::ops::matmul;
use crate::tensor::{DType, View};

params! {
    /// Parameters of the sums.
    struct FoldParams { count: u32 }
}

shader!(pub(super) static SHADER: FoldParams = "conv_fold");

/// The variant, where a binding holds the columns: the product's best kernel, then the sums.
pub(super) fn lower(conv: &ConvShape, io: &Io, caps: &Caps) -> Result<Lowering> {
    let (rows, pixels) = (conv.channels * conv.taps(), conv.output_area());
    if conv.filters == 0 || pixels == 0 {
        return Err(Error::unsupported("an input without elements"));
    }
    let shape = [conv.batches, conv.groups, rows, pixels];
    let bytes = 4 * shape.iter().fold(1u64, |all, n| all.saturating_mul(*n as u64));
    check_scratch("the columns of the product", bytes, caps)?;
    let weights = View {
        shape: [1, conv.groups, rows, conv.filters].into(),
        strides: vec![0, (conv.filters * rows) as i64, 1, rows as i64],
        offset: 0,
    };
    let inputs = View::contiguous(&[conv.batches, conv.groups, conv.filters, pixels].into());
    let mut product = matmul::Product::new(&weights, &inputs)?;
    product.inputs = [1, 0];
    let columns = Fact::new(DType::F32, shape.to_vec());
    let inner = Io { outputs: vec![&columns], used: vec![true], epilogue: None, ..io.clone() };
    let Lowering::Dispatches { mut dispatches, mut temporaries, packed, .. } = product.best(&inner, caps)? else {
        return Err(Error::internal("a matrix product without a kernel"));
    };
    let columns = Operand::Temporary(temporaries.len());
    temporaries.push(bytes);
    for binding in dispatches.iter_mut().flat_map(|d| &mut d.bindings).filter(|b| **b == Operand::Output(0)) {
        *binding = columns;
    }
    dispatches.push(sums(conv, columns, io, caps)?.work(bytes / 4, bytes + io.outputs[0].gpu_bytes()));
    Ok(Lowering::new(dispatches).temporaries(temporaries).packed(packed))
}

/// The dispatch that sums columns.
fn sums(conv: &ConvShape, columns: Operand, io: &Io, caps: &Caps) -> Result<Dispatch> {
    let elements = io.outputs[0].ty.elements();
    let mut kernel = Kernel::new(&SHADER, &[Access::Read, Access::Write], [64, 1, 1])
        .prelude(&preludes::DIVIDE)
        .prelude(&preludes::VOLUME_ELEMENT);
    kernel.constants.extend(conv.window_constants()?);
    let mut bindings = vec![columns, Operand::Output(0)];
    let kernel = io.attach_epilogue(kernel, &mut bindings, 1, caps)?;
    let grid = Dispatch::linear_grid(elements.div_ceil(64) as u64, caps)?;
    let [count] = u32s([elements])?;
    Ok(Dispatch::new(kernel, FoldParams { count }, bindings, grid).turns(2 * conv.taps()))
}
