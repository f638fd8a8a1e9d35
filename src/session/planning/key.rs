//! What a plan is made for.

use crate::graph::{Fact, Structure};
use crate::kernel::Bounds;
use crate::session::data::held::Held;
use crate::tensor::{Tensor, TensorType, TensorView};
use std::collections::BTreeSet;

/// The most elements of inputs whose values a plan may depend on: room for every input that holds a shape, and none for
/// data that is new in every run.
pub(crate) const MAX_VALUE_ELEMENTS: usize = 64;

/// What is known of a graph's inputs when it is planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PlanKey {
    /// The type of each tensor, and the bounds of integers.
    tensors: Vec<Structure<(TensorType, Option<Bounds>)>>,
    /// Inputs whose contents the plan depends on.
    values: Vec<(usize, Vec<u8>)>,
}

impl PlanKey {
    /// The key of a run with these inputs; the contents of those in `by_value` count where they are small.
    pub(crate) fn new(inputs: &[Structure<Held<'_>>], by_value: &BTreeSet<usize>) -> Self {
        let known = |held: &Held<'_>| {
            let Fact { ty, bounds, .. } = held.fact();
            (ty, bounds)
        };
        let value = |k: &usize| Some((*k, small(inputs.get(*k)?)?.on_host()?.bytes().to_vec()));
        PlanKey {
            tensors: inputs.iter().map(|input| input.map(known)).collect(),
            values: by_value.iter().filter_map(value).collect(),
        }
    }

    /// What the plan may take for granted of these inputs.
    pub(crate) fn facts(&self, inputs: &[Structure<Held<'_>>]) -> Vec<Structure<Fact>> {
        let fact = |(index, structure): (usize, &Structure<Held<'_>>)| match structure {
            Structure::Tensor(held) if self.values.iter().any(|(k, _)| *k == index) => {
                let value = held.on_host().as_ref().map(TensorView::to_tensor);
                Structure::Tensor(value.map_or_else(|| held.fact(), |value: Tensor| Fact::of(value)))
            }
            structure => structure.map(Held::fact),
        };
        inputs.iter().enumerate().map(fact).collect()
    }
}

/// The tensor that an input is, where a plan may depend on its contents.
pub(crate) fn small<'h, 'a>(input: &'h Structure<Held<'a>>) -> Option<&'h Held<'a>> {
    match input {
        Structure::Tensor(held) if held.ty().elements() <= MAX_VALUE_ELEMENTS => Some(held),
        _ => None,
    }
}
