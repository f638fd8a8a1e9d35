//! What the tables of scalar functions are written with.

use crate::kernel::{Arguments, ScalarFunction, Signature};
use crate::tensor::{DType, Scalar};

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
