//! What several passes need: looking around in a graph, and dropping nodes that repeat others.

use crate::error::{Error, Result};
use crate::graph::{Edit, Fact, Graph, Node, ValueId};
use crate::kernel::ScalarFunction;
use crate::ops::elementwise::function;
use crate::tensor::View;
use std::collections::HashMap;

/// A graph with its edges indexed both ways.
#[allow(dead_code, reason = "the passes that look around land next")]
pub(crate) struct Surroundings<'a> {
    pub(crate) graph: &'a Graph,
    producers: Vec<Option<usize>>,
    consumers: Vec<Vec<usize>>,
    output: Vec<bool>,
}

#[allow(dead_code, reason = "the passes that look around land next")]
impl<'a> Surroundings<'a> {
    pub(crate) fn new(graph: &'a Graph) -> Self {
        let mut output = vec![false; graph.values().len()];
        for id in graph.outputs() {
            output[id.index()] = true;
        }
        Surroundings { graph, producers: graph.producers(), consumers: graph.consumers(), output }
    }

    /// The node that makes a value, and its index.
    pub(crate) fn producer(&self, id: ValueId) -> Option<(usize, &'a Node)> {
        self.producers[id.index()].map(|index| (index, &self.graph.nodes()[index]))
    }

    /// The one node that uses a value (however often), unless the value is an output of the graph as well.
    pub(crate) fn only_consumer(&self, id: ValueId) -> Option<(usize, &'a Node)> {
        let (first, rest) = self.consumers[id.index()].split_first()?;
        (!self.output[id.index()] && rest.iter().all(|c| c == first)).then(|| (*first, &self.graph.nodes()[*first]))
    }

    /// Output `output` of a node as a view of the node's input 0.
    pub(crate) fn view(&self, node: &Node, output: usize) -> Option<(ValueId, View)> {
        let facts = self.graph.input_facts(node).ok()?;
        Some((node.inputs.first().copied().flatten()?, node.op.view(&facts, output)?))
    }

    /// The value as a view of the input of the node that makes it, where that node only moves data.
    pub(crate) fn moved(&self, id: ValueId) -> Option<(ValueId, View)> {
        let (_, node) = self.producer(id)?;
        self.view(node, node.outputs.iter().position(|o| *o == Some(id))?)
    }

    /// The number that a constant of one element holds.
    pub(crate) fn scalar(&self, id: ValueId) -> Option<f64> {
        let tensor = self.graph.constant(id)?;
        if tensor.elements() == 1 { tensor.to_f64().first().copied() } else { None }
    }

    /// What is known of a value.
    pub(crate) fn fact(&self, id: ValueId) -> Result<&'a Fact> {
        self.graph.fact(id)
    }
}

/// A scalar function that the passes themselves need.
pub(crate) fn elementwise(name: &'static str) -> Result<&'static ScalarFunction> {
    function(name).ok_or_else(|| Error::internal(format!("no scalar function is named {name}")))
}

/// Drops nodes that do what an earlier one does with the same inputs.
pub(crate) fn deduplicate(graph: &Graph) -> Result<Graph> {
    let mut edit = Edit::without_nodes(graph);
    type Ids = Vec<Option<ValueId>>;
    let mut seen: HashMap<(String, Ids), Ids> = HashMap::new();
    let mut renamed: HashMap<ValueId, ValueId> = HashMap::new();
    for node in graph.nodes() {
        let mut node = node.clone();
        for id in node.inputs.iter_mut().flatten() {
            *id = renamed.get(id).copied().unwrap_or(*id);
        }
        let key = (format!("{:?}", node.op), node.inputs.clone());
        let same = seen.get(&key).filter(|first| {
            let replaceable = |(mine, theirs): (&Option<ValueId>, &Option<ValueId>)| match (mine, theirs) {
                (None, _) => true,
                (Some(mine), Some(_)) => !graph.outputs().contains(mine),
                (Some(_), None) => false,
            };
            node.outputs.len() <= first.len() && node.outputs.iter().zip(first.iter()).all(replaceable)
        });
        match same {
            Some(first) => {
                for (mine, theirs) in node.outputs.iter().zip(first) {
                    if let (Some(mine), Some(theirs)) = (mine, theirs) {
                        renamed.insert(*mine, *theirs);
                    }
                }
            }
            None => {
                seen.insert(key, node.outputs.clone());
                edit.push(node);
            }
        }
    }
    edit.finish()
}
