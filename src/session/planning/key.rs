//! What a plan is made for.

use crate::graph::Fact;
use crate::session::data::elements::{ASSUMED, within_assumed};
use crate::tensor::{DType, Shape, TensorType, TensorView};
use std::collections::BTreeSet;

/// The most elements of inputs whose values a plan may depend on: room for every input that holds a shape, and none for
/// data that is new in every run.
pub(crate) const MAX_VALUE_ELEMENTS: usize = 64;

/// What is known of a graph's inputs when it is planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PlanKey {
    shapes: Vec<Shape>,
    /// For each input, whether 64-bit integers lie within the assumed bounds.
    bounded: Vec<bool>,
    /// Inputs whose contents the plan depends on.
    values: Vec<(usize, Vec<u8>)>,
}

impl PlanKey {
    /// The key of a run with these inputs; the contents of those in `by_value` count where they are small.
    pub(crate) fn new(inputs: &[TensorView<'_>], by_value: &BTreeSet<usize>) -> Self {
        let small = |k: &&usize| elements(&inputs[**k]) <= MAX_VALUE_ELEMENTS;
        PlanKey {
            shapes: inputs.iter().map(|v| v.shape().into()).collect(),
            bounded: inputs.iter().map(within_assumed).collect(),
            values: by_value.iter().filter(small).map(|&k| (k, inputs[k].bytes().to_vec())).collect(),
        }
    }

    /// What the plan may take for granted of these inputs.
    pub(crate) fn facts(&self, inputs: &[TensorView<'_>]) -> Vec<Fact> {
        let fact = |(index, view): (usize, &TensorView<'_>)| {
            if self.values.iter().any(|(k, _)| *k == index) {
                return Fact::of(view.to_tensor());
            }
            assumed(&TensorType::new(view.dtype(), view.shape()), self.bounded[index])
        };
        inputs.iter().enumerate().map(fact).collect()
    }
}

/// The number of elements of a tensor.
pub(crate) fn elements(view: &TensorView<'_>) -> usize {
    view.shape().iter().product()
}

/// What is known of an input of this type, of which the contents are not; `bounded` says whether 64-bit integers lie within the
/// assumed bounds.
pub(crate) fn assumed(ty: &TensorType, bounded: bool) -> Fact {
    let bounds = match ty.dtype {
        DType::I64 if bounded => Some((-ASSUMED, ASSUMED)),
        DType::U64 if bounded => Some((0, ASSUMED)),
        _ => None,
    };
    Fact { ty: ty.clone(), value: None, bounds }
}
