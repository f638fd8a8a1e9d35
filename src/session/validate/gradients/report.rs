//! What a validation of gradients found.

use super::question::Comparison;
use crate::session::validate::report::Tolerance;
use crate::tensor::{DType, Tensor};

/// How the gradients of one input of a node compare, or those of an input of the whole graph.
#[derive(Clone, Debug, PartialEq)]
pub struct GradientReport {
    /// Path of the node; that of the value's reader means nothing for the whole graph, where it is empty.
    pub node: String,
    /// Name of the value that the gradient is with respect to.
    pub value: String,
    /// Elements of the gradient.
    pub elements: usize,
    /// The greatest element by the references in double precision.
    pub greatest: f64,
    /// The largest difference between device and references, in parts of the greatest element.
    pub device_error: f64,
    /// Elements of the device's that are out of tolerance.
    pub divergent: usize,
}

/// How gradients by the references compare with slopes: central differences of the references in double precision.
#[derive(Clone, Debug, PartialEq)]
pub struct SlopeReport {
    /// Path of the node; empty for the whole graph.
    pub node: String,
    /// The largest difference, in parts of the greatest element of the gradients.
    pub error: f64,
    /// Directions in which the slope is another.
    pub wrong: usize,
    /// Directions in which it could not be told, as there is a kink or a jump nearby.
    pub unsettled: usize,
    /// Directions that were followed.
    pub directions: usize,
}

/// A node that no gradient goes back through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoGradient {
    /// Path of the node; empty for the whole graph.
    pub node: String,
    /// Why there is none.
    pub reason: String,
}

/// What a validation of gradients found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GradientValidation {
    /// The gradients of every node by itself, in order.
    pub nodes: Vec<GradientReport>,
    /// Their slopes, one report for each node.
    pub slopes: Vec<SlopeReport>,
    /// The nodes that have none, and the whole graph where it has none.
    pub without: Vec<NoGradient>,
    /// The gradients of the model's outputs with respect to its inputs and weights, with all fusions.
    pub whole: Vec<GradientReport>,
}

impl GradientValidation {
    /// True when all gradients are within tolerance of the references, and those of the slopes.
    pub fn passed(&self) -> bool {
        self.nodes.iter().chain(&self.whole).all(|report| report.divergent == 0)
            && self.slopes.iter().all(|report| report.wrong == 0)
    }
}

impl SlopeReport {
    pub(super) fn new(node: &str, comparisons: &[Comparison]) -> Self {
        let sum = |count: fn(&Comparison) -> usize| comparisons.iter().map(count).sum();
        SlopeReport {
            node: node.into(),
            error: comparisons.iter().map(|comparison| comparison.error).fold(0.0, f64::max),
            wrong: sum(|comparison| comparison.wrong),
            unsettled: sum(|comparison| comparison.unsettled),
            directions: sum(|comparison| comparison.directions),
        }
    }
}

/// How far each element of a gradient may be off beside the tolerance.
fn rounding(dtype: DType, greatest: f64) -> f64 {
    match dtype {
        DType::F16 => greatest * 2f64.powi(-7),
        DType::BF16 => greatest * 2f64.powi(-4),
        _ => 1e-7,
    }
}

/// The greatest finite element of a gradient, in magnitude.
pub(super) fn greatest_of(gradient: &Tensor) -> f64 {
    gradient.to_f64().into_iter().filter(|x| x.is_finite()).map(f64::abs).fold(0.0, f64::max)
}

/// A gradient that is so much smaller than others of its graph is zero by symmetry, but for rounding (of the bias of keys: all scores of
/// a query move alike).
const BY_SYMMETRY: f64 = 1e-9;

/// Holds a gradient of the device against that of the references. The absolute part of the tolerance is in parts of the greatest element, or of
/// `others`, the greatest of all gradients of the graph, where this one is zero by symmetry; `moved` is by how much each element moves when
/// the inputs are rounded.
pub(super) fn compare(
    node: &str,
    value: &str,
    found: &Tensor,
    expected: &Tensor,
    (moved, others): (&[f64], f64),
    tolerance: Tolerance,
) -> GradientReport {
    let (all, truth) = (found.to_f64(), expected.to_f64());
    let own = greatest_of(expected);
    let greatest = if own < BY_SYMMETRY * others { others } else { own };
    let mut report =
        GradientReport { node: node.into(), value: value.into(), elements: truth.len(), greatest, device_error: 0.0, divergent: 0 };
    if all.len() != truth.len() {
        (report.divergent, report.device_error) = (truth.len().max(1), f64::INFINITY);
        return report;
    }
    let slack = rounding(found.dtype(), greatest) + tolerance.absolute * greatest;
    for (k, (found, truth)) in all.into_iter().zip(truth).enumerate() {
        if found == truth || found.is_nan() && truth.is_nan() {
            continue;
        }
        let difference = if found.is_finite() && truth.is_finite() { (found - truth).abs() } else { f64::INFINITY };
        report.device_error = report.device_error.max(difference / greatest.max(f64::MIN_POSITIVE));
        let allowed = slack + tolerance.relative * truth.abs() + moved.get(k).copied().unwrap_or(0.0);
        report.divergent += usize::from(difference > allowed || !allowed.is_finite() && !difference.is_finite());
    }
    report
}
