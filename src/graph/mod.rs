//! Floor 2: networks as data. A [`Graph`] of [`Node`]s and [`Value`]s, the [`Op`] trait, what is known of a value
//! before a run ([`Fact`]), the one [`Writer`] that makes nodes, and the checks every graph passes. Knows no operator by name.

mod builder;
mod constants;
pub(crate) mod evaluate;
pub(crate) mod fact;
pub(crate) mod flow;
pub(crate) mod key;
pub(crate) mod model;
mod node;
pub(crate) mod op;
mod print;
mod state;
pub(crate) mod structure;
mod verify;
pub(crate) mod writer;

pub use builder::Builder;
pub use node::Node;
pub use state::State;

pub(crate) use crate::kernel::Bounds;
pub(crate) use evaluate::evaluate_structures;
pub(crate) use fact::Fact;
pub(crate) use flow::{Body, Flow, Flowing, MAX_TURNS};
pub(crate) use key::{Attribute, Key, Part};
pub(crate) use model::Model;
pub(crate) use op::{Epilogue, Gradient, Io, Op, OpExt, required};
pub use structure::Form;
pub(crate) use structure::Structure;
pub(crate) use writer::{Changes, NodeId, Writer};

use crate::error::{Error, Result};
use crate::tensor::{DType, Tensor};

/// Names a value of a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub(crate) usize);

impl ValueId {
    /// Its place in [`Graph::values`].
    pub fn index(self) -> usize {
        self.0
    }
}

/// A tensor that flows along an edge.
#[derive(Clone, Debug)]
pub struct Value {
    /// The name a caller can ask for; unique within the graph.
    pub name: String,
    /// Its contents, for weights and folded values.
    pub constant: Option<Tensor>,
    /// What is known of it; set on every value once the graph is specialised.
    #[doc(hidden)]
    pub fact: Option<Fact>,
}

/// An extent of a declared input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dim {
    /// Fixed.
    Known(usize),
    /// Named, and the same wherever the name stands again.
    Named(String),
    /// Anything.
    Unknown,
}

/// A declared input of a graph.
#[derive(Clone, Debug)]
pub struct Input {
    /// The value it provides.
    pub value: ValueId,
    /// What it may be given as.
    pub form: Form,
    /// The element type of its tensors.
    pub dtype: DType,
    /// Their extents; `None` when even the rank is open.
    pub dims: Option<Vec<Dim>>,
}

/// An input that a run may leave out.
#[derive(Clone, Debug)]
pub struct DefaultInput {
    /// The input. Its value is a constant of the graph.
    pub input: Input,
    /// Its place among all declared inputs, those without a default among them.
    pub place: usize,
}

/// A network: nodes in an order in which every value is made before it is used.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    pub(crate) name: String,
    pub(crate) values: Vec<Value>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) inputs: Vec<Input>,
    pub(crate) defaults: Vec<DefaultInput>,
    pub(crate) outputs: Vec<ValueId>,
    pub(crate) states: Vec<State>,
}

impl Graph {
    /// The graph's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All values, constants among them.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// All nodes, in an order in which they can run.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The declared inputs that a run must give.
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// The declared inputs that a run may give: constants otherwise.
    pub fn defaults(&self) -> &[DefaultInput] {
        &self.defaults
    }

    /// All declared inputs, in their order.
    pub fn declared(&self) -> Vec<&Input> {
        let mut all: Vec<&Input> = self.inputs.iter().collect();
        for default in &self.defaults {
            all.insert(default.place.min(all.len()), &default.input);
        }
        all
    }

    /// A copy of the graph in which some of the inputs that have a default are inputs that a run must give.
    pub(crate) fn requiring(&self, values: &[ValueId]) -> Graph {
        let mut graph = self.clone();
        let (given, left): (Vec<_>, Vec<_>) = self.defaults.iter().cloned().partition(|d| values.contains(&d.input.value));
        graph.defaults = left;
        for default in given {
            graph.values[default.input.value.0].constant = None;
            graph.inputs.push(default.input);
        }
        graph
    }

    /// The outputs.
    pub fn outputs(&self) -> &[ValueId] {
        &self.outputs
    }

    /// A value.
    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id.0]
    }

    /// The contents of a value that is constant.
    pub fn constant(&self, id: ValueId) -> Option<&Tensor> {
        self.values[id.0].constant.as_ref()
    }

    /// What is known of a value of a specialised graph.
    ///
    /// # Errors
    /// [`Internal`](crate::ErrorKind::Internal) before the graph is specialised.
    #[doc(hidden)]
    pub fn fact(&self, id: ValueId) -> Result<&Fact> {
        let value = &self.values[id.0];
        value.fact.as_ref().ok_or_else(|| Error::internal(format!("value `{}` has no type yet", value.name)))
    }

    /// The value of a name.
    pub fn find(&self, name: &str) -> Option<ValueId> {
        self.values.iter().position(|v| v.name == name).map(ValueId)
    }

    /// For each value, the node that makes it.
    pub fn producers(&self) -> Vec<Option<usize>> {
        let mut producers = vec![None; self.values.len()];
        for (index, node) in self.nodes.iter().enumerate() {
            for output in node.outputs.iter().flatten() {
                producers[output.0] = Some(index);
            }
        }
        producers
    }

    /// For each value, the nodes that use it, in order; a node that uses it twice stands there twice.
    pub fn consumers(&self) -> Vec<Vec<usize>> {
        let mut consumers = vec![Vec::new(); self.values.len()];
        for (index, node) in self.nodes.iter().enumerate() {
            for input in node.inputs.iter().flatten() {
                consumers[input.0].push(index);
            }
        }
        consumers
    }

    /// The facts of a node's inputs, in a specialised graph.
    ///
    /// # Errors
    /// [`Internal`](crate::ErrorKind::Internal) before the graph is specialised.
    #[doc(hidden)]
    pub fn input_facts(&self, node: &Node) -> Result<Vec<Option<&Fact>>> {
        node.inputs.iter().map(|i| i.map(|id| self.fact(id)).transpose()).collect()
    }
}
