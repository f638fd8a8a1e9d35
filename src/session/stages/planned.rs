//! A graph with its plans, and the stages of one whose shapes depend on data.

use crate::gpu::Opaque;
use crate::graph::{Graph, Input, Node, ValueId};
use crate::session::execution::loaded::LoadedPlan;
use crate::session::planning::cache::PlanCache;
use crate::tensor::TensorView;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

/// A graph, and how it is run for what is known of its inputs.
pub(crate) struct PlannedGraph {
    pub graph: Arc<Graph>,
    pub routes: PlanCache<Route>,
    /// By the node that is blocked.
    pub cuts: Mutex<HashMap<usize, Arc<Stages>>>,
}

/// How a graph is run for inputs of one key.
#[derive(Clone)]
pub(crate) enum Route {
    /// By one plan.
    Plan(Opaque<LoadedPlan>),
    /// In stages, since a shape of a later one depends on the data of an earlier one.
    Stages(Arc<Stages>),
}

/// What is done one after another for the outputs of a graph.
pub(crate) struct Stages {
    pub graph: Arc<Graph>,
    pub stages: Vec<Stage>,
}

/// One step of a graph that runs in stages. Its results are the inputs of later ones.
pub(crate) enum Stage {
    /// A part of the graph, by a plan of its own.
    Part(Part),
    /// A node on the host, so that the shapes of its results are known.
    Node(Node),
}

/// A part of a graph. It is planned when its inputs are there.
pub(crate) struct Part {
    pub nodes: Vec<Node>,
    pub inputs: Vec<ValueId>,
    pub outputs: Vec<ValueId>,
    /// Made by the first run, which knows the dtypes of the inputs.
    planned: OnceLock<PlannedGraph>,
}

impl PlannedGraph {
    pub(crate) fn new(graph: Arc<Graph>) -> Self {
        PlannedGraph { graph, routes: PlanCache::default(), cuts: Mutex::default() }
    }
}

impl Part {
    pub(crate) fn new(nodes: Vec<Node>, inputs: Vec<ValueId>, outputs: Vec<ValueId>) -> Self {
        Part { nodes, inputs, outputs, planned: OnceLock::new() }
    }

    /// The part as a graph of its own, for inputs like these.
    pub(crate) fn planned(&self, whole: &Graph, inputs: &[TensorView<'_>]) -> &PlannedGraph {
        self.planned.get_or_init(|| {
            let input = |(value, view): (&ValueId, &TensorView<'_>)| Input { value: *value, dtype: view.dtype(), dims: None };
            let inputs = self.inputs.iter().zip(inputs).map(input).collect();
            let graph = Graph { nodes: self.nodes.clone(), inputs, outputs: self.outputs.clone(), states: vec![], ..whole.clone() };
            PlannedGraph::new(Arc::new(graph))
        })
    }
}
