//! Networks without layers.

use super::layers::Layers;
use gristmill::graph::ValueId;
use gristmill::operators::{self, Reduction};

/// Dot products of a word with each of its contexts.
pub fn word2vec(layers: &mut Layers<'_>) -> ValueId {
    let [center, context] = ["center", "context"].map(|name| {
        let ids = layers.data(name);
        layers.embedding(name, ids)
    });
    let axis = layers.integers(&[1]);
    let center = layers.apply(operators::unsqueeze(), &[center, axis]);
    let products = layers.function("Mul", &[center, context]);
    layers.apply(operators::reduce(Reduction::Sum, Some(vec![-1]), false, false), &[products])
}
