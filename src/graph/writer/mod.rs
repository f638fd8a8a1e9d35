//! Writing graphs: one table of values and one of nodes, and who makes and who uses each value, kept current.

mod links;
mod names;
mod specialized;
mod states;
mod structures;

use super::{DefaultInput, Dim, Fact, Form, Graph, Input, Node, Op, Structure, Value, ValueId};
use crate::error::{Error, Result};
use crate::tensor::{DType, Tensor};
use links::Links;
use names::Names;
use specialized::Place;
use states::Unwritten;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Names a node of a graph that is being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(usize);

/// Paths of the nodes that went and came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Nodes that are there no more.
    pub gone: Vec<String>,
    /// Nodes that stand in their place.
    pub made: Vec<String>,
}

/// A graph that is being written.
///
/// Every look-up answers for what has been written so far. Value ids of the graph it starts from stay valid. There are two ways to add
/// a node: [`write`](Writer::write) and [`apply`](Writer::apply) infer the facts of its outputs where the graph is specialised, and fold
/// or expand it; [`push`](Writer::push) and [`add`](Writer::add) take it as it stands.
#[derive(Debug, Default)]
pub struct Writer {
    /// Values, inputs and outputs; its nodes are in `nodes`.
    graph: Graph,
    names: Names,
    nodes: Vec<Option<Node>>,
    /// By value, as long as the values.
    links: Vec<Links>,
    /// States that are read, and not yet written.
    unwritten: Vec<Unwritten>,
    /// Values that are no tensors of their own, and what they are.
    structures: HashMap<ValueId, Structure<ValueId>>,
    /// How many tensors they list.
    listed: usize,
    /// Whether every value has a fact.
    specialized: bool,
    /// What is being written in place of nodes, the innermost last.
    places: Vec<Place>,
    /// What a rewrite did; nothing is noted while a graph is written anew.
    changes: Option<Changes>,
}

impl Writer {
    /// Starts an empty graph. Its inputs may have open extents, so nothing is inferred.
    pub fn new(name: impl Into<String>) -> Self {
        Writer { graph: Graph { name: name.into(), ..Graph::default() }, ..Writer::default() }
    }

    /// Starts from a graph's values, inputs and outputs, and no node, to write its nodes anew with facts.
    pub fn specializing(graph: &Graph) -> Self {
        let mut names = Names::default();
        graph.values.iter().for_each(|value| {
            names.take(&value.name);
        });
        let mut links = vec![Links::default(); graph.values.len()];
        graph.outputs.iter().for_each(|id| links[id.0].output = true);
        let graph = Graph {
            nodes: Vec::new(),
            name: graph.name.clone(),
            values: graph.values.clone(),
            inputs: graph.inputs.clone(),
            defaults: graph.defaults.clone(),
            outputs: graph.outputs.clone(),
            states: graph.states.clone(),
        };
        Writer { graph, names, links, specialized: true, ..Writer::default() }
    }

    /// Starts from a whole graph, to rewrite it.
    pub fn rewriting(graph: &Graph) -> Self {
        let mut writer = Writer::specializing(graph);
        graph.nodes.iter().for_each(|node| {
            writer.push(node.clone());
        });
        writer.specialized = graph.nodes.iter().flat_map(|node| &node.inputs).flatten().all(|id| writer.get(*id).fact.is_some());
        writer.changes = Some(Changes::default());
        writer
    }

    /// A fresh value; its name is made unique by a number when it is taken.
    pub fn value(&mut self, name: &str, fact: Option<Fact>) -> ValueId {
        self.graph.values.push(Value { name: self.names.unique(name), constant: None, fact });
        self.links.push(Links::default());
        ValueId(self.graph.values.len() - 1)
    }

    /// A fresh constant.
    pub fn constant(&mut self, name: &str, tensor: Tensor) -> ValueId {
        let id = self.value(name, self.specialized.then(|| Fact::of(tensor.clone())));
        self.graph.values[id.0].constant = Some(tensor);
        id
    }

    /// A declared input; `dims` is `None` when its rank is open.
    pub fn declare(&mut self, name: &str, dtype: DType, dims: Option<Vec<Dim>>) -> ValueId {
        self.declare_form(name, Form::Tensor, dtype, dims)
    }

    /// A declared input that may be a sequence, or left out; `dims` are the extents of its tensors.
    pub fn declare_form(&mut self, name: &str, form: Form, dtype: DType, dims: Option<Vec<Dim>>) -> ValueId {
        let value = self.value(name, None);
        self.graph.inputs.push(Input { value, form, dtype, dims });
        value
    }

    /// Declares a constant to be an input as well, at a place among all inputs: a run may give another value for it.
    ///
    /// # Errors
    /// [`InvalidModel`](crate::ErrorKind::InvalidModel) when the value is no constant.
    pub fn default_input(&mut self, value: ValueId, dims: Option<Vec<Dim>>, place: usize) -> Result<()> {
        let constant =
            self.contents(value).ok_or_else(|| Error::invalid_model("only a constant can be the default of an input"))?;
        let input = Input { value, form: Form::Tensor, dtype: constant.dtype(), dims };
        self.graph.defaults.push(DefaultInput { input, place });
        Ok(())
    }

    /// Declares a value to be an output, under `name`.
    ///
    /// # Errors
    /// [`InvalidModel`](crate::ErrorKind::InvalidModel) when another value has that name.
    pub fn output(&mut self, name: &str, value: ValueId) -> Result<()> {
        let current = self.get(value).name.clone();
        if current != name {
            if !self.names.take(name) {
                return Err(Error::invalid_model(format!("two values are named `{name}`")));
            }
            self.names.free(&current);
            self.graph.values[value.0].name = name.to_string();
        }
        self.links[value.0].output = true;
        self.graph.outputs.push(value);
        Ok(())
    }

    /// Adds a node as it stands, in any order.
    pub fn push(&mut self, node: Node) -> NodeId {
        let id = NodeId(self.nodes.len());
        self.nodes.push(None);
        self.link(id, node);
        id
    }

    /// Adds a node as it stands, with one output that is named like it.
    pub fn add(&mut self, name: &str, op: Arc<dyn Op>, inputs: &[Option<ValueId>]) -> ValueId {
        let output = self.value(name, None);
        self.push(Node::new(name, op, inputs.to_vec(), vec![Some(output)]));
        output
    }

    /// Puts a node in the place of another. What only that one read goes.
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

    /// Makes an existing value constant; a node that makes nothing else goes.
    pub fn fold(&mut self, id: ValueId, tensor: Tensor) {
        if let Some(producer) = self.producer(id) {
            self.remove(producer);
        }
        self.graph.values[id.0].fact = Some(Fact::of(tensor.clone()));
        self.graph.values[id.0].constant = Some(tensor);
    }

    /// Makes a declared input constant: it is no input any more, and none of a state.
    pub fn fold_input(&mut self, id: ValueId, tensor: Tensor) {
        self.graph.states.retain(|state| state.input != id);
        self.graph.inputs.retain(|input| input.value != id);
        self.fold(id, tensor);
    }

    /// Records what is known of a value.
    pub fn set_fact(&mut self, id: ValueId, fact: Fact) {
        self.graph.values[id.0].fact = Some(fact);
    }

    /// The nodes that are there, in the order in which they were added.
    pub fn nodes(&self) -> Vec<NodeId> {
        (0..self.nodes.len()).map(NodeId).filter(|id| self.node(*id).is_some()).collect()
    }

    /// A node, unless it is gone.
    pub fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id.0)?.as_ref()
    }

    /// A value.
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
    /// As [`fact`](Writer::fact).
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

    /// What has gone and come in a rewrite since this was last asked.
    pub fn take_changes(&mut self) -> Changes {
        self.changes.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The graph with all its nodes, sorted and verified.
    ///
    /// # Errors
    /// [`InvalidModel`](crate::ErrorKind::InvalidModel) for cycles; what [`Graph::verify`] finds.
    pub fn finish(self) -> Result<Graph> {
        let graph = self.sorted()?;
        graph.verify()?;
        Ok(graph)
    }

    /// The graph without the nodes that no output is made from, sorted and verified.
    ///
    /// # Errors
    /// As [`finish`](Writer::finish).
    pub fn finish_needed(self) -> Result<Graph> {
        let mut graph = self.sorted()?;
        drop_unneeded(&mut graph);
        graph.verify()?;
        Ok(graph)
    }

    fn sorted(self) -> Result<Graph> {
        self.check_written()?;
        let Writer { mut graph, nodes, .. } = self;
        graph.nodes = nodes.into_iter().flatten().collect();
        graph.sort()?;
        Ok(graph)
    }
}

/// Drops the nodes of a sorted graph that no output is made from, and the contents of constants that lost their last use.
fn drop_unneeded(graph: &mut Graph) {
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
    for output in graph.nodes.iter_mut().flat_map(|node| &mut node.outputs) {
        *output = output.filter(|o| live.contains(o));
    }
    for (index, value) in graph.values.iter_mut().enumerate() {
        if !live.contains(&ValueId(index)) {
            value.constant = None;
            if let Some(fact) = &mut value.fact {
                fact.value = None;
            }
        }
    }
}
