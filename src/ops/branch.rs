//! If: one of two graphs, chosen by a condition.

use super::Registration;
use super::reshape::identity;
use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Fact, Graph, Node, Op, ValueId, Writer, evaluate, required};
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

crate::attributes!(struct Branch { graph, inputs });

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

    crate::attributes!(then_branch, else_branch);

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

    fn expand(&self, node: &Node, inputs: &[Option<&Fact>], writer: &mut Writer) -> Result<Option<Vec<ValueId>>> {
        let branch = self.known(inputs)?;
        let graph = &branch.graph;
        let mut own: Vec<Option<ValueId>> = vec![None; graph.values().len()];
        for (input, index) in graph.inputs().iter().zip(&branch.inputs) {
            own[input.value.index()] = node.input(*index);
        }
        for (value, own) in graph.values().iter().zip(&mut own).filter(|(_, own)| own.is_none()) {
            let name = format!("{}/{}", node.name(), value.name);
            *own = Some(match &value.constant {
                Some(tensor) => writer.constant(&name, tensor.clone()),
                None => writer.value(&name, None),
            });
        }
        let within = |ids: &[Option<ValueId>]| -> Vec<Option<ValueId>> { ids.iter().map(|id| own[(*id)?.index()]).collect() };
        for node in graph.nodes() {
            writer.write(Node { inputs: within(&node.inputs), outputs: within(&node.outputs), ..node.clone() })?;
        }
        // An output may be an input as it is.
        let outputs = graph.outputs().iter().map(|id| writer.apply_all(identity(), &[own[id.index()]], 1));
        Ok(Some(outputs.collect::<Result<Vec<_>>>()?.concat()))
    }
}
