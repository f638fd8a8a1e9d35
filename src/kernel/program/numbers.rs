//! Numbers of a program that its kernel reads from a uniform.
//!
//! A compiler that knows a number may compute with it beforehand, and WGSL lets it assume that no float is infinite or NaN: on some
//! drivers x / 0 and x * 0 are 0. This concerns two terms that come from one value as well: x - x is 0 on such drivers whatever x is,
//! and (x + 1) - x is 1. So the text hides the numbers, and that such terms come from one value.

use super::{Program, Signature, Term};
use crate::error::Result;
use crate::tensor::DType;
use std::fmt::Write;

impl Program {
    /// The beginning of the uniform `numbers`, padded to groups of four: zeros that the compiler does not know to be any, then the
    /// literals in the order of the instructions. Empty where the program needs none of them.
    ///
    /// # Errors
    /// What [`dtypes`](Program::dtypes) reports.
    pub(super) fn numbers(&self, operands: &[DType], carried: Option<DType>) -> Result<Vec<u32>> {
        let results = self.dtypes(operands, carried)?;
        let mut literals = Vec::new();
        for instruction in &self.instructions {
            let dtypes = self.argument_dtypes(instruction, operands, carried, &results)?;
            let terms = instruction.arguments.iter().zip(dtypes);
            literals.extend(terms.filter_map(|(term, dtype)| Some(bits(term.literal()?, dtype))));
        }
        let zeros = self.zeros(operands, carried)?;
        let mut numbers = [vec![0; zeros + usize::from(!literals.is_empty())], literals].concat();
        numbers.resize(numbers.len().next_multiple_of(4), 0);
        Ok(numbers)
    }

    /// How many zeros hide the program's terms. Functions of a literal have one more for what they compute from one term.
    fn zeros(&self, operands: &[DType], carried: Option<DType>) -> Result<usize> {
        let hidden = self.hidden(operands, carried)?;
        Ok(hidden.iter().flatten().flatten().max().map_or(0, |last| last + 1))
    }

    /// For each argument of each instruction, by which zero the text hides that it comes from a value that an earlier argument comes
    /// from, too. Two times that one value is hidden have different zeros, since terms of equal text are one to a compiler.
    ///
    /// # Errors
    /// What [`dtypes`](Program::dtypes) reports.
    pub(super) fn hidden(&self, operands: &[DType], carried: Option<DType>) -> Result<Vec<Vec<Option<usize>>>> {
        let results = self.dtypes(operands, carried)?;
        // The values behind what was hidden so far.
        let mut before: Vec<u64> = Vec::new();
        let mut all = Vec::with_capacity(self.instructions.len());
        for (instruction, roots) in self.instructions.iter().zip(self.roots()) {
            let dtypes = self.argument_dtypes(instruction, operands, carried, &results)?;
            // A select does no arithmetic.
            let computes = instruction.function.signature != Signature::Select;
            let mut zero = |k: usize| {
                let belongs = roots[..k].iter().any(|earlier| earlier & roots[k] != 0);
                (computes && dtypes[k].is_float() && belongs).then(|| {
                    let number = before.iter().filter(|earlier| *earlier & roots[k] != 0).count();
                    before.push(roots[k]);
                    number
                })
            };
            all.push((0..roots.len()).map(&mut zero).collect());
        }
        Ok(all)
    }

    /// For each argument of each instruction, the values that it is computed from, as bits: operands, and the carried value.
    fn roots(&self) -> Vec<Vec<u64>> {
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

/// The statements that read it: `zero0`, `zero1`, ..., and where there are literals `zero` and `n1`, `n2`, ... for them.
pub(super) fn statements(program: &Program, operands: &[DType], carried: Option<DType>) -> Result<String> {
    let results = program.dtypes(operands, carried)?;
    let at = |k: usize| format!("numbers[{}].{}", k / 4, ["x", "y", "z", "w"][k % 4]);
    let zeros = program.zeros(operands, carried)?;
    let mut text: String = (0..zeros).map(|k| format!("    let zero{k} = Uint({});\n", at(k))).collect();
    let mut count = 0;
    for instruction in &program.instructions {
        let dtypes = program.argument_dtypes(instruction, operands, carried, &results)?;
        for dtype in instruction.arguments.iter().zip(dtypes).filter(|(term, _)| term.literal().is_some()).map(|(_, dtype)| dtype) {
            if count == 0 {
                let _ = writeln!(text, "    let zero = Uint({});", at(zeros));
            }
            count += 1;
            let place = at(zeros + count);
            let value = match dtype {
                _ if dtype.is_float() => format!("Float(bitcast<f32>({place}))"),
                DType::I8 | DType::I16 | DType::I32 | DType::I64 => format!("Int(bitcast<i32>({place}))"),
                _ => format!("Uint({place})"),
            };
            let _ = writeln!(text, "    let n{count} = {value};");
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::super::{Instruction, Program, ProgramOperand, ScalarFunction, Signature, Term};
    use crate::tensor::DType;

    static SUM: ScalarFunction = ScalarFunction {
        name: "Sum",
        arity: (2, 2),
        signature: Signature::Same,
        accepts: |_| true,
        float: None,
        integer: None,
        bounds: None,
        wgsl: |_| None,
    };

    #[test]
    fn a_value_is_hidden_by_another_zero_each_time() {
        let sum = |a, b| Instruction { function: &SUM, arguments: vec![a, b], cast: None };
        let (x, y) = (Term::Operand(0), Term::Operand(1));
        let program = Program {
            operands: vec![ProgramOperand::default(); 2],
            instructions: vec![
                sum(x, y),
                sum(Term::Result(0), y),
                sum(Term::Result(1), y),
                sum(y, Term::Literal(2.0)),
                sum(Term::Result(2), x),
            ],
        };
        let hidden = program.hidden(&[DType::F32; 2], None).expect("the program is sound");
        let zeros: Vec<Option<usize>> = hidden.into_iter().map(|terms| terms[1]).collect();
        assert_eq!(zeros, [None, Some(0), Some(1), None, Some(0)]);
        // Two zeros, one for functions of a literal, and the literal.
        let numbers = program.numbers(&[DType::F32; 2], None).expect("the program is sound");
        assert_eq!(numbers, [0, 0, 0, 2.0f32.to_bits()]);
    }
}
