//! An equation as strided views, sums, and products of two operands at a time.

use super::equation::{Equation, Label};
use super::walk;
use crate::error::{Error, Result};
use crate::graph::{Edit, Node, Op, ValueId};
use crate::ops::{elementwise, matmul, reduce, reshape, view};
use crate::tensor::{Shape, Tensor, TensorType};
use std::sync::Arc;

/// A value whose axes are labelled; extents of 1 may stand for longer ones.
#[derive(Clone, Debug)]
struct Labelled {
    value: ValueId,
    labels: Vec<Label>,
    shape: Shape,
}

struct Expansion<'a> {
    equation: &'a Equation,
    path: &'a str,
    edit: &'a mut Edit,
    nodes: Vec<Node>,
}

/// The nodes that an Einsum stands for.
pub(super) fn expand(equation: &Equation, node: &Node, types: &[&TensorType], edit: &mut Edit) -> Result<Vec<Node>> {
    let mut e = Expansion { equation, path: &node.path, edit, nodes: Vec::new() };
    let mut rest: Vec<Labelled> = Vec::new();
    for ((input, labels), ty) in node.inputs.iter().zip(&equation.operands).zip(types) {
        let value = input.ok_or_else(|| Error::internal("an operand of Einsum is missing"))?;
        rest.push(Labelled { value, labels: labels.clone(), shape: ty.shape.clone() });
    }
    rest.reverse();
    let mut left = rest.pop().ok_or_else(|| Error::internal("Einsum without operands"))?;
    left = e.sum(left, &rest);
    while let Some(right) = rest.pop() {
        let right = e.sum(right, &[&rest[..], &[left.clone()]].concat());
        let kept = |label: &&Label| equation.output.contains(label) || rest.iter().any(|r| r.labels.contains(label));
        let wanted: Vec<Label> =
            left.labels.iter().chain(right.labels.iter().filter(|l| !left.labels.contains(l))).filter(kept).copied().collect();
        left = e.product(&left, &right, &wanted)?;
    }
    // The last node writes the output in its order.
    let seen = walk(&left.labels, &left.shape, &equation.output, &equation.shape(&equation.output));
    e.nodes.push(Node {
        path: node.path.clone(),
        op: view::strided_view(seen),
        inputs: vec![Some(left.value)],
        outputs: node.outputs.clone(),
    });
    Ok(e.nodes)
}

impl Expansion<'_> {
    /// Adds a node and gives its output.
    fn node(&mut self, op: Arc<dyn Op>, inputs: &[ValueId]) -> ValueId {
        let output = self.edit.value(self.path, None);
        let inputs = inputs.iter().copied().map(Some).collect();
        self.nodes.push(Node { path: self.path.to_string(), op, inputs, outputs: vec![Some(output)] });
        output
    }

    /// The value with its axes in the order of `labels`, all of full length; labels it lacks become repetitions.
    fn seen(&mut self, from: &Labelled, labels: &[Label]) -> Labelled {
        let shape = Shape::new(self.equation.shape(labels));
        let seen = walk(&from.labels, &from.shape, labels, &shape);
        let value = if seen.is_contiguous() && from.shape == shape {
            from.value
        } else {
            self.node(view::strided_view(seen), &[from.value])
        };
        Labelled { value, labels: labels.to_vec(), shape }
    }

    /// The value summed over labels that neither the output nor `others` have, each label once.
    fn sum(&mut self, from: Labelled, others: &[Labelled]) -> Labelled {
        let mut labels = from.labels.clone();
        labels.sort();
        labels.dedup();
        let wanted = |l: &Label| self.equation.output.contains(l) || others.iter().any(|o| o.labels.contains(l));
        let summed: Vec<Label> = labels.iter().copied().filter(|l| !wanted(l)).collect();
        if summed.is_empty() && labels.len() == from.labels.len() {
            return from;
        }
        labels = Vec::new();
        for label in &from.labels {
            if !summed.contains(label) && !labels.contains(label) {
                labels.push(*label);
            }
        }
        let kept = labels.len();
        labels.extend(&summed);
        let seen = self.seen(&from, &labels);
        if summed.is_empty() {
            return seen;
        }
        let axes = (kept as i64..labels.len() as i64).collect();
        let value = self.node(reduce::reduce(reduce::Reduction::Sum, Some(axes), false, false), &[seen.value]);
        labels.truncate(kept);
        Labelled { value, shape: seen.shape[..kept].into(), labels }
    }

    /// The product of two values with the labels `wanted`, summed over those that both have and `wanted` lacks.
    fn product(&mut self, left: &Labelled, right: &Labelled, wanted: &[Label]) -> Result<Labelled> {
        let has = |of: &Labelled, label: &Label| of.labels.contains(label);
        let pick = |keep: &dyn Fn(&Label) -> bool| wanted.iter().copied().filter(|l| keep(l)).collect::<Vec<_>>();
        let batch = pick(&|l| has(left, l) && has(right, l));
        let rows = pick(&|l| !has(right, l));
        let columns = pick(&|l| !has(left, l));
        let terms: Vec<Label> = left.labels.iter().copied().filter(|l| !wanted.contains(l)).collect();
        let labels = [&batch[..], &rows, &columns].concat();
        let shape = Shape::new(self.equation.shape(&labels));
        if terms.is_empty() {
            let (a, b) = (self.seen(left, &[&batch[..], &rows].concat()), self.seen(right, &[&batch[..], &columns].concat()));
            let ones = |count: usize| vec![1; count];
            let (batch, rows, columns) = (self.equation.shape(&batch), self.equation.shape(&rows), self.equation.shape(&columns));
            let a = self.reshaped(a, &[&batch[..], &rows, &ones(columns.len())].concat());
            let b = self.reshaped(b, &[&batch[..], &ones(rows.len()), &columns].concat());
            let value = self.node(elementwise::binary("Mul")?, &[a, b]);
            return Ok(Labelled { value, labels, shape });
        }
        let (a, b) =
            (self.seen(left, &[&batch[..], &rows, &terms].concat()), self.seen(right, &[&batch[..], &terms, &columns].concat()));
        let extent = |labels: &[Label]| self.equation.shape(labels).iter().product::<usize>();
        let outer = self.equation.shape(&batch);
        let (m, k, n) = (extent(&rows), extent(&terms), extent(&columns));
        let a = self.reshaped(a, &[&outer[..], &[m, k]].concat());
        let b = self.reshaped(b, &[&outer[..], &[k, n]].concat());
        let value = self.node(matmul::matmul(), &[a, b]);
        let product = Labelled { value, labels: labels.clone(), shape: [&outer[..], &[m, n]].concat().into() };
        let value = self.reshaped(product, &shape);
        Ok(Labelled { value, labels, shape })
    }

    /// The value under another shape of as many elements.
    fn reshaped(&mut self, from: Labelled, shape: &[usize]) -> ValueId {
        if from.shape.dims() == shape {
            return from.value;
        }
        let dims: Vec<i64> = shape.iter().map(|d| *d as i64).collect();
        let target = self.edit.constant(self.path, Tensor::vector(&dims));
        self.node(reshape::reshape(true), &[from.value, target])
    }
}
