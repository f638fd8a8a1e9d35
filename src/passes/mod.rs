//! Floor 4: graph to graph. [`specialize`] fixes shapes and folds constants; [`optimize`] rewrites what is left into
//! fewer, larger nodes. Every pass is a pure function whose result passes [`Graph::verify`](crate::graph::Graph::verify).
//!
//! Passes ask operators what they can do (`view`, `absorb`, `takes_epilogue`) and know by name only those that a rewrite
//! is about.

mod affine;
mod attention;
mod common;
mod fuse;
mod norms;
mod quantized;
mod specialize;
mod views;

pub use specialize::{Specialized, specialize};

use crate::error::Result;
use crate::graph::Graph;

/// What the passes may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// False leaves every node of the model as it is, so that each value can be looked at.
    pub fuse: bool,
    /// Most storage bindings of one dispatch on the adapter that the graph is meant for.
    pub max_storage_buffers: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options { fuse: true, max_storage_buffers: 8 }
    }
}

/// A specialised graph with the same inputs, outputs and meaning, and fewer nodes.
///
/// # Errors
/// [`Internal`](crate::ErrorKind::Internal) when a rewrite breaks the graph.
pub fn optimize(graph: &Graph, options: &Options) -> Result<Graph> {
    if !options.fuse {
        return quantized::fold(graph);
    }
    let graph = common::deduplicate(graph)?;
    let graph = quantized::fuse(&graph)?;
    let graph = affine::fold(&graph)?;
    let graph = norms::fuse(&graph)?;
    let graph = views::absorb(&graph)?;
    let graph = attention::fuse(&graph)?;
    let graph = fuse::fuse(&graph, options)?;
    views::collapse(&graph)
}
