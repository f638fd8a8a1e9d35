//! The matrix product of last resort: any strides, any scalar.

use super::product::{MatMulParams, Product};
use crate::error::{Error, Result};
use crate::graph::Io;
use crate::kernel::{Access, Caps, Dispatch, Kernel, Lowering, Operand, preludes, shader, u32s};
use crate::tensor::Scalar;

shader!(pub(super) static SHADER: MatMulParams = "matmul_direct");

/// One output element per invocation.
pub(super) fn lower(product: &Product, io: &Io, caps: &Caps) -> Result<Lowering> {
    if product.quantized.is_some() {
        return Err(Error::unsupported("weights in fewer bits than those of a float"));
    }
    let scalar = io.outputs[0].scalar().ok_or_else(|| Error::unsupported("a matrix product whose sums may exceed 32 bits"))?;
    let [axes] = u32s([product.batch.len()])?;
    let mut bindings = vec![Operand::Input(product.inputs[0]), Operand::Input(product.inputs[1]), Operand::Output(0)];
    let kernel = Kernel::new(&SHADER, &[Access::Read, Access::Read, Access::Write], [64, 1, 1])
        .prelude(&preludes::MATMUL)
        .set("BATCH_AXES", axes);
    let kernel = match scalar {
        Scalar::F32 => io.attach_epilogue(kernel.prelude(&preludes::ELEMENT_F32), &mut bindings, 1, caps)?,
        Scalar::I32 => kernel.prelude(&preludes::ELEMENT_I32),
        Scalar::U32 => kernel.prelude(&preludes::ELEMENT_U32),
    };
    let elements = product.elements() as u64;
    let (flops, bytes) = product.work();
    let dispatch = Dispatch::new(kernel, product.params()?, bindings, Dispatch::linear_grid(elements.div_ceil(64), caps)?);
    Ok(Lowering::new(vec![dispatch.turns(product.k / 8 + 64).work(flops, bytes)]))
}
