//! Elementwise programs: straight-line arithmetic over scalars, as data.
//!
//! A program is the body of the elementwise kernel, or the epilogue of a hand-written one. It is evaluated on the host
//! (the reference) and printed as one WGSL function (the kernel); both read the same table of [`ScalarFunction`]s.

mod bounds;
mod load;
mod numbers;
mod places;
mod print;

use crate::error::{Error, Result};
use crate::tensor::{DType, View};
use std::fmt;

pub use print::Printed;

/// Smallest and largest value that an integer can have.
pub type Bounds = (i128, i128);

/// Bounds of a function's result from those of its arguments; `None` when nothing is known.
pub type BoundsRule = fn(&[Bounds]) -> Option<Bounds>;

/// How the dtypes of a function's arguments and result relate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signature {
    /// All arguments and the result share one dtype.
    Same,
    /// All arguments share one dtype; the result is bool.
    Compare,
    /// One argument of any dtype; the result is bool.
    Test,
    /// Bool, then two of one dtype, which is the result's.
    Select,
    /// One argument of any dtype; the result's is the instruction's `cast`.
    Cast,
    /// The result has the first argument's dtype; the second may have another (Pow, BitShift).
    First,
}

/// The texts a function's WGSL is made of.
#[derive(Debug)]
pub struct Arguments<'a> {
    /// WGSL expressions of the arguments, each of type Float, Int or Uint as its dtype says.
    pub terms: &'a [String],
    /// The values of those arguments that are literals. Their text reads them from a uniform, so that a compiler does not know them.
    pub known: &'a [Option<f64>],
    /// Dtypes of the arguments.
    pub dtypes: &'a [DType],
    /// Dtype of the result.
    pub result: DType,
}

/// One scalar function: its meaning on the host and its text on the GPU.
pub struct ScalarFunction {
    /// The ONNX operator's name, or the standard term where ONNX has none.
    pub name: &'static str,
    /// Smallest and largest number of arguments.
    pub arity: (usize, usize),
    /// How dtypes relate.
    pub signature: Signature,
    /// Dtypes that the first data argument may have.
    pub accepts: fn(DType) -> bool,
    /// Its value for floats, computed in f64.
    pub float: Option<fn(&[f64]) -> f64>,
    /// Its value for integers and bool, before wrapping to the result's width.
    pub integer: Option<fn(&[i128]) -> i128>,
    /// Bounds of its result, for integers.
    pub bounds: Option<BoundsRule>,
    /// Its WGSL expression, of either width; `None` when it has none for these dtypes. What it gives for narrow integers is
    /// wrapped to their width afterwards.
    pub wgsl: fn(&Arguments) -> Option<String>,
}

impl fmt::Debug for ScalarFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for ScalarFunction {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// An argument of an instruction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Term {
    /// The value that the surrounding kernel computed (epilogues only).
    Carried,
    /// An element of an operand.
    Operand(usize),
    /// The result of an earlier instruction.
    Result(usize),
    /// A number of the dtype its neighbours have.
    Literal(f64),
}

/// One application of a function.
#[derive(Clone, Debug, PartialEq)]
pub struct Instruction {
    /// Which function.
    pub function: &'static ScalarFunction,
    /// What it is applied to.
    pub arguments: Vec<Term>,
    /// The dtype a cast goes to; `None` for every other function.
    pub cast: Option<DType>,
}

/// A tensor that a program reads.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProgramOperand {
    /// How the output's index finds the element; `None` broadcasts the whole tensor to the output's shape.
    pub view: Option<View>,
}

/// Straight-line arithmetic; the result is that of the last instruction.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Program {
    /// The tensors it reads.
    pub operands: Vec<ProgramOperand>,
    /// What it computes, in order.
    pub instructions: Vec<Instruction>,
}

impl ProgramOperand {
    /// Reads the tensor that `view` is of, instead of what `view` yields; `None` when strides cannot express it.
    pub fn absorb(&mut self, view: &View) -> Option<()> {
        self.view = Some(match &self.view {
            None => view.clone(),
            Some(own) => own.of(view)?,
        });
        Some(())
    }
}

impl Program {
    /// One function applied to as many operands.
    pub fn single(function: &'static ScalarFunction, operands: usize) -> Self {
        Program {
            operands: vec![ProgramOperand::default(); operands],
            instructions: vec![Instruction { function, arguments: (0..operands).map(Term::Operand).collect(), cast: None }],
        }
    }

    /// The dtype of every instruction's result, from those of the operands and of the carried value.
    ///
    /// # Errors
    /// [`InvalidModel`](crate::ErrorKind::InvalidModel) when a function is given dtypes it does not take.
    pub fn dtypes(&self, operands: &[DType], carried: Option<DType>) -> Result<Vec<DType>> {
        let mut results: Vec<DType> = Vec::with_capacity(self.instructions.len());
        for instruction in &self.instructions {
            let result = self.signature(instruction, &self.argument_dtypes(instruction, operands, carried, &results)?)?;
            results.push(result);
        }
        Ok(results)
    }

    /// The dtype of each argument. A literal has that of the first argument that is no literal, not counting a select's condition.
    ///
    /// # Errors
    /// [`Internal`](crate::ErrorKind::Internal) when a term names what does not exist.
    pub fn argument_dtypes(
        &self,
        instruction: &Instruction,
        operands: &[DType],
        carried: Option<DType>,
        results: &[DType],
    ) -> Result<Vec<DType>> {
        let missing = || Error::internal(format!("{} refers to a term that does not exist", instruction.function.name));
        let own = |term: &Term| match *term {
            Term::Carried => carried.map(Some).ok_or_else(missing),
            Term::Operand(i) => operands.get(i).copied().map(Some).ok_or_else(missing),
            Term::Result(i) => results.get(i).copied().map(Some).ok_or_else(missing),
            Term::Literal(_) => Ok(None),
        };
        let own = instruction.arguments.iter().map(own).collect::<Result<Vec<_>>>()?;
        let skip = usize::from(instruction.function.signature == Signature::Select);
        let literal = own.iter().skip(skip).flatten().next().copied().unwrap_or(DType::F32);
        Ok(own.into_iter().map(|d| d.unwrap_or(literal)).collect())
    }

    fn signature(&self, instruction: &Instruction, arguments: &[DType]) -> Result<DType> {
        let function = instruction.function;
        let (min, max) = function.arity;
        if arguments.len() < min || arguments.len() > max {
            return Err(Error::invalid_model(format!(
                "{} takes {min} to {max} arguments, found {}",
                function.name,
                arguments.len()
            )));
        }
        let data = if function.signature == Signature::Select { &arguments[1..] } else { arguments };
        let first = data.first().copied().unwrap_or(DType::F32);
        if !(function.accepts)(first) {
            return Err(Error::invalid_model(format!("{} does not take {first}", function.name)));
        }
        let alike = || match data.iter().find(|d| **d != first) {
            None => Ok(()),
            Some(other) => {
                Err(Error::invalid_model(format!("{} takes arguments of one dtype, found {first} and {other}", function.name)))
            }
        };
        match function.signature {
            Signature::Same => alike().map(|()| first),
            Signature::Compare => alike().map(|()| DType::Bool),
            Signature::Test => Ok(DType::Bool),
            Signature::Select if arguments[0] != DType::Bool => {
                Err(Error::invalid_model(format!("{} takes a bool condition, found {}", function.name, arguments[0])))
            }
            Signature::Select => alike().map(|()| first),
            Signature::Cast => instruction.cast.ok_or_else(|| Error::internal("a cast without a dtype to cast to")),
            Signature::First => Ok(first),
        }
    }
}
