//! How far a tensor lies from the expected one.

use clap::Args;
use gristmill::{DType, Tensor};

/// What may differ: `|a - b| <= atol + rtol * |b|`, as numpy's allclose has it. Half floats may differ by two units in
/// the last place beside that: expected values that were computed in half floats carry a rounding after every step.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Tolerance {
    /// Allowed difference relative to the expected value (at least two units in the last place of f16 and bf16)
    #[arg(long, default_value_t = 1e-3)]
    pub(crate) rtol: f64,
    /// Allowed difference beside that
    #[arg(long, default_value_t = 1e-4)]
    pub(crate) atol: f64,
}

impl Tolerance {
    /// The difference allowed from an expected value.
    fn allowed(&self, expected: f64, dtype: DType) -> f64 {
        let last_place = match dtype {
            DType::F16 => 2f64.powi(-10),
            DType::BF16 => 2f64.powi(-7),
            _ => 0.0,
        };
        self.atol + self.rtol.max(2.0 * last_place) * expected.abs()
    }
}

/// The largest differences of finite values, and what lies outside the tolerance.
#[derive(Clone, Debug, Default)]
pub(crate) struct Difference {
    /// Largest `|a - b|`.
    pub(crate) max_abs: f64,
    /// Largest `|a - b| / |b|` where b is not zero.
    pub(crate) max_rel: f64,
    /// The first mismatch in words.
    pub(crate) mismatch: Option<String>,
}

impl Difference {
    /// The larger of each, and the first mismatch of the two.
    pub(crate) fn join(&mut self, other: Difference) {
        self.max_abs = self.max_abs.max(other.max_abs);
        self.max_rel = self.max_rel.max(other.max_rel);
        self.mismatch = self.mismatch.take().or(other.mismatch);
    }
}

/// Compares type and values. NaN equals NaN, infinities are equal with their sign, integers and bools are exact.
pub(crate) fn compare(name: &str, actual: &Tensor, expected: &Tensor, tolerance: Tolerance) -> Difference {
    let mut difference = Difference::default();
    if actual.ty() != expected.ty() {
        difference.mismatch = Some(format!("output `{name}`: expected type {}, found {}", expected.ty(), actual.ty()));
        return difference;
    }
    if !expected.dtype().is_float() {
        let (a, b) = (actual.to_i128(), expected.to_i128());
        let first = a.iter().zip(&b).position(|(a, b)| a != b);
        difference.max_abs = a.iter().zip(&b).map(|(a, b)| (a - b).unsigned_abs() as f64).fold(0.0, f64::max);
        difference.max_rel = a
            .iter()
            .zip(&b)
            .filter(|(_, b)| **b != 0)
            .map(|(a, b)| (a - b).unsigned_abs() as f64 / b.unsigned_abs() as f64)
            .fold(0.0, f64::max);
        let wrong = a.iter().zip(&b).filter(|(a, b)| a != b).count();
        difference.mismatch = first.map(|at| mismatch(name, expected, at, &b[at].to_string(), &a[at].to_string(), wrong));
        return difference;
    }
    let (a, b) = (actual.to_f64(), expected.to_f64());
    let mut wrong = Vec::new();
    for (at, (&a, &b)) in a.iter().zip(&b).enumerate() {
        if a == b || (a.is_nan() && b.is_nan()) {
            continue;
        }
        let distance = (a - b).abs();
        if distance.is_finite() {
            difference.max_abs = difference.max_abs.max(distance);
            if b != 0.0 {
                difference.max_rel = difference.max_rel.max(distance / b.abs());
            }
        }
        // Written so that a NaN on one side fails.
        let close = a.is_finite() && b.is_finite() && distance <= tolerance.allowed(b, expected.dtype());
        if !close {
            wrong.push(at);
        }
    }
    difference.mismatch =
        wrong.first().map(|&at| mismatch(name, expected, at, &b[at].to_string(), &a[at].to_string(), wrong.len()));
    difference
}

fn mismatch(name: &str, tensor: &Tensor, at: usize, expected: &str, found: &str, wrong: usize) -> String {
    let index: Vec<String> =
        tensor.shape().strides().iter().zip(tensor.shape().iter()).map(|(s, d)| (at / s % d).to_string()).collect();
    format!(
        "output `{name}`[{}]: expected {expected}, found {found} ({wrong} of {} elements differ)",
        index.join(","),
        tensor.elements()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLERANCE: Tolerance = Tolerance { rtol: 1e-3, atol: 1e-4 };

    fn mismatch(a: &[f32], b: &[f32]) -> Option<String> {
        compare("y", &Tensor::vector(a), &Tensor::vector(b), TOLERANCE).mismatch
    }

    #[test]
    fn odd_floats_are_equal_to_themselves_only() {
        let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
        assert_eq!(mismatch(&odd, &odd), None);
        for other in [0.0, f32::MAX, f32::NEG_INFINITY, f32::NAN] {
            assert!(mismatch(&[other], &[f32::INFINITY]).is_some(), "{other} is not infinity");
        }
        assert!(mismatch(&[1.0], &[f32::NAN]).is_some());
    }

    #[test]
    fn the_tolerance_is_relative_and_absolute() {
        assert_eq!(mismatch(&[1000.9, 0.00009], &[1000.0, 0.0]), None);
        assert!(mismatch(&[1002.0], &[1000.0]).is_some());
    }

    #[test]
    fn integers_and_types_are_exact() {
        let compare = |a: Tensor, b: Tensor| compare("y", &a, &b, TOLERANCE).mismatch;
        assert!(compare(Tensor::vector(&[100_000i32]), Tensor::vector(&[100_001i32])).is_some());
        assert!(compare(Tensor::vector(&[1i32]), Tensor::vector(&[1i64])).is_some());
        assert!(compare(Tensor::vector(&[1i32]), Tensor::scalar(1i32)).is_some());
    }
}
