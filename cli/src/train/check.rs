//! Whether data are what a network takes.

use super::configuration::Source;
use super::names::{listed, nearest};
use crate::failure::Result;
use gristmill::graph::{Dim, Graph};
use gristmill::train::Batch;
use std::collections::{HashMap, HashSet};

/// The input by which dropout draws, which steps give themselves.
const RANDOM_KEY: &str = "dropout_key";

/// The names of the inputs that a value is computed from, which data have to give.
pub(crate) fn inputs_of(graph: &Graph, value: &str) -> Vec<String> {
    let mut needed: HashSet<_> = graph.find(value).into_iter().collect();
    for node in graph.nodes().iter().rev() {
        if node.outputs.iter().flatten().any(|output| needed.contains(output)) {
            needed.extend(node.inputs.iter().flatten().copied());
        }
    }
    let is_state = |id| graph.states().iter().any(|state| state.input == id);
    let given = graph.inputs().iter().filter(|input| needed.contains(&input.value) && !is_state(input.value));
    given.map(|input| graph.value(input.value).name.clone()).filter(|name| name != RANDOM_KEY).collect()
}

/// Holds a batch against the inputs that a graph declares.
pub(crate) fn batch_fits(graph: &Graph, names: &[String], batch: &Batch, key: &str, source: &Source) -> Result<()> {
    let wrong = |message: String| Err(source.wrong(key, message));
    let mut extents: HashMap<&str, (usize, &str)> = HashMap::new();
    for name in names {
        let Some(tensor) = batch.get(name) else {
            let held: Vec<&str> = batch.inputs.iter().map(|(name, _)| name.as_str()).collect();
            let meant = nearest(name, held.iter().copied()).map(|near| format!(" (is it `{near}`?)")).unwrap_or_default();
            return wrong(format!("the network takes `{name}`, which the data have not{meant}; they have {}", listed(&held)));
        };
        let Some(input) = graph.inputs().iter().find(|input| graph.value(input.value).name == *name) else { continue };
        let Some(dims) = &input.dims else { continue };
        let expected = || {
            let dims: Vec<String> = dims.iter().map(described).collect();
            format!("`{name}` is {} in a batch; the network takes {}[{}]", tensor.ty(), input.dtype, dims.join(","))
        };
        let fits = |(dim, extent): (&Dim, &usize)| !matches!(dim, Dim::Known(known) if known != extent);
        let rank_fits = dims.len() == tensor.shape().rank();
        if tensor.dtype() != input.dtype || !rank_fits || !dims.iter().zip(tensor.shape().iter()).all(fits) {
            return wrong(expected());
        }
        for (dim, extent) in dims.iter().zip(tensor.shape().iter()) {
            let Dim::Named(dim) = dim else { continue };
            let (before, other) = *extents.entry(dim).or_insert((*extent, name));
            if before != *extent {
                return wrong(format!("{}; `{dim}` is {before} in `{other}`", expected()));
            }
        }
    }
    Ok(())
}

fn described(dim: &Dim) -> String {
    match dim {
        Dim::Known(extent) => extent.to_string(),
        Dim::Named(name) => name.clone(),
        Dim::Unknown => "?".into(),
    }
}
