//! The state of an import: graphs under construction, what names mean, and what the import may still cost.

use super::dtype::Declared;
use super::external::Folder;
use super::frame::Frame;
use super::proto::{FunctionProto, GraphProto, ModelProto, TensorProto};
use super::scope::{Scope, normal, versions};
use super::tensor;
use crate::error::{Error, Result};
use crate::graph::{Dim, Form, Graph, ValueId};
use crate::tensor::{DType, Tensor};
use std::collections::HashMap;

/// What nodes may cost in all, in bytes or thereabouts. Functions that call functions can make a small file stand for
/// any number of nodes.
const BUDGET: usize = 1 << 28;

/// The name of the input that nodes take which drop elements.
const DROPOUT_KEY: &str = "dropout_key";

/// The state of an import.
#[derive(Debug)]
pub(super) struct Importer<'m> {
    /// The graph that is being built.
    pub(super) current: Frame,
    /// Those around it, the model's first.
    pub(super) outer: Vec<Frame>,
    pub(super) scopes: Vec<Scope<'m>>,
    /// Model-local functions by domain, name and overload.
    pub(super) functions: HashMap<(&'m str, &'m str, &'m str), &'m FunctionProto>,
    /// Constants that a run may replace, with their declared types and places among the inputs.
    pub(super) defaults: Vec<(ValueId, Declared, usize)>,
    /// The input of the model's graph from which nodes know what to drop, once one asks.
    dropout_key: Option<ValueId>,
    /// How many nodes drop anything.
    dropouts: u32,
    /// Converted tensors by address, so that a function body called often shares its constants.
    tensors: HashMap<*const TensorProto, Tensor>,
    folder: Folder,
    budget: usize,
}

impl<'m> Importer<'m> {
    /// Nothing of the graph of a model is imported yet.
    pub(super) fn new(model: &'m ModelProto, graph: &'m GraphProto, folder: Folder) -> Result<Self> {
        let mut functions = HashMap::new();
        for function in &model.functions {
            if functions.insert((normal(&function.domain), function.name.as_str(), function.overload.as_str()), function).is_some()
            {
                return Err(Error::invalid_model(format!(
                    "two functions are named `{}` in domain `{}`",
                    function.name, function.domain
                )));
            }
        }
        Ok(Importer {
            current: Frame::new(&graph.name),
            outer: Vec::new(),
            scopes: vec![Scope { versions: versions(&model.opset_import)?, ..Scope::default() }],
            functions,
            defaults: Vec::new(),
            dropout_key: None,
            dropouts: 0,
            tensors: HashMap::new(),
            folder,
            budget: BUDGET,
        })
    }

    /// The innermost scope.
    pub(super) fn scope(&mut self) -> Result<&mut Scope<'m>> {
        self.scopes.last_mut().ok_or_else(|| Error::internal("an import without a scope"))
    }

    /// Takes over the initializers and declared types of a graph.
    pub(super) fn enter(&mut self, graph: &'m GraphProto) -> Result<()> {
        if let Some(sparse) = graph.sparse_initializer.first() {
            let name = sparse.values.as_ref().map_or("", |v| v.name.as_str());
            return Err(Error::unsupported(format!("initializer `{name}` is a sparse tensor; only dense tensors are implemented")));
        }
        let scope = self.scope()?;
        scope.initialize(&graph.initializer)?;
        scope.declared.extend(graph.value_info.iter().chain(&graph.output).map(|info| (info.name.as_str(), info)));
        Ok(())
    }

    /// The value that a name means in the innermost scope; `None` where an optional one was left out.
    pub(super) fn resolve(&mut self, name: &str) -> Result<Option<ValueId>> {
        self.find(name)?.ok_or_else(|| Error::invalid_model(format!("input `{name}` is made by no node, input or initializer")))
    }

    /// The value of a name, `None` where the name means nothing.
    pub(super) fn find(&mut self, name: &str) -> Result<Option<Option<ValueId>>> {
        for index in (0..self.scopes.len()).rev() {
            let Some(scope) = self.scopes.get_mut(index) else { break };
            let depth = scope.depth;
            if let Some(value) = scope.values.get(name).copied() {
                return Ok(Some(value.map(|value| self.captured(value, depth))));
            }
            if let Some((key, proto)) = scope.initializers.remove_entry(name) {
                let label = format!("{}{name}", scope.prefix);
                let tensor = self.tensor(proto)?;
                let value = self.frame(depth).constant(&label, tensor);
                if let Some(scope) = self.scopes.get_mut(index) {
                    scope.values.insert(key, Some(value));
                }
                return Ok(Some(Some(self.captured(value, depth))));
            }
            if !scope.nested {
                break;
            }
        }
        Ok(None)
    }

    /// The contents of a stored tensor, converted once.
    pub(super) fn tensor(&mut self, proto: &'m TensorProto) -> Result<Tensor> {
        if let Some(tensor) = self.tensors.get(&std::ptr::from_ref(proto)) {
            return Ok(tensor.clone());
        }
        let tensor = tensor::tensor(proto, &mut self.folder)?;
        self.tensors.insert(proto, tensor.clone());
        Ok(tensor)
    }

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

    /// What decides in the graph that is being built which elements are dropped: an input of the model's graph, declared when it is first
    /// asked for.
    pub(super) fn dropout_key(&mut self) -> ValueId {
        let key = self.dropout_key.unwrap_or_else(|| {
            let declared = Declared { form: Form::Tensor, dtype: DType::I32, dims: Some(vec![Dim::Known(2)]) };
            let Frame { writer, types, .. } = self.frame(0);
            let key = writer.declare(DROPOUT_KEY, declared.dtype, declared.dims.clone());
            types.insert(key, declared);
            key
        });
        self.dropout_key = Some(key);
        self.captured(key, 0)
    }

    /// The number of one more node that drops elements.
    pub(super) fn next_dropout(&mut self) -> u32 {
        let number = self.dropouts;
        self.dropouts = number.wrapping_add(1);
        number
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
            let output = writer.add(&format!("output.{index}"), crate::ops::flow::arrange::identity(), &[Some(output)]);
            writer.output(&format!("output.{index}"), output)?;
        }
        Ok((writer.finish()?, captured.into_iter().map(|(outer, _)| outer).collect()))
    }

    /// Takes from what the whole import may cost.
    pub(super) fn spend(&mut self, cost: usize) -> Result<()> {
        self.budget = self.budget.checked_sub(cost).ok_or_else(|| {
            Error::limit(format!("the graph is too large with its functions inlined: it takes more than {BUDGET} bytes"))
        })?;
        Ok(())
    }
}
