//! The rules by which training is accepted, as ratios of an error to its bound: what is at most 1 holds. No ratio is NaN.

use gristmill::Tensor;

/// The error of each element by its bound. Where truth is no finite number, only the same will do.
fn ratios<'a>(found: &'a [f64], truth: &'a [f64], bound: impl Fn(usize) -> f64 + 'a) -> impl Iterator<Item = f64> + 'a {
    assert_eq!(found.len(), truth.len(), "as many elements");
    found.iter().zip(truth).enumerate().map(move |(k, (f, t))| match f.is_finite() && t.is_finite() {
        true => (f - t).abs() / bound(k),
        false if f == t || f.is_nan() && t.is_nan() => 0.0,
        false => f64::INFINITY,
    })
}

/// Rule A, for what several steps come to: each element's error by `1e-5 + 1e-4 |truth| + 4 noise`.
pub fn rule_a(found: &Tensor, truth: &Tensor, noise: &Tensor) -> Vec<f64> {
    let (found, truth, noise) = (found.to_f64(), truth.to_f64(), noise.to_f64());
    ratios(&found, &truth, |k| 1e-5 + 1e-4 * truth[k].abs() + 4.0 * noise[k]).collect()
}

/// Rule B, for one prediction and its gradients: the largest error by `1e-7 + 1e-4 |truth| + 2e-5 max |truth|`.
pub fn rule_b(found: &Tensor, truth: &Tensor) -> f64 {
    let (found, truth) = (found.to_f64(), truth.to_f64());
    let most = truth.iter().copied().filter(|x| x.is_finite()).map(f64::abs).fold(0.0, f64::max);
    ratios(&found, &truth, |k| 1e-7 + 1e-4 * truth[k].abs() + 2e-5 * most).fold(0.0, f64::max)
}
