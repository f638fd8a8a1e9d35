//! A network with its weights, ready to be run.

use super::Graph;
use std::sync::Arc;

/// A network: what an importer or a [`Builder`](super::Builder) yields and a session runs. Cloning shares the weights.
#[derive(Clone, Debug)]
pub struct Model {
    graph: Arc<Graph>,
}

impl Model {
    /// A model from a graph written in Rust.
    pub fn from_graph(graph: Graph) -> Self {
        Model { graph: Arc::new(graph) }
    }

    /// Its graph, as imported.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }
}
