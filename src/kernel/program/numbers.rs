//! Numbers of a program that its kernel reads from a uniform.
//!
//! A compiler that knows a number may compute with it beforehand, and WGSL lets it assume that no float is infinite or NaN: on some
//! drivers x / 0 and x * 0 are 0. This concerns two terms that come from one value as well: x - x is 0 on such drivers whatever x is,
//! and (x + 1) - x is 1. So the text hides the numbers, and that such terms come from one value.

use super::{Instruction, Program, Signature, Term};
use crate::error::Result;
use crate::tensor::DType;
use std::fmt::Write;

/// The place of a zero that the compiler does not know to be one.
const ZERO: usize = 0;

impl Program {
    /// The beginning of the uniform `numbers`, padded to groups of four: a zero, then the literals in the order of the instructions.
    /// Empty where the program needs none of them.
    ///
    /// # Errors
    /// What [`dtypes`](Program::dtypes) reports.
    pub(super) fn numbers(&self, operands: &[DType], carried: Option<DType>) -> Result<Vec<u32>> {
        let results = self.dtypes(operands, carried)?;
        let roots = self.roots();
        let mut numbers = vec![0];
        let mut hides = false;
        for (instruction, known) in self.instructions.iter().zip(&roots) {
            let dtypes = self.argument_dtypes(instruction, operands, carried, &results)?;
            hides |= hidden(instruction, known, &dtypes).contains(&true);
            let literals = instruction.arguments.iter().zip(dtypes);
            numbers.extend(literals.filter_map(|(term, dtype)| Some(bits(term.literal()?, dtype))));
        }
        if numbers.len() == 1 && !hides {
            return Ok(vec![]);
        }
        numbers.resize(numbers.len().next_multiple_of(4), 0);
        Ok(numbers)
    }

    /// For each argument of each instruction, the values that it is computed from, as bits: operands, and the carried value.
    pub(super) fn roots(&self) -> Vec<Vec<u64>> {
        let mut results: Vec<u64> = Vec::with_capacity(self.instructions.len());
        let mut all = Vec::with_capacity(self.instructions.len());
        for instruction in &self.instructions {
            let root = |term: &Term| match *term {
                Term::Carried => 1 << 63,
                Term::Operand(k) => 1 << (k % 63),
                Term::Result(k) => results.get(k).copied().unwrap_or(0),
                Term::Literal(_) => 0,
            };
            let roots: Vec<u64> = instruction.arguments.iter().map(root).collect();
            results.push(roots.iter().fold(0, |all, one| all | one));
            all.push(roots);
        }
        all
    }
}

impl Term {
    /// The number that it is.
    pub(super) fn literal(&self) -> Option<f64> {
        if let Term::Literal(value) = *self { Some(value) } else { None }
    }
}

/// For each argument of an instruction, whether the text must hide that it comes from a value that an earlier argument comes from
/// too; `roots` are the values that each is computed from.
pub(super) fn hidden(instruction: &Instruction, roots: &[u64], dtypes: &[DType]) -> Vec<bool> {
    // A select does no arithmetic.
    let computes = instruction.function.signature != Signature::Select;
    let belongs = |k: usize| roots[..k].iter().any(|earlier| earlier & roots[k] != 0);
    (0..roots.len()).map(|k| computes && dtypes[k].is_float() && belongs(k)).collect()
}

/// The bit pattern by which the GPU holds a number.
fn bits(value: f64, dtype: DType) -> u32 {
    match dtype {
        _ if dtype.is_float() => (value as f32).to_bits(),
        DType::I8 | DType::I16 | DType::I32 | DType::I64 => (value as i32).cast_unsigned(),
        _ => value as u32,
    }
}

/// The declaration of the uniform; nothing without numbers.
pub(super) fn declaration(numbers: &[u32], binding: usize) -> String {
    if numbers.is_empty() {
        return String::new();
    }
    format!("@group(0) @binding({binding}) var<uniform> numbers: array<vec4<u32>, {}>;\n", numbers.len() / 4)
}

/// The statements that read it: `zero`, and `n1`, `n2`, ... for the literals.
pub(super) fn statements(program: &Program, operands: &[DType], carried: Option<DType>) -> Result<String> {
    let results = program.dtypes(operands, carried)?;
    let at = |k: usize| format!("numbers[{}].{}", k / 4, ["x", "y", "z", "w"][k % 4]);
    let mut text = format!("    let zero = Uint({});\n", at(ZERO));
    let mut count = ZERO;
    for instruction in &program.instructions {
        let dtypes = program.argument_dtypes(instruction, operands, carried, &results)?;
        for dtype in instruction.arguments.iter().zip(dtypes).filter(|(term, _)| term.literal().is_some()).map(|(_, dtype)| dtype) {
            count += 1;
            let value = match dtype {
                _ if dtype.is_float() => format!("Float(bitcast<f32>({}))", at(count)),
                DType::I8 | DType::I16 | DType::I32 | DType::I64 => format!("Int(bitcast<i32>({}))", at(count)),
                _ => format!("Uint({})", at(count)),
            };
            let _ = writeln!(text, "    let n{count} = {value};");
        }
    }
    Ok(text)
}
