//! Graphs under construction: that of the model, and around the branch of an If that is being imported those it stands in.

use super::dtype::Declared;
use super::graph::Importer;
use crate::error::{Error, Result};
use crate::graph::{Dim, Graph, ValueId, Writer};
use crate::tensor::{DType, Tensor};
use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;

/// One graph under construction, and what is known of its values.
#[derive(Debug, Default)]
pub(super) struct Frame {
    pub(super) writer: Writer,
    /// Types of values, as far as the file declares them.
    pub(super) types: HashMap<ValueId, Declared>,
    /// Contents of the values that are constant.
    pub(super) constants: HashMap<ValueId, Constant>,
    /// The inputs of a branch: values of the graph around it, and what they are within.
    captured: Vec<(ValueId, ValueId)>,
}

/// A value whose contents the file holds.
#[derive(Clone, Debug)]
pub(super) struct Constant {
    pub(super) name: String,
    pub(super) tensor: Tensor,
    /// Whether the import depends on its contents, which a run then may not replace.
    pub(super) settled: Rc<Cell<bool>>,
}

impl Frame {
    pub(super) fn new(name: &str) -> Self {
        Frame { writer: Writer::new(name), ..Frame::default() }
    }

    /// Adds a constant.
    pub(super) fn constant(&mut self, name: &str, tensor: Tensor) -> ValueId {
        let value = self.writer.constant(name, tensor.clone());
        let dims = tensor.shape().iter().map(|d| Dim::Known(*d)).collect();
        self.types.insert(value, Declared { dtype: tensor.dtype(), dims: Some(dims) });
        self.constants.insert(value, Constant { name: name.to_string(), tensor, settled: Rc::default() });
        value
    }

    /// The contents of a value, where they are a constant of the file; the import depends on them from now on.
    pub(super) fn known(&self, value: ValueId) -> Option<&Tensor> {
        let constant = self.constants.get(&value)?;
        constant.settled.set(true);
        Some(&constant.tensor)
    }

    /// The input that stands for a value of the graph around this one.
    fn capture(&mut self, value: ValueId, declared: Option<Declared>, constant: Option<Constant>) -> ValueId {
        if let Some((_, own)) = self.captured.iter().find(|(outer, _)| *outer == value) {
            return *own;
        }
        // The types of a branch are inferred when it is taken.
        let dtype = declared.as_ref().map_or(DType::F32, |d| d.dtype);
        let own = self.writer.declare(&format!("captured.{}", self.captured.len()), dtype, None);
        self.types.extend(declared.map(|declared| (own, declared)));
        self.constants.extend(constant.map(|constant| (own, constant)));
        self.captured.push((value, own));
        own
    }
}

impl<'m> Importer<'m> {
    /// How many graphs stand around the one that is being built.
    pub(super) fn depth(&self) -> usize {
        self.outer.len()
    }

    /// The graph at a depth.
    pub(super) fn frame(&mut self, depth: usize) -> &mut Frame {
        self.outer.get_mut(depth).unwrap_or(&mut self.current)
    }

    /// What a value of the graph at `depth` is in the one that is being built.
    pub(super) fn captured(&mut self, mut value: ValueId, depth: usize) -> ValueId {
        for depth in depth..self.depth() {
            let around = self.frame(depth);
            let (declared, constant) = (around.types.get(&value).cloned(), around.constants.get(&value).cloned());
            value = self.frame(depth.saturating_add(1)).capture(value, declared, constant);
        }
        value
    }

    /// Builds a graph of its own by `work`, which gives its outputs. Returns it with the values around it that its inputs are.
    pub(super) fn apart(
        &mut self,
        name: &str,
        work: impl FnOnce(&mut Self) -> Result<Vec<Option<ValueId>>>,
    ) -> Result<(Graph, Vec<ValueId>)> {
        let around = std::mem::replace(&mut self.current, Frame::new(name));
        self.outer.push(around);
        let outputs = work(self);
        let around = self.outer.pop().ok_or_else(|| Error::internal("a branch without a graph around it"))?;
        let Frame { mut writer, captured, .. } = std::mem::replace(&mut self.current, around);
        for (index, output) in outputs?.into_iter().enumerate() {
            let output = output.ok_or_else(|| Error::invalid_model("the output of a branch is a value that was left out"))?;
            // Outputs have names of their own, whatever they are.
            let output = writer.add(&format!("output.{index}"), crate::ops::reshape::identity(), &[Some(output)]);
            writer.output(&format!("output.{index}"), output)?;
        }
        Ok((writer.finish()?, captured.into_iter().map(|(outer, _)| outer).collect()))
    }
}
