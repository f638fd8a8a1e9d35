//! Roots, exponentials, logarithms, circular and hyperbolic functions, and the error function.

use super::functions::{call, float};
use crate::kernel::ScalarFunction;

pub(super) static FUNCTIONS: &[ScalarFunction] = &[
    float("Sqrt", 1, |a| a[0].sqrt(), call!("sqrt")),
    float("Rsqrt", 1, |a| 1.0 / a[0].sqrt(), call!("inverseSqrt")),
    float("Reciprocal", 1, |a| 1.0 / a[0], |a| Some(format!("1.0 / {}", a.terms[0]))),
    float("Exp", 1, |a| a[0].exp(), call!("exponential")),
    float("Log", 1, |a| a[0].ln(), call!("logarithm")),
    float("Sin", 1, |a| a[0].sin(), call!("sine")),
    float("Cos", 1, |a| a[0].cos(), call!("cosine")),
    float("Tan", 1, |a| a[0].tan(), call!("tangent")),
    float("Asin", 1, |a| a[0].asin(), call!("inverse_sine")),
    float("Acos", 1, |a| a[0].acos(), call!("inverse_cosine")),
    float("Atan", 1, |a| a[0].atan(), call!("inverse_tangent")),
    float("Sinh", 1, |a| a[0].sinh(), call!("hyperbolic_sine")),
    float("Cosh", 1, |a| a[0].cosh(), call!("hyperbolic_cosine")),
    float("Tanh", 1, |a| a[0].tanh(), call!("hyperbolic_tangent")),
    float("Asinh", 1, |a| a[0].asinh(), call!("inverse_hyperbolic_sine")),
    float("Acosh", 1, |a| a[0].acosh(), call!("inverse_hyperbolic_cosine")),
    float("Atanh", 1, |a| a[0].atanh(), call!("inverse_hyperbolic_tangent")),
    float("Erf", 1, |a| erf(a[0]), call!("erf")),
];

/// The error function, by the series `2/sqrt(pi) exp(-x^2) sum(2^n x^(2n+1) / (2n+1)!!)`, whose terms all have one sign
/// (Abramowitz and Stegun, 7.1.6).
pub(super) fn erf(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    if x.abs() > 6.0 {
        return x.signum();
    }
    let (mut term, mut sum, mut n) = (x, x, 0.0);
    while term.abs() > sum.abs() * 1e-17 {
        n += 1.0;
        term *= 2.0 * x * x / (2.0 * n + 1.0);
        sum += term;
    }
    std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp() * sum
}

#[cfg(test)]
mod tests {
    use super::erf;

    #[test]
    fn the_error_function_holds_published_values() {
        // Abramowitz and Stegun, table 7.1.
        for (x, y) in [(0.0, 0.0), (0.5, 0.5204998778), (1.0, 0.8427007929), (-2.0, -0.9953222650), (7.0, 1.0)] {
            assert!((erf(x) - y).abs() < 1e-10, "erf({x}) is {}", erf(x));
        }
    }
}
