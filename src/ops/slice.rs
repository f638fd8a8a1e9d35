//! Parts of a tensor: Slice and Split.

use super::Registration;
use super::movement::{Moved, Movement};
use super::shared::{known, known_optional};
use crate::error::{Error, Result};
use crate::graph::{Fact, Op, required};
use crate::tensor::View;
use std::sync::Arc;

/// The operators of this file.
pub static REGISTRATION: Registration = Registration { operators: &["Slice", "Split"], shaders: &[] };

/// ONNX Slice: inputs 1 to 4 are starts, ends, axes and steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Slice;

/// Slice by the starts, ends, axes and steps in inputs 1 to 4, the last two optional.
pub fn slice() -> Arc<dyn Op> {
    Arc::new(Slice)
}

/// First index and number of the elements from `start` to `end` in steps of `step`, clamped as ONNX says (Slice-13): a start to
/// an element that exists, where numpy leaves one that lies before all elements there and finds none.
fn range(start: i64, end: i64, step: i64, extent: usize) -> Result<(usize, usize)> {
    let extent = extent as i128;
    let from_end = |n: i64| if n < 0 { i128::from(n) + extent } else { n.into() };
    let (start, end, step) = (from_end(start), from_end(end), i128::from(step));
    let (start, span) = match step {
        0 => return Err(Error::invalid_model("a slice has a step of 0: expected any other")),
        1.. => {
            let start = start.clamp(0, extent);
            (start, end.clamp(0, extent) - start)
        }
        _ => {
            let start = start.min(extent - 1).max(0);
            (start, if extent == 0 { 0 } else { start - end.clamp(-1, extent - 1) })
        }
    };
    let count = if span <= 0 { 0 } else { (span + step.abs() - 1) / step.abs() };
    // Both lie within the extent, a usize, wherever an element is left.
    Ok((start.max(0) as usize, count as usize))
}

impl Movement for Slice {
    const NAME: &'static str = "Slice";

    crate::attributes!();

    fn moves(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Moved>> {
        let shape = required(Self::NAME, inputs, 0)?.shape();
        let starts = known(Self::NAME, inputs, 1)?;
        let ends = known(Self::NAME, inputs, 2)?;
        let axes = known_optional(Self::NAME, inputs, 3)?.unwrap_or_else(|| (0..starts.len() as i64).collect());
        let steps = known_optional(Self::NAME, inputs, 4)?.unwrap_or_else(|| vec![1; starts.len()]);
        if [ends.len(), axes.len(), steps.len()].iter().any(|n| *n != starts.len()) {
            let found = [starts.len(), ends.len(), axes.len(), steps.len()];
            return Err(Error::invalid_model(format!("expected as many ends, axes and steps as starts, found {found:?}")));
        }
        let mut view = View::contiguous(shape);
        let mut seen = vec![false; shape.rank()];
        for k in 0..starts.len() {
            let axis = shape.axis(axes[k])?;
            if std::mem::replace(&mut seen[axis], true) {
                return Err(Error::invalid_model(format!("expected distinct axes to slice, found {axes:?}")));
            }
            let (start, count) = range(starts[k], ends[k], steps[k], shape[axis])?;
            // The step between fewer than two elements is never taken, and may be too large for a stride.
            view = view.slice(axis, start, count, if count > 1 { steps[k] } else { 1 });
        }
        Ok(vec![Moved::new(view)])
    }
}

/// ONNX Split: consecutive parts along an axis. Input 1, where given, holds their sizes; without it all are equal but
/// the last, which may be smaller.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// The axis that is split.
    pub axis: i64,
    /// The number of parts: the attribute `num_outputs`, or the number of outputs of the node.
    pub outputs: usize,
}

/// Split into `outputs` parts along an axis.
pub fn split(axis: i64, outputs: usize) -> Arc<dyn Op> {
    Arc::new(Split { axis, outputs })
}

impl Movement for Split {
    const NAME: &'static str = "Split";

    crate::attributes!(axis, outputs);

    fn moves(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Moved>> {
        let shape = required(Self::NAME, inputs, 0)?.shape();
        let axis = shape.axis(self.axis)?;
        let extent = shape[axis];
        let sizes: Vec<usize> = match known_optional(Self::NAME, inputs, 1)? {
            Some(sizes) => {
                let parts: Option<Vec<usize>> = sizes.iter().map(|n| usize::try_from(*n).ok()).collect();
                let total = |parts: &Vec<usize>| parts.iter().try_fold(0usize, |sum, n| sum.checked_add(*n));
                parts.filter(|p| p.len() == self.outputs && total(p) == Some(extent)).ok_or_else(|| {
                    Error::invalid_model(format!("expected {} sizes that sum to {extent}, found {sizes:?}", self.outputs))
                })?
            }
            None => {
                if self.outputs == 0 {
                    return Err(Error::invalid_model("Split has no outputs: expected at least one"));
                }
                let size = extent.div_ceil(self.outputs);
                (0..self.outputs).map(|k| size.min(extent.saturating_sub(k.saturating_mul(size)))).collect()
            }
        };
        let whole = View::contiguous(shape);
        let mut start = 0;
        let part = |size: usize| {
            let view = whole.slice(axis, start, size, 1);
            start += size;
            Moved::new(view)
        };
        Ok(sizes.into_iter().map(part).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::range;

    #[test]
    fn ranges_are_clamped_as_onnx_says() {
        let cases = [
            ((0, 5, 1, 10), (0, 5)),
            ((-3, i64::MAX, 1, 10), (7, 3)),
            ((8, 3, -2, 10), (8, 3)),
            ((i64::MAX, i64::MIN, -1, 10), (9, 10)),
            ((i64::MIN, -1, 1, 3), (0, 2)),
            ((4, 2, 1, 10), (4, 0)),
            ((0, 10, i64::MAX, 10), (0, 1)),
            ((9, i64::MIN, i64::MIN, 10), (9, 1)),
            ((0, 1, 1, 0), (0, 0)),
            ((-1, i64::MIN, -1, 0), (0, 0)),
            // Backwards from before the first element: numpy takes none.
            ((-3, i64::MIN, -1, 2), (0, 1)),
            ((-3, -3, -2, 2), (0, 1)),
            ((-3, 0, -1, 2), (0, 0)),
            ((i64::MIN, i64::MIN, i64::MIN, 7), (0, 1)),
        ];
        for ((start, end, step, extent), expected) in cases {
            assert_eq!(range(start, end, step, extent).expect("the step is not 0"), expected, "{start}:{end}:{step} of {extent}");
        }
        assert!(range(0, 1, 0, 10).is_err());
    }

    /// The indices that the text of Slice-13 walks through, word by word.
    fn walked(start: i64, end: i64, step: i64, extent: i64) -> Vec<i64> {
        let adjusted = |n: i64| if n < 0 { n + extent } else { n };
        let clamp = |n: i64, low: i64, high: i64| n.min(high).max(low);
        let (mut at, end) = match step > 0 {
            true => (clamp(adjusted(start), 0, extent), clamp(adjusted(end), 0, extent)),
            false => (clamp(adjusted(start), 0, extent - 1), clamp(adjusted(end), -1, extent - 1)),
        };
        let mut walked = Vec::new();
        while if step > 0 { at < end } else { at > end } && at < extent {
            walked.push(at);
            at += step;
        }
        walked
    }

    #[test]
    fn every_small_range_walks_as_onnx_says() {
        for extent in 0..5 {
            for (start, end) in (-7..=7).flat_map(|start| (-7..=7).map(move |end| (start, end))) {
                for step in [-8, -3, -2, -1, 1, 2, 3, 8] {
                    let (first, count) = range(start, end, step, extent as usize).expect("the step is not 0");
                    let found: Vec<i64> = (0..count as i64).map(|k| first as i64 + k * step).collect();
                    assert_eq!(found, walked(start, end, step, extent), "{start}:{end}:{step} of {extent}");
                }
            }
        }
    }
}
