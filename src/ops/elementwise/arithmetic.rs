//! Arithmetic on numbers: sums, products, remainders, powers, rounding, smallest and largest.

use super::functions::{call, call_by_scalar, declared, float, infix, integers, numbers, scalar};
use crate::kernel::{Arguments, Bounds, BoundsRule, ScalarFunction, Signature};
use crate::tensor::Scalar;

pub(super) static FUNCTIONS: &[ScalarFunction] = &[
    number("Add", 2, |a| a[0] + a[1], |a| a[0].wrapping_add(a[1]), |b| Some((b[0].0 + b[1].0, b[0].1 + b[1].1)), infix!("+")),
    number("Sub", 2, |a| a[0] - a[1], |a| a[0].wrapping_sub(a[1]), |b| Some((b[0].0 - b[1].1, b[0].1 - b[1].0)), infix!("-")),
    number("Mul", 2, |a| a[0] * a[1], |a| a[0].wrapping_mul(a[1]), |b| corners(b, |x, y| x.checked_mul(y)), infix!("*")),
    number(
        "Div",
        2,
        |a| a[0] / a[1],
        // Toward zero, as ONNX has it since opset 14; by zero it is undefined, and 0 here.
        |a| a[0].checked_div(a[1]).unwrap_or(0),
        |b| {
            let most = b[0].0.abs().max(b[0].1.abs());
            if b[1].0 > 0 {
                corners(b, |x, y| x.checked_div(y)).map(|(low, high)| (low.min(0), high.max(0)))
            } else {
                Some((-most, most))
            }
        },
        |a| {
            Some(match scalar(a.dtypes[0]) {
                Scalar::F32 => format!("{} / {}", a.terms[0], a.terms[1]),
                Scalar::I32 => format!("divide_int({}, {})", a.terms[0], a.terms[1]),
                Scalar::U32 => format!("divide_uint({}, {})", a.terms[0], a.terms[1]),
            })
        },
    ),
    // ONNX's Mod with fmod=0: the sign of the divisor.
    number(
        "Mod",
        2,
        |a| {
            let r = a[0] % a[1];
            // A remainder of zero has the divisor's sign as well, as in Python and numpy.
            if r == 0.0 {
                r.copysign(a[1])
            } else if (r < 0.0) != (a[1] < 0.0) {
                r + a[1]
            } else {
                r
            }
        },
        |a| {
            let r = a[0].checked_rem(a[1]).unwrap_or(0);
            if r != 0 && (r < 0) != (a[1] < 0) { r + a[1] } else { r }
        },
        |b| Some(((b[1].0 + 1).min(0), (b[1].1 - 1).max(0))),
        call_by_scalar!("modulo", "modulo_int", "remainder_uint"),
    ),
    // ONNX's Mod with fmod=1: the sign of the dividend.
    number(
        "Fmod",
        2,
        |a| a[0] % a[1],
        |a| a[0].checked_rem(a[1]).unwrap_or(0),
        |b| Some((b[0].0.min(0), b[0].1.max(0))),
        call_by_scalar!("remainder", "remainder_int", "remainder_uint"),
    ),
    ScalarFunction {
        name: "Pow",
        arity: (2, 2),
        signature: Signature::First,
        accepts: numbers,
        float: Some(|a| a[0].powf(a[1])),
        integer: Some(|a| power(a[0], a[1])),
        bounds: Some(|b| {
            let most = b[0].0.abs().max(b[0].1.abs()).max(1);
            let most = most.checked_pow(u32::try_from(b[1].1.max(0)).ok()?)?;
            Some((if b[0].0 < 0 { -most } else { 0 }, most))
        }),
        wgsl: |a| {
            let [base, exponent] = a.terms else { return None };
            match (scalar(a.dtypes[0]), scalar(a.dtypes[1])) {
                (Scalar::F32, Scalar::F32) => Some(power_text(base, exponent, a.known[1])),
                (Scalar::F32, _) => Some(format!("power({base}, Float({exponent}))")),
                (Scalar::I32, Scalar::I32) => Some(format!("power_int({base}, {exponent})")),
                (Scalar::U32, Scalar::U32) => Some(format!("power_uint({base}, {exponent})")),
                // f32 cannot tell the power of a large integer from its neighbours.
                _ => None,
            }
        },
    },
    number(
        "Min",
        2,
        |a| smaller(a[0], a[1]),
        |a| a[0].min(a[1]),
        |b| Some((b[0].0.min(b[1].0), b[0].1.min(b[1].1))),
        call_by_scalar!("minimum", "min", "min"),
    ),
    number(
        "Max",
        2,
        |a| larger(a[0], a[1]),
        |a| a[0].max(a[1]),
        |b| Some((b[0].0.max(b[1].0), b[0].1.max(b[1].1))),
        call_by_scalar!("maximum", "max", "max"),
    ),
    // The upper limit wins where the limits cross (the ONNX specification since opset 11).
    number(
        "Clip",
        3,
        |a| smaller(larger(a[0], a[1]), a[2]),
        |a| a[0].max(a[1]).min(a[2]),
        |b| Some((b[0].0.max(b[1].0).min(b[2].0), b[0].1.max(b[1].1).min(b[2].1))),
        |a| {
            let [x, low, high] = a.terms else { return None };
            let numbers = a.known[1..].iter().all(|limit| limit.is_some_and(|limit| !limit.is_nan()));
            Some(match (a.dtypes[0].is_float(), numbers) {
                (true, true) => {
                    // Only a limit that is zero has another zero to be told from.
                    let zero = |k: usize| a.known[k] == Some(0.0);
                    let from = match a.known[1] {
                        Some(limit) if zero(1) && limit.is_sign_positive() => format!("relu({x})"),
                        _ if zero(1) => format!("larger({x}, {low})"),
                        _ => format!("max({x}, {low})"),
                    };
                    let clipped = if zero(2) { format!("smaller({from}, {high})") } else { format!("min({from}, {high})") };
                    format!("keep_nan({x}, {clipped})")
                }
                (true, false) => format!("minimum(maximum({x}, {low}), {high})"),
                (false, _) => format!("min(max({x}, {low}), {high})"),
            })
        },
    ),
    number(
        "Abs",
        1,
        |a| a[0].abs(),
        |a| a[0].abs(),
        |b| Some(magnitude(b[0])),
        |a| Some(if scalar(a.dtypes[0]) == Scalar::U32 { a.terms[0].clone() } else { format!("abs({})", a.terms[0]) }),
    ),
    number(
        "Neg",
        1,
        |a| -a[0],
        |a| -a[0],
        |b| Some((-b[0].1, -b[0].0)),
        |a| {
            Some(if scalar(a.dtypes[0]) == Scalar::U32 { format!("Uint(0u) - {}", a.terms[0]) } else { format!("-{}", a.terms[0]) })
        },
    ),
    number(
        "Sign",
        1,
        |a| {
            if a[0] > 0.0 {
                1.0
            } else if a[0] < 0.0 {
                -1.0
            } else if a[0] == 0.0 {
                0.0
            } else {
                a[0]
            }
        },
        |a| a[0].signum(),
        |b| Some((b[0].0.signum(), b[0].1.signum())),
        |a| {
            Some(match scalar(a.dtypes[0]) {
                Scalar::F32 => format!("sign_of({})", a.terms[0]),
                Scalar::I32 => format!("sign({})", a.terms[0]),
                Scalar::U32 => format!("min({}, Uint(1u))", a.terms[0]),
            })
        },
    ),
    float("Ceil", 1, |a| a[0].ceil(), call!("ceil")),
    float("Floor", 1, |a| a[0].floor(), call!("floor")),
    // Halves go to the even neighbour, in ONNX and in WGSL.
    float("Round", 1, |a| a[0].round_ties_even(), call!("round")),
    bitwise("BitwiseAnd", 2, |a| a[0] & a[1], infix!("&")),
    bitwise("BitwiseOr", 2, |a| a[0] | a[1], infix!("|")),
    bitwise("BitwiseXor", 2, |a| a[0] ^ a[1], infix!("^")),
    bitwise("BitwiseNot", 1, |a| !a[0], |a| Some(format!("~{}", a.terms[0]))),
    // ONNX's BitShift with direction LEFT, of unsigned integers.
    ScalarFunction {
        bounds: Some(|b| {
            (b[0].0 >= 0 && b[1].0 >= 0 && b[1].1 < 64).then(|| (b[0].0 << b[1].0, b[0].1.saturating_mul(1 << b[1].1)))
        }),
        ..bitwise(
            "BitShiftLeft",
            2,
            |a| if (0..64).contains(&a[1]) { a[0] << a[1] } else { 0 },
            call_by_scalar!("shift_left", "shift_left_int", "shift_left"),
        )
    },
    // ONNX's BitShift with direction RIGHT.
    ScalarFunction {
        bounds: Some(|b| (b[0].0 >= 0 && b[1].0 >= 0).then_some((0, b[0].1))),
        ..bitwise(
            "BitShiftRight",
            2,
            |a| {
                if (0..64).contains(&a[1]) {
                    a[0] >> a[1]
                } else if a[0] < 0 {
                    -1
                } else {
                    0
                }
            },
            call_by_scalar!("shift_right", "shift_right_int", "shift_right"),
        )
    },
];

/// A function of floats and integers.
const fn number(
    name: &'static str,
    arity: usize,
    value: fn(&[f64]) -> f64,
    integer: fn(&[i128]) -> i128,
    bounds: BoundsRule,
    wgsl: fn(&Arguments) -> Option<String>,
) -> ScalarFunction {
    let function = declared(name, arity, Signature::Same, numbers, wgsl);
    ScalarFunction { float: Some(value), integer: Some(integer), bounds: Some(bounds), ..function }
}

/// A function of the bits of integers. Bitwise operators neither leave the smallest span of powers of two around their
/// arguments.
const fn bitwise(
    name: &'static str,
    arity: usize,
    integer: fn(&[i128]) -> i128,
    wgsl: fn(&Arguments) -> Option<String>,
) -> ScalarFunction {
    ScalarFunction {
        integer: Some(integer),
        bounds: Some(|b| {
            let low = b.iter().map(|b| b.0).min()?;
            let most = b.iter().map(|b| b.1.max(!b.0)).max()?.max(0);
            let span = (1i128 << (128 - most.leading_zeros())) - 1;
            Some((if low < 0 || b.len() == 1 { !span } else { 0 }, span))
        }),
        ..declared(name, arity, Signature::Same, integers, wgsl)
    }
}

/// The smallest and largest of a function of two arguments at the corners of their bounds.
fn corners(b: &[Bounds], f: impl Fn(i128, i128) -> Option<i128>) -> Option<Bounds> {
    let all = [f(b[0].0, b[1].0)?, f(b[0].0, b[1].1)?, f(b[0].1, b[1].0)?, f(b[0].1, b[1].1)?];
    Some((*all.iter().min()?, *all.iter().max()?))
}

fn magnitude((low, high): Bounds) -> Bounds {
    (if low > 0 { low } else { (-high).max(0) }, low.abs().max(high.abs()))
}

/// The minimum of IEEE 754-2019: NaN when either is, and -0 below 0.
fn smaller(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() {
        f64::NAN
    } else if a.total_cmp(&b).is_lt() {
        a
    } else {
        b
    }
}

/// The maximum of IEEE 754-2019.
fn larger(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() {
        f64::NAN
    } else if a.total_cmp(&b).is_gt() {
        a
    } else {
        b
    }
}

/// Integer power with wrapping; a negative exponent yields the reciprocal truncated.
fn power(base: i128, exponent: i128) -> i128 {
    match (base, exponent) {
        (_, 0) | (1, _) => 1,
        (-1, n) => 1 - 2 * (n & 1),
        (_, ..0) => 0,
        (base, n) => {
            let (mut result, mut square, mut left) = (1i128, base, n);
            while left > 0 {
                if left & 1 == 1 {
                    result = result.wrapping_mul(square);
                }
                square = square.wrapping_mul(square);
                left >>= 1;
            }
            result
        }
    }
}

/// Exponents known when printing get their shortest form.
fn power_text(base: &str, exponent: &str, known: Option<f64>) -> String {
    match known.map(|n| n as f32) {
        // A compiler must not know that the factors are one: to some, sqrt(x) * sqrt(x) is the size of x.
        Some(2.0) => format!("{base} * hidden({base}, zero)"),
        Some(3.0) => format!("{base} * hidden({base}, zero) * {base}"),
        Some(0.5) => format!("square_root({base})"),
        Some(-1.0) => format!("1.0 / {base}"),
        Some(-0.5) => format!("inverse_square_root({base})"),
        _ => format!("power({base}, {exponent})"),
    }
}
