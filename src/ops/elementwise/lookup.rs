//! The search over the tables of scalar functions.

use super::{activation, arithmetic, cast, logic, transcendental};
use crate::kernel::ScalarFunction;

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
                        let scalars: Vec<Scalar> = dtypes.iter().map(|d| super::super::functions::scalar(*d)).collect();
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
