//! What a row of the import table works with: one node of the file, and the graph that is being built.

use super::attributes::Attributes;
use super::dtype::Declared;
use super::importer::Importer;
use super::order;
use super::proto::NodeProto;
use crate::error::{Error, Result};
use crate::graph::{Dim, Form, Node, Op, ValueId};
use crate::ops::dropout::stream;
use crate::ops::elementwise::cast_like;
use crate::tensor::{DType, Element, Tensor};
use std::sync::Arc;

/// A node being imported.
#[derive(Debug)]
pub(super) struct Context<'c, 'm> {
    importer: &'c mut Importer<'m>,
    node: &'m NodeProto,
    pub(super) attributes: Attributes<'m>,
    /// The operator set version under which the node stands.
    pub(super) version: i64,
    /// The node's name with the path of the functions around it.
    name: String,
    prefix: String,
    inputs: Vec<Option<ValueId>>,
    results: Vec<Option<ValueId>>,
}

impl<'c, 'm> Context<'c, 'm> {
    pub(super) fn new(
        importer: &'c mut Importer<'m>,
        node: &'m NodeProto,
        attributes: Attributes<'m>,
        version: i64,
        inputs: Vec<Option<ValueId>>,
    ) -> Self {
        let prefix = importer.scopes.last().map(|s| s.prefix.clone()).unwrap_or_default();
        let results = vec![None; node.output.len()];
        Context { name: format!("{prefix}{}", order::name(node)), importer, node, attributes, version, prefix, inputs, results }
    }

    /// The values of the node's outputs.
    pub(super) fn into_results(self) -> Result<Vec<Option<ValueId>>> {
        let missing = self.node.output.iter().zip(&self.results).find(|(name, value)| !name.is_empty() && value.is_none());
        match missing {
            Some((name, _)) => {
                Err(Error::unsupported(format!("output `{name}` of operator {} is not implemented", self.node.op_type)))
            }
            None => Ok(self.results),
        }
    }

    /// The operator's name.
    pub(super) fn operator(&self) -> &'m str {
        &self.node.op_type
    }

    /// All inputs; those left out at the end are not there.
    pub(super) fn inputs(&self) -> Vec<Option<ValueId>> {
        self.inputs.clone()
    }

    /// An input that must be there.
    pub(super) fn input(&self, index: usize) -> Result<ValueId> {
        self.optional(index)
            .ok_or_else(|| Error::invalid_model(format!("{} needs input {index}, which is missing", self.node.op_type)))
    }

    /// An input that may be left out.
    pub(super) fn optional(&self, index: usize) -> Option<ValueId> {
        self.inputs.get(index).copied().flatten()
    }

    /// Number of outputs the node names, those left out among them.
    pub(super) fn outputs(&self) -> usize {
        self.node.output.len()
    }

    /// True when somebody may want the output.
    pub(super) fn wants(&self, output: usize) -> bool {
        self.node.output.get(output).is_some_and(|name| !name.is_empty())
    }

    /// The contents of an input, where they are a constant of the file.
    pub(super) fn known(&self, index: usize) -> Option<&Tensor> {
        self.importer.current.known(self.optional(index)?)
    }

    /// The element type of a value, where the file declares it.
    pub(super) fn dtype(&self, value: ValueId) -> Option<DType> {
        self.importer.current.types.get(&value).map(|t| t.dtype)
    }

    /// The rank of a value, where the file declares it.
    pub(super) fn rank(&self, value: ValueId) -> Option<usize> {
        self.importer.current.types.get(&value)?.dims.as_ref().map(Vec::len)
    }

    /// The extents of a value, where the file declares them all.
    pub(super) fn extents(&self, value: ValueId) -> Option<Vec<usize>> {
        let dims = self.importer.current.types.get(&value)?.dims.as_ref()?;
        dims.iter().map(|d| if let Dim::Known(n) = d { Some(*n) } else { None }).collect()
    }

    pub(super) fn int(&self, name: &str, default: i64) -> Result<i64> {
        Ok(self.attributes.int(name)?.unwrap_or(default))
    }

    pub(super) fn flag(&self, name: &str, default: bool) -> Result<bool> {
        Ok(self.attributes.int(name)?.map_or(default, |i| i != 0))
    }

    pub(super) fn float(&self, name: &str, default: f32) -> Result<f32> {
        Ok(self.attributes.float(name)?.unwrap_or(default))
    }

    pub(super) fn string(&self, name: &str, default: &'m str) -> Result<&'m str> {
        Ok(self.attributes.string(name)?.unwrap_or(default))
    }

    /// Integers, as an owned list; `None` where the attribute is missing.
    pub(super) fn ints(&self, name: &str) -> Result<Option<Vec<i64>>> {
        Ok(self.attributes.ints(name)?.map(<[i64]>::to_vec))
    }

    /// A count or size: an integer of at least 0.
    pub(super) fn count(&self, name: &str, default: usize) -> Result<usize> {
        match self.attributes.int(name)? {
            Some(i) => {
                usize::try_from(i).map_err(|_| Error::invalid_model(format!("attribute `{name}` is {i}: expected 0 or more")))
            }
            None => Ok(default),
        }
    }

    /// A tensor attribute.
    pub(super) fn tensor(&mut self, name: &str) -> Result<Option<Tensor>> {
        self.attributes.tensor(name)?.map(|proto| self.importer.tensor(proto)).transpose()
    }

    /// The error for an attribute that must be there.
    pub(super) fn missing(&self, name: &str) -> Error {
        Error::invalid_model(format!("{} needs attribute `{name}`, which is missing", self.node.op_type))
    }

    /// The error for an attribute or form that has no meaning here.
    pub(super) fn unsupported(&self, what: impl std::fmt::Display) -> Error {
        Error::unsupported(format!("operator {}: {what}", self.node.op_type))
    }

    /// What decides which elements are dropped.
    pub(super) fn dropout_key(&mut self) -> ValueId {
        self.importer.dropout_key()
    }

    /// A stream of random words for this node alone.
    pub(super) fn dropout_stream(&mut self) -> Result<u32> {
        let seed = self.attributes.int("seed")?;
        Ok(stream(self.importer.next_dropout(), seed))
    }

    /// Adds a constant.
    pub(super) fn constant(&mut self, label: &str, tensor: Tensor) -> ValueId {
        let name = format!("{}/{label}", self.name);
        self.importer.current.constant(&name, tensor)
    }

    /// Integers that an operator now takes as an input, and earlier took as an attribute.
    pub(super) fn int_constant(&mut self, label: &str, values: &[i64]) -> Result<ValueId> {
        // A function called often would copy them each time.
        self.importer.spend(values.len().saturating_mul(8))?;
        Ok(self.constant(label, Tensor::vector(values)))
    }

    /// An attribute of integers that must be there, as the input that it became later.
    pub(super) fn ints_as_input(&mut self, name: &str) -> Result<ValueId> {
        let values = self.attributes.ints(name)?.ok_or_else(|| self.missing(name))?;
        self.int_constant(name, values)
    }

    /// A constant of one element, with the element type of a value.
    pub(super) fn number_like<T: Element>(&mut self, label: &str, number: T, like: ValueId) -> ValueId {
        let number = self.constant(label, Tensor::scalar(number));
        self.node(cast_like(), &[Some(number), Some(like)])
    }

    /// Adds a node whose result stays inside this row.
    pub(super) fn node(&mut self, op: Arc<dyn Op>, inputs: &[Option<ValueId>]) -> ValueId {
        let name = format!("{}/{}", self.name, op.name());
        self.importer.current.writer.add(&name, op, inputs)
    }

    /// Adds a node with one argument whose result stays inside this row.
    pub(super) fn apply(&mut self, op: Arc<dyn Op>, input: ValueId) -> ValueId {
        self.node(op, &[Some(input)])
    }

    /// Adds a node that makes the outputs of this one.
    pub(super) fn emit(&mut self, op: Arc<dyn Op>, inputs: &[Option<ValueId>]) -> Result<()> {
        let outputs = self.output_values();
        self.importer.current.writer.push(Node::new(&self.name, op, inputs.to_vec(), outputs));
        Ok(())
    }

    /// Adds a node that makes the outputs of this one, but for output 0, which another operator makes of its output 0.
    pub(super) fn emit_before(&mut self, op: Arc<dyn Op>, inputs: &[Option<ValueId>], last: Arc<dyn Op>) -> Result<()> {
        let mut outputs = self.output_values();
        let between = self.importer.current.writer.value(&format!("{}/{}", self.name, op.name()), None);
        let result = outputs.first_mut().and_then(Option::as_mut).map(|output| std::mem::replace(output, between));
        self.importer.current.writer.push(Node::new(&self.name, op, inputs.to_vec(), outputs));
        if result.is_some() {
            self.importer.current.writer.push(Node::new(&self.name, last, vec![Some(between)], vec![result]));
        }
        Ok(())
    }

    /// The values that the outputs of this node are from now on.
    fn output_values(&mut self) -> Vec<Option<ValueId>> {
        let mut outputs = Vec::with_capacity(self.node.output.len());
        for name in &self.node.output {
            outputs.push(if name.is_empty() {
                None
            } else {
                Some(self.importer.current.writer.value(&format!("{}{name}", self.prefix), None))
            });
        }
        self.results.clone_from(&outputs);
        outputs
    }

    /// Emits an operator whose output 0 has a known element type.
    pub(super) fn emit_typed(&mut self, op: Arc<dyn Op>, inputs: &[Option<ValueId>], dtype: DType) -> Result<()> {
        self.emit(op, inputs)?;
        if let Some(value) = self.results.first().copied().flatten() {
            self.importer.current.types.insert(value, Declared { form: Form::Tensor, dtype, dims: None });
        }
        Ok(())
    }

    /// Adds a node that makes one output of this one.
    pub(super) fn emit_output(&mut self, output: usize, op: Arc<dyn Op>, inputs: &[Option<ValueId>]) {
        let Some(name) = self.node.output.get(output).filter(|name| !name.is_empty()) else { return };
        let value = self.importer.current.writer.value(&format!("{}{name}", self.prefix), None);
        self.importer.current.writer.push(Node::new(&self.name, op, inputs.to_vec(), vec![Some(value)]));
        if let Some(result) = self.results.get_mut(output) {
            *result = Some(value);
        }
    }

    /// Makes output 0 a constant.
    pub(super) fn emit_constant(&mut self, tensor: Tensor) -> Result<()> {
        let Some(name) = self.node.output.first() else { return Ok(()) };
        let value = self.importer.current.constant(&format!("{}{name}", self.prefix), tensor);
        if let Some(result) = self.results.first_mut() {
            *result = Some(value);
        }
        Ok(())
    }

    /// Takes from what the whole import may cost.
    pub(super) fn spend(&mut self, cost: usize) -> Result<()> {
        self.importer.spend(cost)
    }
}
