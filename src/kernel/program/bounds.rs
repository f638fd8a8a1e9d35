//! Bounds of integers, carried through a program.

use super::{Bounds, Program, Term};
use crate::error::Result;
use crate::tensor::DType;

impl Program {
    /// Bounds of every instruction's result, from those of the operands; `None` for floats. A result that may leave its
    /// dtype wraps, and then has the whole range.
    ///
    /// # Errors
    /// What [`dtypes`](Program::dtypes) reports.
    pub fn bounds(&self, dtypes: &[DType], operands: &[Option<Bounds>], carried: Option<DType>) -> Result<Vec<Option<Bounds>>> {
        let results = self.dtypes(dtypes, carried)?;
        let mut bounds: Vec<Option<Bounds>> = Vec::with_capacity(results.len());
        for (instruction, dtype) in self.instructions.iter().zip(&results) {
            let own = self.argument_dtypes(instruction, dtypes, carried, &results)?;
            let known = instruction.arguments.iter().zip(own).map(|(term, dtype)| match *term {
                Term::Carried => None,
                Term::Operand(i) => operands.get(i).copied().flatten(),
                Term::Result(i) => bounds.get(i).copied().flatten(),
                Term::Literal(value) => (!dtype.is_float()).then_some((value as i128, value as i128)),
            });
            let known: Option<Vec<Bounds>> = known.collect();
            let range = dtype.range();
            let own = known.and_then(|known| instruction.function.bounds.and_then(|f| f(&known)));
            bounds.push(range.map(|range| own.filter(|b| b.0 >= range.0 && b.1 <= range.1).unwrap_or(range)));
        }
        Ok(bounds)
    }

    /// The first instruction, by index, whose 64-bit result or literal may not fit the 32 bits it has on the GPU.
    ///
    /// # Errors
    /// What [`dtypes`](Program::dtypes) reports.
    pub fn unproven(&self, dtypes: &[DType], operands: &[Option<Bounds>], carried: Option<DType>) -> Result<Option<usize>> {
        let results = self.dtypes(dtypes, carried)?;
        let bounds = self.bounds(dtypes, operands, carried)?;
        let fits = |dtype: DType, bounds: Option<Bounds>| {
            let range = match dtype {
                DType::I64 => DType::I32.range(),
                DType::U64 => DType::U32.range(),
                _ => return true,
            };
            bounds.zip(range).is_some_and(|(b, range)| b.0 >= range.0 && b.1 <= range.1)
        };
        for (k, instruction) in self.instructions.iter().enumerate() {
            let own = self.argument_dtypes(instruction, dtypes, carried, &results)?;
            let literals = instruction.arguments.iter().zip(own).all(|(term, dtype)| match *term {
                Term::Literal(value) => fits(dtype, Some((value as i128, value as i128))),
                _ => true,
            });
            if !literals || !fits(results[k], bounds[k]) {
                return Ok(Some(k));
            }
        }
        Ok(None)
    }
}
