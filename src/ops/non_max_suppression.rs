//! NonMaxSuppression: of boxes that overlap, only the one with the highest score. It runs on the host: how many boxes are
//! left depends on data.

use super::Registration;
use crate::error::{Error, Result};
use crate::graph::{Fact, Io, Op, required};
use crate::kernel::{Caps, Lowering};
use crate::tensor::{DType, Shape, Tensor};
use std::sync::Arc;

/// The operator of this file.
pub static REGISTRATION: Registration = Registration { operators: &["NonMaxSuppression"], shaders: &[] };

/// ONNX NonMaxSuppression: inputs are boxes, scores, the most boxes of a class, the overlap and the score at which a box
/// is dropped. Each row of the output is a batch, a class and a box.
#[derive(Clone, Debug, PartialEq)]
pub struct NonMaxSuppression {
    /// Boxes are centre and size, instead of two opposite corners.
    pub center_point_box: bool,
}

/// The boxes that are left of those that overlap.
pub fn non_max_suppression(center_point_box: bool) -> Arc<dyn Op> {
    Arc::new(NonMaxSuppression { center_point_box })
}

/// A box as its corners, the lower first: two coordinates of each.
type Corners = [f64; 4];

/// The area that two boxes share, as a part of the area that they cover.
fn overlap(a: &Corners, b: &Corners) -> f64 {
    let side = |k: usize| (a[k + 2].min(b[k + 2]) - a[k].max(b[k])).max(0.0);
    let area = |c: &Corners| (c[2] - c[0]) * (c[3] - c[1]);
    let shared = side(0) * side(1);
    let covered = area(a) + area(b) - shared;
    if shared <= 0.0 || covered <= 0.0 { 0.0 } else { shared / covered }
}

impl NonMaxSuppression {
    fn check(boxes: &Shape, scores: &Shape) -> Result<[usize; 3]> {
        match (boxes.dims(), scores.dims()) {
            (&[batches, count, 4], &[other, classes, same]) if batches == other && count == same => Ok([batches, classes, count]),
            _ => Err(Error::invalid_model(format!("expected boxes [n,b,4] and scores [n,c,b], found {boxes} and {scores}"))),
        }
    }

    fn corners(&self, b: &[f64]) -> Corners {
        if self.center_point_box {
            let [x, y, width, height] = [b[0], b[1], b[2] / 2.0, b[3] / 2.0];
            [x - width, y - height, x + width, y + height]
        } else {
            [b[0].min(b[2]), b[1].min(b[3]), b[0].max(b[2]), b[1].max(b[3])]
        }
    }

    fn selected(&self, inputs: &[Option<&Tensor>]) -> Result<Tensor> {
        let (boxes, scores) = (required("NonMaxSuppression", inputs, 0)?, required("NonMaxSuppression", inputs, 1)?);
        let [batches, classes, count] = Self::check(boxes.shape(), scores.shape())?;
        let number = |index: usize| inputs.get(index).copied().flatten().and_then(|t| t.to_f64().first().copied());
        let most = number(2).unwrap_or(0.0).max(0.0) as usize;
        let (threshold, lowest) = (number(3).unwrap_or(0.0), number(4).unwrap_or(f64::NEG_INFINITY));
        let corners: Vec<Corners> = boxes.to_f64().chunks_exact(4).map(|b| self.corners(b)).collect();
        let scores = scores.to_f64();
        let mut rows: Vec<i64> = Vec::new();
        for batch in 0..batches {
            for class in 0..classes {
                let own = &scores[(batch * classes + class) * count..][..count];
                let corners = &corners[batch * count..][..count];
                let mut order: Vec<usize> = (0..count).filter(|k| own[*k] > lowest).collect();
                order.sort_by(|a, b| own[*b].total_cmp(&own[*a]));
                let mut kept: Vec<usize> = Vec::new();
                for candidate in order {
                    if kept.len() == most {
                        break;
                    }
                    if kept.iter().all(|k| overlap(&corners[*k], &corners[candidate]) <= threshold) {
                        kept.push(candidate);
                    }
                }
                rows.extend(kept.iter().flat_map(|k| [batch as i64, class as i64, *k as i64]));
            }
        }
        Tensor::new([rows.len() / 3, 3], &rows)
    }
}

impl Op for NonMaxSuppression {
    fn name(&self) -> &'static str {
        "NonMaxSuppression"
    }

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let mut values = Vec::with_capacity(inputs.len());
        for (index, fact) in inputs.iter().enumerate() {
            values.push(match fact {
                None => None,
                Some(fact) => Some(fact.value.as_ref().ok_or_else(|| Error::needs_value(index))?),
            });
        }
        let rows = self.selected(&values)?.shape()[0];
        let extents = |index: usize| required("NonMaxSuppression", inputs, index).map(|f| f.shape().to_vec());
        let largest = extents(0)?.into_iter().chain(extents(1)?).max().unwrap_or(0) as i128;
        Ok(vec![Fact::new(DType::I64, [rows, 3]).bounded(Some((0, largest)))])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        Ok(vec![self.selected(inputs)?])
    }

    fn candidates(&self, _: &Io, _: &Caps) -> Result<Vec<Lowering>> {
        Err(Error::unsupported("the number of boxes that NonMaxSuppression leaves depends on data, so it runs on the host"))
    }
}
