//! Writing an operator as others: the nodes that [`Op::expand`](crate::graph::Op::expand) answers with.

use super::elementwise::{binary, unary};
use super::view::strided_view;
use crate::error::Result;
use crate::graph::{Edit, Node, Op, ValueId};
use crate::tensor::{DType, Tensor, TensorType, View};
use std::sync::Arc;

/// Nodes under construction in place of one. Facts of the values between them come with specialisation.
pub(crate) struct Composer<'a> {
    edit: &'a mut Edit,
    node: &'a Node,
    nodes: Vec<Node>,
}

impl<'a> Composer<'a> {
    /// Starts with nothing in place of `node`.
    pub(crate) fn new(node: &'a Node, edit: &'a mut Edit) -> Self {
        Composer { edit, node, nodes: Vec::new() }
    }

    fn name(&self) -> &'a str {
        self.node.path.split_once(':').map_or(self.node.path.as_str(), |(_, name)| name)
    }

    /// A constant of one element.
    pub(crate) fn number(&mut self, dtype: DType, value: f64) -> Result<ValueId> {
        Ok(self.constant(Tensor::from_f64(TensorType::new(dtype, []), &[value])?))
    }

    /// A constant.
    pub(crate) fn constant(&mut self, tensor: Tensor) -> ValueId {
        self.edit.constant(&format!("{}.constant", self.name()), tensor)
    }

    /// An operator's first output.
    pub(crate) fn apply(&mut self, op: Arc<dyn Op>, inputs: &[ValueId]) -> ValueId {
        let output = self.edit.value(&format!("{}.{}", self.name(), op.name()), None);
        let path = format!("{}:{}", op.name(), self.name());
        self.nodes.push(Node { path, op, inputs: inputs.iter().copied().map(Some).collect(), outputs: vec![Some(output)] });
        output
    }

    /// A scalar function of one or two values.
    pub(crate) fn function(&mut self, name: &str, inputs: &[ValueId]) -> Result<ValueId> {
        let op = if inputs.len() == 1 { unary(name)? } else { binary(name)? };
        Ok(self.apply(op, inputs))
    }

    /// A value under another shape of as many elements.
    pub(crate) fn reshape(&mut self, value: ValueId, shape: &[usize]) -> ValueId {
        self.apply(strided_view(View::contiguous(&shape.into())), &[value])
    }

    /// The nodes, the last of which makes the composed node's first output.
    pub(crate) fn finish(mut self) -> Vec<Node> {
        if let Some(last) = self.nodes.last_mut() {
            last.outputs = self.node.outputs.iter().take(1).copied().collect();
        }
        self.nodes
    }
}
