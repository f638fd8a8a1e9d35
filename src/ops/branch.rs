//! If: one of two graphs, chosen by a condition.

use super::Registration;
use super::reshape::identity;
use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Edit, Fact, Graph, Io, Node, Op, ValueId, evaluate, required};
use crate::kernel::{Caps, Lowering};
use crate::tensor::{DType, Tensor};
use std::sync::Arc;

/// The operator of this file.
pub static REGISTRATION: Registration = Registration { operators: &["If"], shaders: &[] };

/// A graph that an If may take.
#[derive(Clone, Debug)]
pub struct Branch {
    /// What it computes; its outputs are the operator's.
    pub graph: Arc<Graph>,
    /// For each input of the graph, the input of the operator that it is.
    pub inputs: Vec<usize>,
}

/// ONNX If: input 0 is the condition, the others are what the branches read. It is replaced by the nodes of the branch that is taken as
/// soon as the condition is known.
#[derive(Clone, Debug)]
pub struct If {
    /// Where the condition is true.
    pub then_branch: Branch,
    /// Where it is false.
    pub else_branch: Branch,
}

/// One of two graphs of as many outputs, chosen by input 0.
pub fn branch(then_branch: Branch, else_branch: Branch) -> Arc<dyn Op> {
    Arc::new(If { then_branch, else_branch })
}

impl If {
    /// The branch that a condition takes.
    fn taken(&self, condition: &Tensor) -> Result<&Branch> {
        if condition.dtype() != DType::Bool || condition.elements() != 1 {
            return Err(Error::invalid_model(format!("If takes a condition of one bool, found {}", condition.ty())));
        }
        let holds = condition.to_i128().first().is_some_and(|c| *c != 0);
        Ok(if holds { &self.then_branch } else { &self.else_branch })
    }

    /// The branch that is taken, once the condition is known.
    fn known(&self, inputs: &[Option<&Fact>]) -> Result<&Branch> {
        let condition = required("If", inputs, 0)?.value.as_ref().ok_or_else(|| Error::needs_value(0))?;
        self.taken(condition)
    }
}

impl Branch {
    /// What is known of every value, from what is known of the operator's inputs.
    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Option<Fact>>> {
        let of_constant = |value: &crate::graph::Value| value.constant.clone().map(Fact::of);
        let mut facts: Vec<Option<Fact>> = self.graph.values().iter().map(of_constant).collect();
        for (input, index) in self.graph.inputs().iter().zip(&self.inputs) {
            facts[input.value.index()] = Some(required("If", inputs, *index)?.clone());
        }
        for node in self.graph.nodes() {
            let own: Vec<Option<&Fact>> = node.inputs.iter().map(|i| i.and_then(|id| facts[id.index()].as_ref())).collect();
            let mut results = node.op.infer(&own).map_err(|e| self.blocked(e, node, &facts).at(&node.path))?;
            // Shapes within a branch come from shape arithmetic as well.
            if results.iter().any(|f| f.value.is_none()) && own.iter().flatten().all(|f| f.value.is_some()) {
                let tensors: Vec<Option<&Tensor>> = own.iter().map(|f| f.and_then(|f| f.value.as_ref())).collect();
                results = node.op.reference(&tensors).map_err(|e| e.at(&node.path))?.into_iter().map(Fact::of).collect();
            }
            for (id, fact) in node.outputs.iter().zip(results) {
                if let Some(id) = id {
                    facts[id.index()] = Some(fact);
                }
            }
        }
        Ok(facts)
    }

    /// An error of a node, in terms of the operator's inputs: where it asks for a value, the first unknown one that this depends on.
    fn blocked(&self, error: Error, node: &Node, facts: &[Option<Fact>]) -> Error {
        let ErrorKind::NeedsValue(index) = error.kind() else { return error };
        let mut needed = vec![false; facts.len()];
        if let Some(id) = node.inputs.get(index).copied().flatten() {
            needed[id.index()] = true;
        }
        for node in self.graph.nodes().iter().rev() {
            if node.outputs.iter().flatten().any(|id| needed[id.index()]) {
                node.inputs.iter().flatten().for_each(|id| needed[id.index()] = true);
            }
        }
        let unknown = |id: ValueId| facts[id.index()].as_ref().is_none_or(|fact| fact.value.is_none());
        let mut inputs = self.graph.inputs().iter().zip(&self.inputs);
        match inputs.find(|(input, _)| needed[input.value.index()] && unknown(input.value)) {
            Some((_, index)) => Error::needs_value(*index),
            None => Error::internal("a branch needs a value that depends on no input"),
        }
    }
}

impl Op for If {
    fn name(&self) -> &'static str {
        "If"
    }

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let branch = self.known(inputs)?;
        let facts = branch.infer(inputs)?;
        let fact = |id: &ValueId| facts[id.index()].clone().ok_or_else(|| Error::internal("an output of a branch without a type"));
        branch.graph.outputs().iter().map(fact).collect()
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let branch = self.taken(required("If", inputs, 0)?)?;
        let own = branch.inputs.iter().map(|index| required("If", inputs, *index).cloned()).collect::<Result<Vec<_>>>()?;
        let values = evaluate(&branch.graph, &own)?;
        let output = |id: &ValueId| values[id.index()].clone().ok_or_else(|| Error::internal("an output that was not computed"));
        branch.graph.outputs().iter().map(output).collect()
    }

    fn candidates(&self, _: &Io, _: &Caps) -> Result<Vec<Lowering>> {
        Err(Error::unsupported("If is replaced by a branch before a run and has no kernel"))
    }

    fn expand(&self, node: &Node, inputs: &[Option<&Fact>], edit: &mut Edit) -> Result<Option<Vec<Node>>> {
        let branch = self.known(inputs)?;
        let prefix = node.path.split_once(':').map_or(node.path.as_str(), |(_, name)| name);
        let graph = &branch.graph;
        let mut own: Vec<Option<ValueId>> = vec![None; graph.values().len()];
        for (input, index) in graph.inputs().iter().zip(&branch.inputs) {
            own[input.value.index()] = node.inputs.get(*index).copied().flatten();
        }
        for (value, own) in graph.values().iter().zip(&mut own).filter(|(_, own)| own.is_none()) {
            let name = format!("{prefix}/{}", value.name);
            *own = Some(match &value.constant {
                Some(tensor) => edit.constant(&name, tensor.clone()),
                None => edit.value(&name, None),
            });
        }
        let within = |ids: &[Option<ValueId>]| -> Vec<Option<ValueId>> { ids.iter().map(|id| own[(*id)?.index()]).collect() };
        let mut nodes: Vec<Node> =
            graph.nodes().iter().map(|n| Node { inputs: within(&n.inputs), outputs: within(&n.outputs), ..n.clone() }).collect();
        for (id, output) in graph.outputs().iter().zip(&node.outputs).filter(|(_, output)| output.is_some()) {
            nodes.push(Node { path: node.path.clone(), op: identity(), inputs: vec![own[id.index()]], outputs: vec![*output] });
        }
        Ok(Some(nodes))
    }
}
