//! Graphs under construction: that of the model, and around the branch of an If that is being imported those it stands in.

use super::dtype::Declared;
use crate::graph::{Dim, Form, ValueId, Writer};
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
    pub(super) captured: Vec<(ValueId, ValueId)>,
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
        self.types.insert(value, Declared { form: Form::Tensor, dtype: tensor.dtype(), dims: Some(dims) });
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
    pub(super) fn capture(&mut self, value: ValueId, declared: Option<Declared>, constant: Option<Constant>) -> ValueId {
        if let Some((_, own)) = self.captured.iter().find(|(outer, _)| *outer == value) {
            return *own;
        }
        // The types of a branch are inferred when it is taken.
        let dtype = declared.as_ref().map_or(DType::F32, |d| d.dtype);
        let form = declared.as_ref().map_or(Form::Tensor, |d| d.form);
        let own = self.writer.declare_form(&format!("captured.{}", self.captured.len()), form, dtype, None);
        self.types.extend(declared.map(|declared| (own, declared)));
        self.constants.extend(constant.map(|constant| (own, constant)));
        self.captured.push((value, own));
        own
    }
}
