//! Rewriting: a pass copies a graph into an edit, changes it, and finishes into a new, verified graph.

use super::{Fact, Graph, Node, Value, ValueId};
use crate::error::Result;
use crate::tensor::Tensor;
use std::collections::HashSet;

/// A graph being rewritten. Value ids of the old graph stay valid in the new one.
#[derive(Debug)]
pub struct Edit {
    graph: Graph,
    names: HashSet<String>,
}

impl Edit {
    /// Starts from a graph's values, inputs and outputs, and no node.
    pub fn without_nodes(graph: &Graph) -> Self {
        let names = graph.values.iter().map(|v| v.name.clone()).collect();
        Edit { graph: Graph { nodes: Vec::new(), ..graph.clone() }, names }
    }

    /// Adds a node, in any order.
    pub fn push(&mut self, node: Node) {
        self.graph.nodes.push(node);
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
        ValueId(self.graph.values.len() - 1)
    }

    /// A fresh constant.
    pub fn constant(&mut self, name: &str, tensor: Tensor) -> ValueId {
        let id = self.value(name, Some(Fact::of(tensor.clone())));
        self.graph.values[id.0].constant = Some(tensor);
        id
    }

    /// Makes an existing value constant (its producer must not be pushed).
    pub fn fold(&mut self, id: ValueId, tensor: Tensor) {
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

    /// The new graph: nodes nobody needs dropped, sorted and verified.
    ///
    /// # Errors
    /// What [`Graph::verify`] finds.
    pub fn finish(self) -> Result<Graph> {
        let Edit { mut graph, .. } = self;
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
