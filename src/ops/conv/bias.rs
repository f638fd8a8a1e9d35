//! The bias of a convolution as the first instruction of its epilogue, so that no kernel has to know of it.

use crate::error::{Error, Result};
use crate::graph::{Epilogue, Io};
use crate::kernel::{Instruction, Lowering, Operand, Program, ProgramOperand, Term};
use crate::ops::elementwise;
use crate::tensor::View;

/// Which input of a convolution the bias is.
const BIAS: usize = 2;

/// Lowers a convolution whose kernels know no bias: input 2, if there, is added by the epilogue.
pub(super) fn with_bias(io: &Io, lower: impl FnOnce(&Io) -> Result<Vec<Lowering>>) -> Result<Vec<Lowering>> {
    let Some(bias) = io.inputs.get(BIAS).copied().flatten() else {
        return lower(io);
    };
    let add = elementwise::function("Add").ok_or_else(|| Error::internal("there is no Add"))?;
    let mut shape = vec![1; io.outputs[0].shape().rank()];
    shape[1] = bias.ty.elements();
    let per_channel = View::contiguous(&shape.into());
    let sum = Instruction { function: add, arguments: vec![Term::Carried, Term::Operand(0)], cast: None };
    let mut program = Program { operands: vec![ProgramOperand { view: Some(per_channel) }], instructions: vec![sum] };
    let mut operands = vec![(bias, Operand::Input(BIAS))];
    if let Some(own) = &io.epilogue {
        program.operands.extend(own.program.operands.iter().cloned());
        program.instructions.extend(own.program.instructions.iter().cloned().map(after_sum));
        operands.extend(own.operands.iter().copied());
    }
    let epilogue = Some(Epilogue { program: &program, operands });
    lower(&Io { inputs: io.inputs[..BIAS].to_vec(), epilogue, ..io.clone() })
}

/// An instruction of the given epilogue as it stands behind the sum with the bias.
fn after_sum(mut instruction: Instruction) -> Instruction {
    for term in &mut instruction.arguments {
        *term = match *term {
            Term::Carried => Term::Result(0),
            Term::Operand(k) => Term::Operand(k + 1),
            Term::Result(k) => Term::Result(k + 1),
            Term::Literal(value) => Term::Literal(value),
        };
    }
    instruction
}
