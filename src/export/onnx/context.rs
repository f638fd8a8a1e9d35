//! What a row of the export table works with: one node of the graph, and the file that is being written.

use super::file::File;
use super::form::{NodeForm, form, form_since};
use super::frame::Frame;
use super::proto;
use crate::error::{Error, Result};
use crate::graph::{Fact, Node};
use crate::tensor::{DType, Tensor};

/// A node being exported.
#[derive(Debug)]
pub(super) struct Context<'c, 'g> {
    pub(super) file: &'c mut File,
    pub(super) frame: &'c mut Frame<'g>,
    pub(super) node: &'g Node,
}

impl Context<'_, '_> {
    /// The name of an input that must be there.
    pub(super) fn input(&mut self, index: usize) -> Result<String> {
        let id = self.node.input(index).ok_or_else(|| Error::unsupported(format!("input {index} is missing")))?;
        Ok(self.frame.read(id))
    }

    /// The name of an input, empty where it is left out.
    pub(super) fn optional(&mut self, index: usize) -> String {
        self.node.input(index).map(|id| self.frame.read(id)).unwrap_or_default()
    }

    /// The names of all inputs.
    pub(super) fn inputs(&mut self) -> Vec<String> {
        (0..self.node.inputs.len()).map(|index| self.optional(index)).collect()
    }

    /// The name of an output, empty where nobody wants it.
    pub(super) fn output(&self, index: usize) -> String {
        let output = self.node.outputs.get(index).copied().flatten();
        output.map(|id| self.frame.name(id).to_string()).unwrap_or_default()
    }

    /// Whether somebody may want an output.
    pub(super) fn wants(&self, index: usize) -> bool {
        self.node.outputs.get(index).is_some_and(Option::is_some)
    }

    /// The names of all outputs.
    pub(super) fn outputs(&self) -> Vec<String> {
        (0..self.node.outputs.len()).map(|index| self.output(index)).collect()
    }

    /// What is known of an input; extents may stand for others.
    pub(super) fn fact(&self, index: usize) -> Option<&Fact> {
        self.frame.facts[self.node.input(index)?.index()].as_ref()
    }

    /// The contents of an input that is a constant which no run replaces.
    pub(super) fn known(&self, index: usize) -> Option<&Tensor> {
        let id = self.node.input(index)?;
        let graph = self.frame.graph;
        graph.constant(id).filter(|_| graph.defaults().iter().all(|default| default.input.value != id))
    }

    /// The rank of an input.
    ///
    /// # Errors
    /// Where it is not known.
    pub(super) fn rank(&self, index: usize) -> Result<usize> {
        let rank = self.fact(index).map(|fact| fact.shape().rank());
        rank.ok_or_else(|| Error::unsupported(format!("it needs the rank of input {index}, which is open")))
    }

    /// Writes a node.
    pub(super) fn write(&mut self, form: &NodeForm, mut inputs: Vec<String>, mut outputs: Vec<String>) {
        for list in [&mut inputs, &mut outputs] {
            while list.last().is_some_and(String::is_empty) {
                list.pop();
            }
        }
        self.file.holds(form);
        let name = self.file.nodes.unique(self.node.name());
        self.frame.message.message(proto::graph::NODE, &proto::node(&name, form, &inputs, &outputs));
    }

    /// Writes the node as one of this form, over its own inputs.
    pub(super) fn emit(&mut self, form: &NodeForm) -> Result<()> {
        let inputs = self.inputs();
        self.emit_over(form, inputs)
    }

    /// Writes the node as one of this form, over these inputs.
    pub(super) fn emit_over(&mut self, form: &NodeForm, inputs: Vec<String>) -> Result<()> {
        let outputs = self.outputs();
        self.write(form, inputs, outputs);
        Ok(())
    }

    /// Writes a node that makes one output of this one.
    pub(super) fn emit_output(&mut self, index: usize, form: &NodeForm, inputs: &[&str]) {
        let output = self.output(index);
        if !output.is_empty() {
            self.write(form, owned(inputs), vec![output]);
        }
    }

    /// Writes a node whose output stays inside what this one is written as, and gives its name.
    pub(super) fn between(&mut self, form: &NodeForm, inputs: &[&str]) -> String {
        let name = self.fresh(form.operator);
        self.write(form, owned(inputs), vec![name.clone()]);
        name
    }

    /// A name for a value inside what this node is written as.
    pub(super) fn fresh(&mut self, label: &str) -> String {
        self.file.values.unique(&format!("{}/{label}", self.node.name()))
    }

    /// Adds a constant, and gives its name.
    pub(super) fn constant(&mut self, label: &str, tensor: Tensor) -> String {
        let name = self.fresh(label);
        self.frame.constants.push((name.clone(), tensor));
        name
    }

    /// Integers as a constant.
    pub(super) fn ints(&mut self, label: &str, values: &[i64]) -> String {
        self.constant(label, Tensor::vector(values))
    }

    /// A number as a constant of a dtype; where that is not known, of the dtype of the value named `like`.
    pub(super) fn number(&mut self, number: f64, dtype: Option<DType>, like: &str) -> Result<String> {
        let ty = |dtype| crate::tensor::TensorType::new(dtype, Vec::new());
        match dtype {
            // Numbers of programs are 32-bit floats wherever they do not meet doubles.
            Some(dtype) if dtype.is_float() && dtype != DType::F64 => {
                let number = f64::from(number as f32);
                Ok(self.constant("number", Tensor::from_f64(ty(dtype), &[number])?))
            }
            Some(DType::F64) => Ok(self.constant("number", Tensor::from_f64(ty(DType::F64), &[number])?)),
            Some(dtype) => Ok(self.constant("number", Tensor::from_i128(ty(dtype), &[number as i128])?)),
            None => {
                let number = self.constant("number", Tensor::scalar(number));
                Ok(self.between(&form_since("CastLike", 15), &[&number, like]))
            }
        }
    }

    /// A number of the dtype of an input.
    pub(super) fn number_like(&mut self, number: f64, index: usize) -> Result<String> {
        let (dtype, like) = (self.fact(index).map(Fact::dtype), self.input(index)?);
        self.number(number, dtype, &like)
    }

    /// Makes output 0 another name of a value.
    pub(super) fn rename(&mut self, value: &str) {
        self.emit_output(0, &form("Identity"), &[value]);
    }
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}
