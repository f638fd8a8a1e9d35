//! Holding a GPU run against the references, node by node.

use crate::graph::{Graph, Structure};
use crate::session::data::Outputs;
use crate::tensor::{DType, Tensor};

/// How far a value may lie from the reference: `|a - b| <= absolute + relative * |b|`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// In proportion to the reference.
    pub relative: f64,
    /// Added to that.
    pub absolute: f64,
}

impl Default for Tolerance {
    fn default() -> Self {
        Tolerance { relative: 1e-3, absolute: 1e-4 }
    }
}

/// How far one value lies from its reference.
#[derive(Clone, Debug, PartialEq)]
pub struct ValueReport {
    /// Name of the value.
    pub value: String,
    /// Path of the node that makes it.
    pub node: String,
    /// Largest absolute difference.
    pub max_absolute: f64,
    /// Largest difference in proportion to the reference, where that is not zero.
    pub max_relative: f64,
    /// Largest difference in units in the last place of the value's dtype.
    pub max_ulp: u64,
    /// Elements out of tolerance.
    pub divergent: usize,
    /// Elements that are NaN or infinite on the GPU, but finite in the reference.
    pub non_finite: usize,
    /// Elements that are NaN or infinite in the reference.
    pub non_finite_reference: usize,
    /// Elements compared.
    pub elements: usize,
}

/// What a validation found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Validation {
    /// Every intermediate value in order, from a run that fuses nothing.
    pub values: Vec<ValueReport>,
    /// The model's outputs, from a run with all fusions.
    pub outputs: Vec<ValueReport>,
    /// What makes the outputs wrong, where the run that fuses nothing is right.
    pub suspect: Option<Suspect>,
}

impl Validation {
    /// True when everything is within tolerance.
    pub fn passed(&self) -> bool {
        self.first_divergent().is_none() && self.outputs.iter().all(|v| v.divergent == 0)
    }

    /// The first value out of tolerance.
    pub fn first_divergent(&self) -> Option<&ValueReport> {
        self.values.iter().find(|v| v.divergent > 0)
    }

    /// The first value with a NaN or infinity, on the GPU or in the reference.
    pub fn first_non_finite(&self) -> Option<&ValueReport> {
        self.values.iter().find(|v| v.non_finite + v.non_finite_reference > 0)
    }
}

/// A rewrite that makes a run wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspect {
    /// The pass that makes it: without it the outputs are right. Where that holds for several passes or for none, it is the first with
    /// which the outputs are wrong when passes are added one by one.
    pub pass: String,
    /// Path of the node at which it was made.
    pub node: String,
    /// Paths of the nodes that it replaced.
    pub replaced: Vec<String>,
    /// Paths of those that stand in their place.
    pub made: Vec<String>,
    /// Whether the rewritten graph is wrong by the references too: then the rewrite is at fault, else a kernel. `None` where
    /// shapes depend on data, so that there is no rewritten graph.
    pub by_references: Option<bool>,
    /// Other passes without which the outputs are right.
    pub others: Vec<String>,
}

/// Compares one tensor with its reference.
pub(crate) fn compare(value: &str, node: &str, found: &Tensor, expected: &Tensor, tolerance: Tolerance) -> ValueReport {
    let elements = expected.elements();
    let mut report = ValueReport {
        value: value.into(),
        node: node.into(),
        max_absolute: 0.0,
        max_relative: 0.0,
        max_ulp: 0,
        divergent: 0,
        non_finite: 0,
        non_finite_reference: 0,
        elements,
    };
    if found.ty() != expected.ty() {
        (report.divergent, report.max_absolute, report.max_ulp) = (elements.max(1), f64::INFINITY, u64::MAX);
        return report;
    }
    for (f, e) in found.to_f64().into_iter().zip(expected.to_f64()) {
        report.non_finite_reference += usize::from(!e.is_finite());
        report.non_finite += usize::from(!f.is_finite() && e.is_finite());
        if f == e || (f.is_nan() && e.is_nan()) {
            continue;
        }
        let difference = if f.is_finite() && e.is_finite() { (f - e).abs() } else { f64::INFINITY };
        report.max_absolute = report.max_absolute.max(difference);
        if e != 0.0 {
            report.max_relative = report.max_relative.max(difference / e.abs());
        }
        report.max_ulp = report.max_ulp.max(ulp(f, e, expected.dtype()));
        // Written so that NaN counts as out of tolerance.
        let near = difference <= tolerance.absolute + tolerance.relative * e.abs();
        report.divergent += usize::from(!near);
    }
    report
}

/// Compares a value with its reference: a report for each of its tensors.
pub(crate) fn compare_structures(
    value: &str,
    node: &str,
    found: &Structure<Tensor>,
    expected: &Structure<Tensor>,
    tolerance: Tolerance,
) -> Vec<ValueReport> {
    let empty = Tensor::vector::<f32>(&[]);
    match (found, expected) {
        (Structure::Tensor(found), Structure::Tensor(expected)) => vec![compare(value, node, found, expected, tolerance)],
        (Structure::Sequence(found), Structure::Sequence(expected)) if found.len() == expected.len() => {
            let pairs = found.iter().zip(expected).enumerate();
            pairs.map(|(k, (found, expected))| compare(&format!("{value}[{k}]"), node, found, expected, tolerance)).collect()
        }
        (Structure::Absent, Structure::Absent) => vec![],
        // Values of other kinds differ as tensors of other types do.
        _ => vec![compare(value, node, &empty, &Tensor::scalar(0.0f32), tolerance)],
    }
}

/// Steps between two numbers of a float dtype; the difference itself for integers.
fn ulp(a: f64, b: f64, dtype: DType) -> u64 {
    let distance = |a: i64, b: i64| a.abs_diff(b);
    // Maps bits to integers such that neighbouring floats are one apart.
    let ordered = |bits: i64, sign: i64| if bits & sign != 0 { -(bits & !sign) } else { bits };
    match dtype {
        DType::F32 => {
            let line = |x: f64| ordered(i64::from((x as f32).to_bits()), 1 << 31);
            distance(line(a), line(b))
        }
        DType::F16 => {
            let line = |x: f64| ordered(i64::from(half::f16::from_f64(x).to_bits()), 1 << 15);
            distance(line(a), line(b))
        }
        DType::BF16 => {
            let line = |x: f64| ordered(i64::from(half::bf16::from_f64(x).to_bits()), 1 << 15);
            distance(line(a), line(b))
        }
        DType::F64 => {
            let line = |x: f64| ordered(x.to_bits() as i64, i64::MIN);
            distance(line(a), line(b))
        }
        _ => (a - b).abs() as u64,
    }
}

/// One report per value that a node of the graph makes and the GPU run kept.
pub(crate) fn report(graph: &Graph, found: &Outputs, expected: &[Structure<Tensor>], tolerance: Tolerance) -> Vec<ValueReport> {
    let mut reports = Vec::new();
    for node in graph.nodes() {
        for id in node.outputs.iter().flatten() {
            let name = graph.value(*id).name.as_str();
            if let Some(found) = found.structure(name) {
                reports.extend(compare_structures(name, &node.path, found, &expected[id.index()], tolerance));
            }
        }
    }
    reports
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_floats_are_one_apart_across_zero_too() {
        assert_eq!(ulp(1.0, f64::from(1.0f32.next_up()), DType::F32), 1);
        assert_eq!(ulp(f64::from(-f32::from_bits(1)), f64::from(f32::from_bits(1)), DType::F32), 2);
    }

    #[test]
    fn a_nan_on_one_side_diverges() {
        let (nan, one) = (Tensor::scalar(f32::NAN), Tensor::scalar(1.0f32));
        let report = compare("y", "n", &nan, &one, Tolerance::default());
        assert_eq!((report.divergent, report.non_finite), (1, 1));
        assert_eq!(compare("y", "n", &nan, &nan, Tolerance::default()).divergent, 0);
    }
}
