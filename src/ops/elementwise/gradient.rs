//! Gradients of elementwise programs: the program goes back through itself, and is again one program for each operand.

use super::derivative::{Applied, Derivation};
use super::map::Map;
use crate::error::Result;
use crate::graph::{Gradient, Node, ValueId, Writer};
use crate::kernel::{Instruction, Program, ProgramOperand, Term};
use crate::ops::compose::Compose;
use crate::tensor::DType;
use std::sync::Arc;

/// The gradients of the operands of a program.
pub(super) fn gradient(
    program: &Program,
    node: &Node,
    upstream: &[Option<ValueId>],
    wanted: &[bool],
    writer: &mut Writer,
) -> Result<Gradient> {
    let Some(worth) = upstream.first().copied().flatten() else { return Ok(Gradient::Zero) };
    if program.operands.iter().any(|operand| operand.view.is_some()) {
        return Ok(Gradient::Undefined("it reads an operand through a view"));
    }
    let mut dtypes = Vec::with_capacity(node.inputs.len());
    for k in 0..node.inputs.len() {
        dtypes.push(writer.fact(node.needed(k)?)?.dtype());
    }
    let count = program.instructions.len();
    let mut found = Vec::with_capacity(wanted.len());
    for (k, wanted) in wanted.iter().enumerate() {
        let backward = if *wanted { backward(program, &dtypes, k)? } else { None };
        found.push(match backward {
            None => None,
            Some(program) => {
                let made = node.outputs.first().copied().flatten();
                let inputs: Vec<ValueId> = node.inputs.iter().flatten().copied().chain([worth]).chain(made).collect();
                let from_result = made.map(|_| reading_result(&program, count, node.inputs.len() + 1));
                let (program, inputs) = match from_result.map(|program| without_idle(program, &inputs)) {
                    // The operands need not be kept where the result alone tells all.
                    Some((program, read)) if !node.inputs.iter().flatten().any(|input| read.contains(input)) => (program, read),
                    _ => without_idle(program, &inputs),
                };
                let own = writer.fact(node.needed(k)?)?.dtype();
                let whole = match (program.instructions.as_slice(), inputs.as_slice()) {
                    // What a change of the result is worth, as it is.
                    ([only], [input]) if only.function.name == "Identity" && writer.fact(*input)?.dtype() == own => *input,
                    _ => writer.apply(Arc::new(Map { program }), &inputs)?,
                };
                let shape = writer.fact(node.needed(k)?)?.shape().clone();
                // Where no operand is left that has the output's shape, what there is counts for all its elements.
                let full = writer.fact(worth)?.shape().clone();
                let whole = writer.stretched(whole, &full)?;
                Some(writer.sum_to(whole, &shape)?)
            }
        });
    }
    Ok(Gradient::Inputs(found))
}

/// The program of one operand's gradient, whose last operand is what a change of the result is worth.
fn backward(program: &Program, dtypes: &[DType], operand: usize) -> Result<Option<Program>> {
    let count = program.instructions.len();
    let results = program.dtypes(dtypes, None)?;
    let mut work = Derivation { program: program.clone() };
    work.program.operands.push(ProgramOperand::default());
    let mut worth: Vec<Option<Term>> = vec![None; count];
    worth[count - 1] = Some(Term::Operand(program.operands.len()));
    let mut found: Option<Term> = None;
    for index in (0..count).rev() {
        let Some(own) = worth[index] else { continue };
        let instruction = &program.instructions[index];
        let arguments = program.argument_dtypes(instruction, dtypes, None, &results)?;
        for (k, argument) in instruction.arguments.iter().enumerate() {
            let slot = match *argument {
                Term::Operand(k) if k == operand => &mut found,
                Term::Result(before) => &mut worth[before],
                _ => continue,
            };
            let applied = Applied { instruction, result: Term::Result(index), worth: own, dtypes: &arguments };
            let Some(term) = work.argument(applied, k)? else { continue };
            *slot = Some(match *slot {
                Some(other) => work.add("Add", &[other, term])?,
                None => term,
            });
        }
    }
    let Some(found) = found else { return Ok(None) };
    work.add("Identity", &[found])?;
    Ok(Some(work.program))
}

/// A backward program that reads the result of the forward one, which is one more operand, instead of computing it anew.
fn reading_result(program: &Program, count: usize, operand: usize) -> Program {
    let term = |term: &Term| if *term == Term::Result(count - 1) { Term::Operand(operand) } else { *term };
    let instructions = program.instructions.iter();
    let instructions = instructions.map(|i| Instruction { arguments: i.arguments.iter().map(term).collect(), ..i.clone() });
    let mut operands = program.operands.clone();
    operands.push(ProgramOperand::default());
    Program { operands, instructions: instructions.collect() }
}

/// The program without what its result does not need, and the values of the operands that are left.
fn without_idle(program: Program, inputs: &[ValueId]) -> (Program, Vec<ValueId>) {
    let count = program.instructions.len();
    let (mut needed, mut read) = (vec![false; count], vec![false; inputs.len()]);
    needed[count - 1] = true;
    for index in (0..count).rev() {
        if needed[index] {
            for argument in &program.instructions[index].arguments {
                match *argument {
                    Term::Result(before) => needed[before] = true,
                    Term::Operand(k) => read[k] = true,
                    Term::Carried | Term::Literal(_) => {}
                }
            }
        }
    }
    let place = |flags: &[bool], index: usize| flags[..index].iter().filter(|kept| **kept).count();
    let term = |term: &Term| match *term {
        Term::Result(index) => Term::Result(place(&needed, index)),
        Term::Operand(index) => Term::Operand(place(&read, index)),
        other => other,
    };
    let kept = program.instructions.iter().zip(&needed).filter(|(_, needed)| **needed).map(|(instruction, _)| instruction);
    let instructions = kept.map(|i| Instruction { arguments: i.arguments.iter().map(term).collect(), ..i.clone() }).collect();
    let left: Vec<ValueId> = inputs.iter().zip(&read).filter(|(_, read)| **read).map(|(id, _)| *id).collect();
    (Program { operands: vec![ProgramOperand::default(); left.len()], instructions }, left)
}
