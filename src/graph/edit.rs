//! Rewriting: a graph with its edges indexed both ways, kept current while nodes and values come and go.

use super::{Fact, Graph, Node, Value, ValueId};
use crate::error::{Error, Result};
use crate::tensor::{Tensor, View};
use std::collections::{BTreeSet, HashSet};

/// Names a node of a graph being rewritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(usize);

/// A graph being rewritten. Value ids of the old graph stay valid in the new one.
///
/// Every look-up answers for what the rewrite itself has made so far, since there is one table of values and one of nodes.
/// A node that nobody reads any more goes by itself.
#[derive(Debug)]
pub struct Edit {
    /// Values, inputs and outputs; its nodes are in `nodes`.
    graph: Graph,
    names: HashSet<String>,
    nodes: Vec<Option<Node>>,
    /// By value, as long as the values.
    edges: Vec<Edges>,
    changes: Changes,
}

/// Who makes and who uses a value.
#[derive(Clone, Debug, Default)]
struct Edges {
    producer: Option<NodeId>,
    consumers: BTreeSet<NodeId>,
    output: bool,
}

/// Paths of the nodes that went and came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Nodes that are there no more.
    pub gone: Vec<String>,
    /// Nodes that stand in their place.
    pub made: Vec<String>,
}

impl Edit {
    /// Starts from a graph's values, inputs and outputs, and no node.
    pub fn without_nodes(graph: &Graph) -> Self {
        let names = graph.values.iter().map(|v| v.name.clone()).collect();
        let mut edges = vec![Edges::default(); graph.values.len()];
        graph.outputs.iter().for_each(|id| edges[id.0].output = true);
        let graph = Graph {
            nodes: Vec::new(),
            name: graph.name.clone(),
            values: graph.values.clone(),
            inputs: graph.inputs.clone(),
            defaults: graph.defaults.clone(),
            outputs: graph.outputs.clone(),
        };
        Edit { graph, names, nodes: Vec::new(), edges, changes: Changes::default() }
    }

    /// Starts from a whole graph.
    pub fn of(graph: &Graph) -> Self {
        let mut edit = Edit::without_nodes(graph);
        graph.nodes.iter().for_each(|node| {
            edit.push(node.clone());
        });
        edit.changes = Changes::default();
        edit
    }

    /// The nodes that are there, in the order in which they were added.
    pub fn nodes(&self) -> Vec<NodeId> {
        (0..self.nodes.len()).map(NodeId).filter(|id| self.node(*id).is_some()).collect()
    }

    /// A node, unless it is gone.
    pub fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id.0)?.as_ref()
    }

    /// Adds a node, in any order.
    pub fn push(&mut self, node: Node) -> NodeId {
        let id = NodeId(self.nodes.len());
        self.nodes.push(None);
        self.link(id, node);
        id
    }

    /// Puts a node in the place of another.
    pub fn replace(&mut self, id: NodeId, node: Node) {
        let old = self.unlink(id);
        self.link(id, node);
        self.sweep(old);
    }

    /// Takes a node away. What only it read goes too.
    pub fn remove(&mut self, id: NodeId) {
        let old = self.unlink(id);
        self.sweep(old);
    }

    /// Makes all that read one value read another.
    pub fn redirect(&mut self, from: ValueId, to: ValueId) {
        for id in self.consumers(from).collect::<Vec<_>>() {
            if let Some(mut node) = self.node(id).cloned() {
                node.inputs.iter_mut().flatten().filter(|input| **input == from).for_each(|input| *input = to);
                self.replace(id, node);
            }
        }
    }

    fn link(&mut self, id: NodeId, node: Node) {
        for input in node.inputs.iter().flatten() {
            if let Some(edges) = self.edges.get_mut(input.0) {
                edges.consumers.insert(id);
            }
        }
        for output in node.outputs.iter().flatten() {
            if let Some(edges) = self.edges.get_mut(output.0) {
                edges.producer = Some(id);
            }
        }
        self.changes.made.push(node.path.clone());
        self.nodes[id.0] = Some(node);
    }

    fn unlink(&mut self, id: NodeId) -> Option<Node> {
        let node = self.nodes.get_mut(id.0)?.take()?;
        for input in node.inputs.iter().flatten() {
            if let Some(edges) = self.edges.get_mut(input.0) {
                edges.consumers.remove(&id);
            }
        }
        for output in node.outputs.iter().flatten() {
            if let Some(edges) = self.edges.get_mut(output.0).filter(|edges| edges.producer == Some(id)) {
                edges.producer = None;
            }
        }
        self.changes.gone.push(node.path.clone());
        Some(node)
    }

    /// Takes away what only a node that is gone has read.
    fn sweep(&mut self, gone: Option<Node>) {
        let mut left: Vec<ValueId> = gone.into_iter().flat_map(|node| node.inputs).flatten().collect();
        while let Some(value) = left.pop() {
            let Some(producer) = self.producer(value) else { continue };
            let used = |id: &ValueId| self.consumers(*id).next().is_some() || self.is_output(*id);
            if !self.node(producer).is_some_and(|node| node.outputs.iter().flatten().any(used)) {
                left.extend(self.unlink(producer).into_iter().flat_map(|node| node.inputs).flatten());
            }
        }
    }

    /// What has gone and come since this was last asked.
    pub fn take_changes(&mut self) -> Changes {
        std::mem::take(&mut self.changes)
    }

    /// A fresh value with a name made unique.
    pub fn value(&mut self, name: &str, fact: Option<Fact>) -> ValueId {
        let mut unique = name.to_string();
        let mut count = 1;
        while !self.names.insert(unique.clone()) {
            count += 1;
            unique = format!("{name}.{count}");
        }
        self.graph.values.push(Value { name: unique, constant: None, fact });
        self.edges.push(Edges::default());
        ValueId(self.graph.values.len() - 1)
    }

    /// A fresh constant.
    pub fn constant(&mut self, name: &str, tensor: Tensor) -> ValueId {
        let id = self.value(name, Some(Fact::of(tensor.clone())));
        self.graph.values[id.0].constant = Some(tensor);
        id
    }

    /// Makes an existing value constant; a node that makes nothing else goes.
    pub fn fold(&mut self, id: ValueId, tensor: Tensor) {
        if let Some(producer) = self.producer(id) {
            self.remove(producer);
        }
        self.graph.values[id.0].fact = Some(Fact::of(tensor.clone()));
        self.graph.values[id.0].constant = Some(tensor);
    }

    /// Makes a declared input constant: it is no input any more.
    pub fn fold_input(&mut self, id: ValueId, tensor: Tensor) {
        self.graph.inputs.retain(|input| input.value != id);
        self.fold(id, tensor);
    }

    /// Records what is known of a value.
    pub fn set_fact(&mut self, id: ValueId, fact: Fact) {
        self.graph.values[id.0].fact = Some(fact);
    }

    /// The value as edited so far.
    pub fn get(&self, id: ValueId) -> &Value {
        &self.graph.values[id.0]
    }

    /// What is known of a value.
    ///
    /// # Errors
    /// [`Internal`](crate::ErrorKind::Internal) when it has no fact yet, or no such value exists.
    pub fn fact(&self, id: ValueId) -> Result<&Fact> {
        let value = self.graph.values.get(id.0).ok_or_else(|| Error::internal(format!("value {} does not exist", id.0)))?;
        value.fact.as_ref().ok_or_else(|| Error::internal(format!("value `{}` has no type yet", value.name)))
    }

    /// The facts of a node's inputs.
    ///
    /// # Errors
    /// As [`fact`](Edit::fact).
    pub fn input_facts(&self, node: &Node) -> Result<Vec<Option<&Fact>>> {
        node.inputs.iter().map(|i| i.map(|id| self.fact(id)).transpose()).collect()
    }

    /// The contents of a value that is constant.
    pub fn contents(&self, id: ValueId) -> Option<&Tensor> {
        self.graph.values.get(id.0)?.constant.as_ref()
    }

    /// The number that a constant of one element holds.
    pub fn scalar(&self, id: ValueId) -> Option<f64> {
        let tensor = self.contents(id)?;
        if tensor.elements() == 1 { tensor.to_f64().first().copied() } else { None }
    }

    /// Whether a value is an output of the graph.
    pub fn is_output(&self, id: ValueId) -> bool {
        self.edges.get(id.0).is_some_and(|edges| edges.output)
    }

    /// The node that makes a value.
    pub fn producer(&self, id: ValueId) -> Option<NodeId> {
        self.edges.get(id.0)?.producer
    }

    /// The node that makes a value, itself.
    pub fn maker(&self, id: ValueId) -> Option<&Node> {
        self.node(self.producer(id)?)
    }

    /// The nodes that use a value, each once, those that were added first at the front.
    pub fn consumers(&self, id: ValueId) -> impl Iterator<Item = NodeId> {
        self.edges.get(id.0).into_iter().flat_map(|edges| edges.consumers.iter().copied())
    }

    /// The one node that uses a value (however often), unless the value is an output of the graph as well.
    pub fn only_consumer(&self, id: ValueId) -> Option<NodeId> {
        let mut consumers = self.consumers(id);
        let first = consumers.next()?;
        (!self.is_output(id) && consumers.next().is_none()).then_some(first)
    }

    /// Whether a value is made from anything that a node makes.
    pub fn depends_on(&self, id: ValueId, node: NodeId) -> bool {
        let (mut seen, mut left) = (HashSet::new(), vec![id]);
        while let Some(id) = left.pop() {
            let Some(producer) = self.producer(id).filter(|producer| seen.insert(*producer)) else { continue };
            if producer == node {
                return true;
            }
            left.extend(self.node(producer).into_iter().flat_map(|node| &node.inputs).flatten());
        }
        false
    }

    /// Output `output` of a node as a view of the node's input 0.
    pub fn view(&self, node: &Node, output: usize) -> Option<(ValueId, View)> {
        let facts = self.input_facts(node).ok()?;
        Some((node.inputs.first().copied().flatten()?, node.op.view(&facts, output)?))
    }

    /// The value as a view of the input of the node that makes it, where that node only moves data.
    pub fn moved(&self, id: ValueId) -> Option<(ValueId, View)> {
        let node = self.maker(id)?;
        self.view(node, node.outputs.iter().position(|o| *o == Some(id))?)
    }

    /// The value that one is another name of: all its elements, in order, under other extents.
    pub fn alias(&self, id: ValueId) -> Option<ValueId> {
        let (input, view) = self.moved(id)?;
        (view.is_contiguous() && self.fact(input).ok()?.ty.elements() == view.shape.elements()).then_some(input)
    }

    /// The new graph: nodes nobody needs dropped, sorted and verified.
    ///
    /// # Errors
    /// What [`Graph::verify`] finds.
    pub fn finish(self) -> Result<Graph> {
        let Edit { mut graph, nodes, .. } = self;
        graph.nodes = nodes.into_iter().flatten().collect();
        graph.sort()?;
        let mut live: HashSet<ValueId> = graph.outputs.iter().copied().collect();
        let mut keep = vec![false; graph.nodes.len()];
        for (index, node) in graph.nodes.iter().enumerate().rev() {
            if node.outputs.iter().flatten().any(|o| live.contains(o)) {
                keep[index] = true;
                live.extend(node.inputs.iter().flatten());
            }
        }
        let mut keep = keep.into_iter();
        graph.nodes.retain(|_| keep.next().unwrap_or(false));
        for node in &mut graph.nodes {
            for output in &mut node.outputs {
                *output = output.filter(|o| live.contains(o));
            }
        }
        // Constants that lost their last use give their memory back.
        for (index, value) in graph.values.iter_mut().enumerate() {
            if !live.contains(&ValueId(index)) {
                value.constant = None;
                if let Some(fact) = &mut value.fact {
                    fact.value = None;
                }
            }
        }
        graph.verify()?;
        Ok(graph)
    }
}
