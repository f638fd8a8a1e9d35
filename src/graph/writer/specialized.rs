//! Writing onto a graph whose values have facts: each node is inferred as it is written, and folded or expanded where it can be.

use super::Writer;
use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Fact, Node, Op, Structure, ValueId};
use crate::tensor::{DType, Tensor, TensorType};
use std::sync::Arc;

/// The most elements of a value that is folded; larger ones are cheaper to make on the GPU than to upload.
const MAX_FOLDED_ELEMENTS: usize = 1 << 24;

/// How deep operators may expand into operators that expand; branches nest as deep as an importer lets them.
const MAX_EXPANSION: usize = 72;

/// What nodes are being written in place of.
#[derive(Debug)]
pub(super) struct Place {
    /// What they are named after.
    pub(super) name: String,
    /// What the node in whose place they are reads.
    pub(super) inputs: Vec<Option<ValueId>>,
    /// Whether that node can be a stage of the run instead.
    pub(super) flows: bool,
}

impl Writer {
    /// Names all that is written meanwhile after `name`: nodes `Operator:name`, values `name.Operator`.
    ///
    /// # Errors
    /// Those of `write`.
    pub fn under<T>(&mut self, name: &str, write: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.within(Place { name: name.to_string(), inputs: Vec::new(), flows: false }, write)
    }

    pub(super) fn within<T>(&mut self, place: Place, write: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.places.push(place);
        let result = write(self);
        self.places.pop();
        result
    }

    /// The name of what is being written.
    fn name(&self) -> &str {
        self.places.last().map_or("", |place| &place.name)
    }

    /// The name of a part of what is being written.
    fn part(&self, part: &str) -> String {
        match self.name() {
            "" => part.to_string(),
            name => format!("{name}.{part}"),
        }
    }

    /// A constant.
    pub fn tensor(&mut self, tensor: Tensor) -> ValueId {
        self.constant(&self.part("constant"), tensor)
    }

    /// A constant of one element.
    ///
    /// # Errors
    /// As [`Tensor::from_f64`].
    pub fn number(&mut self, dtype: DType, value: f64) -> Result<ValueId> {
        Ok(self.tensor(Tensor::from_f64(TensorType::new(dtype, []), &[value])?))
    }

    /// An operator's first output.
    ///
    /// # Errors
    /// As [`write`](Writer::write).
    pub fn apply(&mut self, op: Arc<dyn Op>, inputs: &[ValueId]) -> Result<ValueId> {
        let inputs = inputs.iter().copied().map(Some).collect();
        let output = self.value(&self.part(op.name()), None);
        self.write(Node::new(self.name(), op, inputs, vec![Some(output)]))?;
        Ok(output)
    }

    /// An operator's first `count` outputs; inputs may be left out.
    ///
    /// # Errors
    /// As [`write`](Writer::write).
    pub fn apply_all(&mut self, op: Arc<dyn Op>, inputs: &[Option<ValueId>], count: usize) -> Result<Vec<ValueId>> {
        let name = self.part(op.name());
        let outputs: Vec<ValueId> = (0..count).map(|_| self.value(&name, None)).collect();
        self.write(Node::new(self.name(), op, inputs.to_vec(), outputs.iter().copied().map(Some).collect()))?;
        Ok(outputs)
    }

    /// Writes a node between values that exist already. In a specialised graph its outputs get facts: a node of constants is folded, one
    /// that is a composition of others is expanded, what is left is kept.
    ///
    /// # Errors
    /// What the operator's `infer`, `expand` and `reference` report; [`Limit`](crate::ErrorKind::Limit) for values of too high a rank
    /// or too many elements; [`Internal`](crate::ErrorKind::Internal) where an input has no fact.
    pub fn write(&mut self, node: Node) -> Result<()> {
        if !self.specialized {
            self.push(node);
            return Ok(());
        }
        if self.places.len() > MAX_EXPANSION {
            return Err(Error::internal("operators expand into each other without end"));
        }
        if let Some(flow) = node.op.flow() {
            return self.flow(&node, flow).map_err(|error| self.outwards(error, &node));
        }
        let node = self.resolved(&node)?;
        self.specialize(&node).map_err(|error| self.outwards(error, &node))
    }

    /// Folds, expands or keeps a node.
    fn specialize(&mut self, node: &Node) -> Result<()> {
        let known: Vec<Option<Fact>> = self.input_facts(node)?.into_iter().map(Option::<&Fact>::cloned).collect();
        let facts: Vec<Option<&Fact>> = known.iter().map(Option::as_ref).collect();
        let outputs = infer(node, &facts)?;
        if let Some(values) = fold(node, &facts, &outputs)? {
            for (id, value) in node.outputs.iter().zip(values) {
                if let Some(id) = id {
                    self.fold(*id, value);
                }
            }
            return Ok(());
        }
        if self.expand(node, &facts)? {
            return Ok(());
        }
        for (id, fact) in node.outputs.iter().zip(outputs) {
            if let Some(id) = id {
                self.set_fact(*id, fact);
            }
        }
        self.push(node.clone());
        Ok(())
    }

    /// Writes the nodes that one stands for; false where it is no composition.
    fn expand(&mut self, node: &Node, facts: &[Option<&Fact>]) -> Result<bool> {
        let first = self.nodes.len();
        let place = Place { name: node.name().to_string(), inputs: node.inputs.clone(), flows: false };
        let Some(results) = self.within(place, |writer| node.op.expand(node, facts, writer))? else { return Ok(false) };
        for (index, output) in node.outputs.iter().enumerate() {
            let Some(output) = *output else { continue };
            match results.get(index) {
                Some(result) => self.rename(*result, output, first)?,
                None => return Err(Error::internal(format!("the expansion does not make output `{}`", self.get(output).name))),
            }
        }
        Ok(true)
    }

    /// Makes a value that was written since there were `first` nodes to be `output`.
    fn rename(&mut self, result: ValueId, output: ValueId, first: usize) -> Result<()> {
        if let Some(tensor) = self.contents(result) {
            self.fold(output, tensor.clone());
            return Ok(());
        }
        self.set_fact(output, self.fact(result)?.clone());
        let own = self.producer(result).filter(|producer| producer.0 >= first);
        let maker = own.and_then(|id| self.nodes.get_mut(id.0)?.as_mut());
        let place = maker.and_then(|node| node.outputs.iter_mut().find(|o| **o == Some(result)));
        *place.ok_or_else(|| Error::internal("an expansion answers with a value that it does not make"))? = Some(output);
        self.links[output.0].producer = self.links[result.0].producer.take();
        self.redirect(result, output);
        Ok(())
    }

    /// An error of a node that is written in place of another: where it asks for a value, in terms of that one's inputs.
    fn outwards(&self, error: Error, node: &Node) -> Error {
        let (ErrorKind::NeedsValue(index), Some(place)) = (error.kind(), self.places.last()) else { return error };
        let value = node.input(index).map(|id| self.structure(id));
        match place.inputs.iter().position(|input| input.is_some() && input.map(Structure::Tensor) == value) {
            Some(outer) => Error::needs_value(outer),
            None if place.flows => Error::needs_stage(),
            None => Error::unsupported("a data-dependent shape inside a composed operator"),
        }
    }
}

/// What is known of a node's outputs.
fn infer(node: &Node, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
    let mut outputs = node.op.infer(inputs)?;
    for fact in &mut outputs {
        fact.ty = fact.ty.clone().checked()?;
    }
    if outputs.len() < node.outputs.iter().rposition(Option::is_some).map_or(0, |last| last + 1) {
        return Err(Error::invalid_model(format!("expected at most {} outputs, found {}", outputs.len(), node.outputs.len())));
    }
    Ok(outputs)
}

/// The outputs of a node that does not depend on the run, or `None`.
fn fold(node: &Node, inputs: &[Option<&Fact>], outputs: &[Fact]) -> Result<Option<Vec<Tensor>>> {
    if let Some(values) = outputs.iter().map(|f| f.value.clone()).collect::<Option<Vec<_>>>() {
        return Ok(Some(values));
    }
    if node.op.stays_constant() {
        return Ok(None);
    }
    let small = outputs.iter().all(|f| f.ty.elements() <= MAX_FOLDED_ELEMENTS);
    if !small || inputs.iter().flatten().any(|f| f.value.is_none()) {
        return Ok(None);
    }
    let tensors: Vec<Option<&Tensor>> = inputs.iter().map(|f| f.and_then(|f| f.value.as_ref())).collect();
    node.op.reference(&tensors).map(Some)
}
