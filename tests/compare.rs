//! Holding tensors against expected ones.

use crate::cases::Tolerance;
use gristmill::Tensor;

/// Why `found` is not `expected`: another type, or the element that is furthest outside the tolerance. NaN equals NaN.
pub fn difference(found: &Tensor, expected: &Tensor, tolerance: Tolerance) -> Option<String> {
    if found.ty() != expected.ty() {
        return Some(format!("expected type {}, found {}", expected.ty(), found.ty()));
    }
    if !found.dtype().is_float() {
        let (found, expected) = (found.to_i128(), expected.to_i128());
        let index = (0..found.len()).find(|i| found[*i] != expected[*i])?;
        return Some(format!("element {index}: expected {}, found {}", expected[index], found[index]));
    }
    let (found, expected) = (found.to_f64(), expected.to_f64());
    let excess = |i: &usize| {
        let (a, b) = (found[*i], expected[*i]);
        if a == b || (a.is_nan() && b.is_nan()) {
            return f64::NEG_INFINITY;
        }
        let excess = (a - b).abs() - tolerance.absolute - tolerance.relative * b.abs();
        if excess.is_nan() { f64::INFINITY } else { excess }
    };
    let worst = (0..found.len()).max_by(|i, j| excess(i).total_cmp(&excess(j)))?;
    (excess(&worst) > 0.0).then(|| format!("element {worst}: expected {}, found {}", expected[worst], found[worst]))
}
