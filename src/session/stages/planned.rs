//! A graph with its plans, and the stages of one that no single plan can run.

use super::steady::SteadyBodies;
use crate::gpu::Opaque;
use crate::graph::{Form, Graph, Input, Node, Structure, ValueId};
use crate::ops::flow::branch::If;
use crate::ops::flow::loops::Loop;
use crate::ops::flow::map::SequenceMap;
use crate::passes::Ends;
use crate::session::data::held::Held;
use crate::session::execution::loaded::LoadedPlan;
use crate::session::planning::cache::PlanCache;
use crate::tensor::DType;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

/// A graph, and how it is run for what is known of its inputs.
pub(crate) struct PlannedGraph {
    pub graph: Arc<Graph>,
    /// For each output, whether it stays on the GPU for a stage that reads it, unless it is small.
    pub resident: Vec<bool>,
    pub routes: PlanCache<Route>,
    /// Where the graph edits sequences first or last, how it is run for sequences.
    pub arranged: OnceLock<Option<Arc<Stages>>>,
    /// By the node that is cut before.
    pub cuts: Mutex<HashMap<usize, Arc<Stages>>>,
}

/// How a graph is run for inputs of one key.
#[derive(Clone)]
pub(crate) enum Route {
    /// By one plan.
    Plan(Opaque<LoadedPlan>, Arc<Ends>),
    /// In stages, since what a later one does depends on the data of an earlier one.
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
    Part(Box<Part>),
    /// A node on the host, so that the shapes of its results are known.
    Node(Node),
    /// A node that only arranges tensors, which stay where they lie.
    Arrange(Node),
    /// A graph within a node, again and again.
    Loop(Box<LoopStage>),
    /// One of two graphs within a node.
    Branch(Box<BranchStage>),
    /// A graph within a node, for each tensor of a sequence.
    Map(Box<MapStage>),
}

/// A part of a graph. It is planned when its inputs are there.
pub(crate) struct Part {
    pub nodes: Vec<Node>,
    pub inputs: Vec<ValueId>,
    pub outputs: Vec<ValueId>,
    resident: Vec<bool>,
    /// Made by the first run, which knows the dtypes of the inputs.
    planned: OnceLock<PlannedGraph>,
}

/// A Loop.
pub(crate) struct LoopStage {
    pub node: Node,
    pub turns: Loop,
    /// For turns that are planned one by one.
    pub body: PlannedBody,
    /// For turns that are all alike.
    pub steady: SteadyBodies,
}

/// An If.
pub(crate) struct BranchStage {
    pub node: Node,
    pub choice: If,
    pub then_branch: PlannedBody,
    pub else_branch: PlannedBody,
}

/// A SequenceMap.
pub(crate) struct MapStage {
    pub node: Node,
    pub map: SequenceMap,
    pub body: PlannedBody,
}

/// A graph within a node, with its plans.
pub(crate) struct PlannedBody {
    pub planned: PlannedGraph,
    /// For each of its last inputs, the input of the node that it is. Those that are constants of the graph around it are constants
    /// of this one.
    pub captured: Vec<usize>,
}

impl PlannedGraph {
    /// A graph of which some outputs stay on the GPU.
    pub(crate) fn staying(graph: Arc<Graph>, resident: Vec<bool>) -> Self {
        PlannedGraph { graph, resident, routes: PlanCache::default(), arranged: OnceLock::new(), cuts: Mutex::default() }
    }
}

impl Part {
    pub(crate) fn new(nodes: Vec<Node>, inputs: Vec<ValueId>, outputs: Vec<ValueId>, resident: Vec<bool>) -> Self {
        Part { nodes, inputs, outputs, resident, planned: OnceLock::new() }
    }

    /// The part as a graph of its own, for inputs like these.
    pub(crate) fn planned(&self, whole: &Graph, inputs: &[Structure<Held<'_>>]) -> &PlannedGraph {
        self.planned.get_or_init(|| {
            let input = |(value, held): (&ValueId, &Structure<Held<'_>>)| {
                let dtype = held.tensors().first().map_or(DType::F32, |tensor| tensor.ty().dtype);
                Input { value: *value, form: Form::Tensor, dtype, dims: None }
            };
            let inputs = self.inputs.iter().zip(inputs).map(input).collect();
            let graph = Graph { nodes: self.nodes.clone(), inputs, outputs: self.outputs.clone(), states: vec![], ..whole.clone() };
            PlannedGraph::staying(Arc::new(graph), self.resident.clone())
        })
    }
}
