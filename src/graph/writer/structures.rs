//! Values of a specialised graph that are no tensors of their own: other names of values, sequences, and what is left out.

use super::Writer;
use super::specialized::Place;
use crate::error::{Error, Result};
use crate::graph::{Flow, Form, Input, Node, Op, Structure, ValueId};
use std::sync::Arc;

/// The most tensors that all sequences of a graph list.
const MAX_LISTED: usize = 1 << 24;

impl Writer {
    /// What a value is: itself, unless it was bound to something else.
    pub fn structure(&self, id: ValueId) -> Structure<ValueId> {
        self.structures.get(&id).cloned().unwrap_or(Structure::Tensor(id))
    }

    /// Makes a value that no node makes another name of what there is.
    pub fn bind(&mut self, id: ValueId, structure: Structure<ValueId>) {
        if structure != Structure::Tensor(id) {
            self.structures.insert(id, structure);
        }
    }

    /// The node with the tensors that its inputs are other names of.
    pub(super) fn resolved(&self, node: &Node) -> Result<Node> {
        let input = |id: &Option<ValueId>| match id.map(|id| self.structure(id)) {
            None | Some(Structure::Absent) => Ok(None),
            Some(structure) => structure.tensor().copied().map(Some),
        };
        Ok(Node { inputs: node.inputs.iter().map(input).collect::<Result<_>>()?, ..node.clone() })
    }

    /// Writes what an operator on whole values is here.
    pub(super) fn flow(&mut self, node: &Node, flow: &dyn Flow) -> Result<()> {
        let inputs: Vec<Structure<ValueId>> =
            node.inputs.iter().map(|id| id.map_or(Structure::Absent, |id| self.structure(id))).collect();
        let tensor = |input: &Structure<ValueId>| if let Structure::Tensor(id) = input { Some(*id) } else { None };
        let place = Place { name: node.name().to_string(), inputs: inputs.iter().map(tensor).collect(), flows: true };
        let outputs = self.within(place, |writer| flow.write(node, &inputs, writer))?;
        for (index, id) in node.outputs.iter().enumerate() {
            let Some(id) = *id else { continue };
            let output =
                outputs.get(index).cloned().ok_or_else(|| Error::invalid_model(format!("output {index} is never made")))?;
            // Each node of a chain that edits a long sequence has a list of its own.
            self.listed += output.tensors().len();
            if self.listed > MAX_LISTED {
                return Err(Error::limit(format!("the sequences of a graph list more than {MAX_LISTED} tensors in all")));
            }
            self.bind(id, output);
        }
        Ok(())
    }

    /// Puts an input for each tensor of a sequence, of these names, in the place of an input.
    pub fn split_input(&mut self, id: ValueId, names: impl Iterator<Item = String>) -> Vec<ValueId> {
        let tensors: Vec<ValueId> = names.map(|name| self.value(&name, None)).collect();
        if let Some(at) = self.graph.inputs.iter().position(|input| input.value == id) {
            let dtype = self.graph.inputs[at].dtype;
            let inputs = tensors.iter().map(|value| Input { value: *value, form: Form::Tensor, dtype, dims: None });
            self.graph.inputs.splice(at..=at, inputs);
        }
        self.bind(id, Structure::Sequence(tensors.clone()));
        tensors
    }

    /// Takes an input away that a run leaves out.
    pub fn leave_out_input(&mut self, id: ValueId) {
        self.graph.inputs.retain(|input| input.value != id);
        self.bind(id, Structure::Absent);
    }

    /// Makes the outputs of the graph tensors of their own: an output for each tensor of a sequence, and none for what is absent. Gives what each
    /// output was in terms of them. `identity` makes the operator that copies a value.
    ///
    /// # Errors
    /// As [`write`](Writer::write).
    pub fn return_tensors(&mut self, identity: fn() -> Arc<dyn Op>) -> Result<Vec<Structure<ValueId>>> {
        let outputs = std::mem::take(&mut self.graph.outputs);
        let mut returned = Vec::with_capacity(outputs.len());
        for output in outputs {
            let structure = self.structures.remove(&output).unwrap_or(Structure::Tensor(output));
            let own = match structure {
                Structure::Tensor(id) if id == output => Structure::Tensor(output),
                Structure::Tensor(id) => {
                    self.write(Node::new(&self.get(output).name.clone(), identity(), vec![Some(id)], vec![Some(output)]))?;
                    Structure::Tensor(output)
                }
                Structure::Sequence(ids) => {
                    let name = self.get(output).name.clone();
                    let mut tensors = Vec::with_capacity(ids.len());
                    for (k, id) in ids.into_iter().enumerate() {
                        let tensor = self.value(&format!("{name}[{k}]"), None);
                        self.write(Node::new(&name, identity(), vec![Some(id)], vec![Some(tensor)]))?;
                        tensors.push(tensor);
                    }
                    Structure::Sequence(tensors)
                }
                Structure::Absent => Structure::Absent,
            };
            self.graph.outputs.extend(own.tensors());
            own.tensors().iter().for_each(|id| self.links[id.0].output = true);
            returned.push(own);
        }
        Ok(returned)
    }
}
