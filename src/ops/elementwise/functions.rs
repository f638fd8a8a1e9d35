//! What the tables of scalar functions are written with, and the search over them.

use super::{activation, arithmetic, cast, logic, transcendental};
use crate::kernel::{Arguments, ScalarFunction, Signature};
use crate::tensor::{DType, Scalar};

/// The function of a name.
pub fn function(name: &str) -> Option<&'static ScalarFunction> {
    all().find(|f| f.name == name)
}

/// Every scalar function.
pub fn all() -> impl Iterator<Item = &'static ScalarFunction> {
    [arithmetic::FUNCTIONS, transcendental::FUNCTIONS, activation::FUNCTIONS, logic::FUNCTIONS, cast::FUNCTIONS]
        .into_iter()
        .flatten()
}

pub(super) fn floats(dtype: DType) -> bool {
    dtype.is_float()
}

pub(super) fn integers(dtype: DType) -> bool {
    dtype.is_integer()
}

pub(super) fn numbers(dtype: DType) -> bool {
    dtype != DType::Bool
}

pub(super) fn bools(dtype: DType) -> bool {
    dtype == DType::Bool
}

pub(super) fn any(_: DType) -> bool {
    true
}

/// The scalar a dtype is computed in on the GPU, whatever its width on the host.
pub(super) fn scalar(dtype: DType) -> Scalar {
    match dtype {
        _ if dtype.is_float() => Scalar::F32,
        DType::I8 | DType::I16 | DType::I32 | DType::I64 => Scalar::I32,
        _ => Scalar::U32,
    }
}

/// A function of so many arguments of the dtypes that `accepts` holds for, without its meaning yet.
pub(super) const fn declared(
    name: &'static str,
    arity: usize,
    signature: Signature,
    accepts: fn(DType) -> bool,
    wgsl: fn(&Arguments) -> Option<String>,
) -> ScalarFunction {
    ScalarFunction { name, arity: (arity, arity), signature, accepts, float: None, integer: None, bounds: None, wgsl }
}

/// A function of floats alone, with arguments and result of one dtype.
pub(super) const fn float(
    name: &'static str,
    arity: usize,
    value: fn(&[f64]) -> f64,
    wgsl: fn(&Arguments) -> Option<String>,
) -> ScalarFunction {
    ScalarFunction { float: Some(value), ..declared(name, arity, Signature::Same, floats, wgsl) }
}

/// WGSL that calls a function with all arguments.
macro_rules! call {
    ($name:literal) => {
        |a| Some(format!(concat!($name, "({})"), a.terms.join(", ")))
    };
}

/// WGSL that calls a function for floats, another for signed and a third for unsigned integers.
macro_rules! call_by_scalar {
    ($float:literal, $int:literal, $uint:literal) => {
        |a| {
            let name = match scalar(a.dtypes[0]) {
                Scalar::F32 => $float,
                Scalar::I32 => $int,
                Scalar::U32 => $uint,
            };
            Some(format!("{name}({})", a.terms.join(", ")))
        }
    };
}

/// WGSL of an operator between two arguments.
macro_rules! infix {
    ($operator:literal) => {
        |a| Some(format!(concat!("{} ", $operator, " {}"), a.terms[0], a.terms[1]))
    };
}

pub(super) use {call, call_by_scalar, infix};

#[cfg(test)]
mod tests {
    use super::super::map::SHADER;
    use super::all;
    use crate::kernel::{Access, Caps, Instruction, Kernel, Program, ProgramOperand, Signature, Term, preludes};
    use crate::tensor::{DType, Scalar, Shape, TensorType};

    /// Programs of this one function with operands of `dtype`, one for each dtype it may give.
    fn programs(function: &'static crate::kernel::ScalarFunction, dtype: DType) -> Vec<(Program, Vec<DType>)> {
        let count = function.arity.1;
        let mut dtypes = vec![dtype; count];
        if function.signature == Signature::Select {
            dtypes[0] = DType::Bool;
        }
        let results = if function.signature == Signature::Cast { DType::ALL.map(Some).to_vec() } else { vec![None] };
        let program = |cast| Program {
            operands: vec![ProgramOperand::default(); count],
            instructions: vec![Instruction { function, arguments: (0..count).map(Term::Operand).collect(), cast }],
        };
        results.into_iter().map(|cast| (program(cast), dtypes.clone())).collect()
    }

    #[test]
    fn every_function_is_valid_wgsl_for_every_dtype_it_takes() {
        for function in all() {
            for dtype in DType::ALL.into_iter().filter(|d| *d != DType::F64 && (function.accepts)(*d)) {
                for (program, dtypes) in programs(function, dtype) {
                    let result = program.dtypes(&dtypes, None).expect("dtypes it accepts")[0];
                    for width in [1, 4] {
                        let shape = Shape::from([4, 4]);
                        let types: Vec<TensorType> = dtypes.iter().map(|d| TensorType::new(*d, shape.clone())).collect();
                        let scalars: Vec<Scalar> = dtypes.iter().map(|d| super::scalar(*d)).collect();
                        let output = TensorType::new(result, shape.clone());
                        let access = vec![Access::Read; types.len()];
                        let Ok(printed) = program.element_wgsl(&types, &scalars, &output, &access, 2, width) else {
                            continue;
                        };
                        let kernel = Kernel::new(&SHADER, &[], [64, 1, 1]).width(width, &Caps::portable());
                        let kernel = kernel.prelude(&preludes::MATH).generate(printed, &mut vec![]);
                        let source = kernel.source();
                        let label = format!("{} of {dtype} at width {width}", function.name);
                        let module = naga::front::wgsl::parse_str(&source);
                        let module = module.unwrap_or_else(|e| panic!("{label}: {}", e.emit_to_string(&source)));
                        let mut validator = naga::valid::Validator::new(Default::default(), Default::default());
                        validator.validate(&module).unwrap_or_else(|e| panic!("{label}: {}", e.emit_to_string(&source)));
                    }
                }
            }
        }
    }
}
