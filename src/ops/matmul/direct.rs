//! The matrix product of last resort: any strides, any scalar.

use super::Problem;
use super::problem::MatMulParams;
use crate::error::{Error, Result};
use crate::graph::Io;
use crate::kernel::{Access, Caps, Dispatch, Kernel, Lowering, Operand, preludes, shader};
use crate::tensor::Scalar;

shader!(pub(super) static SHADER: MatMulParams = "matmul_direct");

/// One output element per invocation.
pub(super) fn lower(problem: &Problem, io: &Io, caps: &Caps) -> Result<Lowering> {
    let scalar = io.outputs[0].scalar().ok_or_else(|| Error::unsupported("a matrix product whose sums may exceed 32 bits"))?;
    if problem.k / 8 + 64 > caps.max_loop as usize {
        return Err(Error::unsupported(format!(
            "a matrix product over {} terms: expected at most {}",
            problem.k,
            (caps.max_loop - 64) * 8
        )));
    }
    let mut bindings = vec![Operand::Input(problem.inputs[0]), Operand::Input(problem.inputs[1]), Operand::Output(0)];
    let kernel = Kernel::new(&SHADER, &[Access::Read, Access::Read, Access::Write], [64, 1, 1])
        .prelude(&preludes::MATMUL)
        .set("BATCH_AXES", problem.batch.len() as u32);
    let kernel = match scalar {
        Scalar::F32 => io.attach_epilogue(kernel.prelude(&preludes::ELEMENT_F32), &mut bindings, 1, caps)?,
        Scalar::I32 => kernel.prelude(&preludes::ELEMENT_I32),
        Scalar::U32 => kernel.prelude(&preludes::ELEMENT_U32),
    };
    let elements = (problem.batches() * problem.m * problem.n) as u64;
    let (flops, bytes) = problem.work();
    let dispatch = Dispatch::new(kernel, problem.params()?, bindings, Dispatch::linear_grid(elements.div_ceil(64), caps)?);
    Ok(Lowering::dispatches("direct", vec![dispatch.work(flops, bytes)]))
}
