//! Comparison, logic and choice. A bool is 0 or 1 in a `Uint`.

use super::functions::{any, bools, declared, floats};
use crate::kernel::{Arguments, ScalarFunction, Signature};

/// WGSL of a comparison.
macro_rules! compare {
    ($operator:literal) => {
        |a| Some(format!(concat!("truth({} ", $operator, " {})"), a.terms[0], a.terms[1]))
    };
}

pub(super) static FUNCTIONS: &[ScalarFunction] = &[
    comparison("Equal", |a| truth(a[0] == a[1]), |a| i128::from(a[0] == a[1]), compare!("==")),
    comparison("Less", |a| truth(a[0] < a[1]), |a| i128::from(a[0] < a[1]), compare!("<")),
    comparison("LessOrEqual", |a| truth(a[0] <= a[1]), |a| i128::from(a[0] <= a[1]), compare!("<=")),
    comparison("Greater", |a| truth(a[0] > a[1]), |a| i128::from(a[0] > a[1]), compare!(">")),
    comparison("GreaterOrEqual", |a| truth(a[0] >= a[1]), |a| i128::from(a[0] >= a[1]), compare!(">=")),
    logic("And", 2, |a| a[0] & a[1], |a| Some(format!("{} & {}", a.terms[0], a.terms[1]))),
    logic("Or", 2, |a| a[0] | a[1], |a| Some(format!("{} | {}", a.terms[0], a.terms[1]))),
    logic("Xor", 2, |a| a[0] ^ a[1], |a| Some(format!("{} ^ {}", a.terms[0], a.terms[1]))),
    logic("Not", 1, |a| 1 - a[0], |a| Some(format!("Uint(1u) - {}", a.terms[0]))),
    ScalarFunction {
        name: "Where",
        arity: (3, 3),
        signature: Signature::Select,
        accepts: any,
        float: Some(|a| if a[0] != 0.0 { a[1] } else { a[2] }),
        integer: Some(|a| if a[0] != 0 { a[1] } else { a[2] }),
        bounds: Some(|b| Some((b[1].0.min(b[2].0), b[1].1.max(b[2].1)))),
        wgsl: |a| Some(format!("select({}, {}, {} != Uint(0u))", a.terms[2], a.terms[1], a.terms[0])),
    },
    test("IsNaN", 1, |a| truth(a[0].is_nan()), |a| Some(format!("truth(is_nan({}))", a.terms[0]))),
    // Its further arguments: whether to detect negative and positive infinity.
    test(
        "IsInf",
        3,
        |a| truth((a[0] == f64::NEG_INFINITY && a[1] != 0.0) || (a[0] == f64::INFINITY && a[2] != 0.0)),
        |a| {
            let [x, negative, positive] = a.terms else { return None };
            let detected = format!("select({positive}, {negative}, is_negative({x}))");
            Some(format!("truth(is_infinite({x}) & ({detected} != Float(0.0)))"))
        },
    ),
];

fn truth(condition: bool) -> f64 {
    f64::from(u8::from(condition))
}

const fn comparison(
    name: &'static str,
    float: fn(&[f64]) -> f64,
    integer: fn(&[i128]) -> i128,
    wgsl: fn(&Arguments) -> Option<String>,
) -> ScalarFunction {
    ScalarFunction { float: Some(float), integer: Some(integer), ..declared(name, 2, Signature::Compare, any, wgsl) }
}

const fn logic(
    name: &'static str,
    arity: usize,
    integer: fn(&[i128]) -> i128,
    wgsl: fn(&Arguments) -> Option<String>,
) -> ScalarFunction {
    ScalarFunction { integer: Some(integer), ..declared(name, arity, Signature::Same, bools, wgsl) }
}

const fn test(
    name: &'static str,
    arity: usize,
    float: fn(&[f64]) -> f64,
    wgsl: fn(&Arguments) -> Option<String>,
) -> ScalarFunction {
    ScalarFunction { float: Some(float), ..declared(name, arity, Signature::Test, floats, wgsl) }
}
