//! What several tests share: one device, and comparing tensors.

use crate::cases::Tolerance;
use gristmill::{Gpu, Power, Tensor};
use std::sync::OnceLock;

/// The device of all tests. A test run without any adapter fails.
pub fn gpu() -> &'static Gpu {
    static GPU: OnceLock<Gpu> = OnceLock::new();
    GPU.get_or_init(|| pollster::block_on(Gpu::new(Power::High)).expect("the tests need an adapter; lavapipe will do"))
}

/// Where and how far `found` lies from `expected`, if it is out of tolerance.
pub fn difference(found: &Tensor, expected: &Tensor, tolerance: Tolerance) -> Option<String> {
    if found.ty() != expected.ty() {
        return Some(format!("expected {}, found {}", expected.ty(), found.ty()));
    }
    let (f, e) = (found.to_f64(), expected.to_f64());
    let exact = !expected.dtype().is_float();
    let same = |f: f64, e: f64| {
        let near = if exact { f == e } else { (f - e).abs() <= tolerance.absolute + tolerance.relative * e.abs() };
        near || f == e || (f.is_nan() && e.is_nan())
    };
    let wrong: Vec<usize> = (0..f.len()).filter(|&i| !same(f[i], e[i])).collect();
    let first = *wrong.first()?;
    let worst = wrong.iter().map(|&i| (f[i] - e[i]).abs()).fold(0.0, f64::max);
    let mut index = Vec::new();
    let mut rest = first;
    for (d, s) in expected.shape().iter().zip(expected.shape().strides()) {
        index.push(rest / s % d.max(&1));
        rest %= s.max(1);
    }
    Some(format!(
        "{} of {} elements of {}; first at {index:?}: expected {}, found {}; largest difference {worst}",
        wrong.len(),
        f.len(),
        expected.ty(),
        e[first],
        f[first]
    ))
}
