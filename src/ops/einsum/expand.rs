//! An equation as strided views, sums, and products of two operands at a time.

use super::equation::{Equation, Label, walk};
use crate::error::{Error, Result};
use crate::graph::{Node, ValueId, Writer};
use crate::ops::compose::Compose;
use crate::ops::{matmul, reduce, reshape, view};
use crate::tensor::{Shape, Tensor, TensorType};

/// A value whose axes are labelled; extents of 1 may stand for longer ones.
#[derive(Clone, Debug)]
struct Labelled {
    value: ValueId,
    labels: Vec<Label>,
    shape: Shape,
}

struct Expansion<'a> {
    equation: &'a Equation,
    writer: &'a mut Writer,
}

/// Writes the nodes that an Einsum stands for, and gives its output.
pub(super) fn expand(equation: &Equation, node: &Node, types: &[&TensorType], writer: &mut Writer) -> Result<ValueId> {
    let mut e = Expansion { equation, writer };
    let mut rest: Vec<Labelled> = Vec::new();
    for ((input, labels), ty) in node.inputs.iter().zip(&equation.operands).zip(types) {
        let value = input.ok_or_else(|| Error::internal("an operand of Einsum is missing"))?;
        rest.push(Labelled { value, labels: labels.clone(), shape: ty.shape.clone() });
    }
    rest.reverse();
    let mut left = rest.pop().ok_or_else(|| Error::internal("Einsum without operands"))?;
    left = e.sum(left, &rest)?;
    while let Some(right) = rest.pop() {
        let right = e.sum(right, &[&rest[..], &[left.clone()]].concat())?;
        let kept = |label: &&Label| equation.output.contains(label) || rest.iter().any(|r| r.labels.contains(label));
        let wanted: Vec<Label> =
            left.labels.iter().chain(right.labels.iter().filter(|l| !left.labels.contains(l))).filter(kept).copied().collect();
        left = e.product(&left, &right, &wanted)?;
    }
    // The last node writes the output in its order.
    let seen = walk(&left.labels, &left.shape, &equation.output, &equation.shape(&equation.output));
    e.writer.apply(view::strided_view(seen), &[left.value])
}

impl Expansion<'_> {
    /// The value with its axes in the order of `labels`, all of full length; labels it lacks become repetitions.
    fn seen(&mut self, from: &Labelled, labels: &[Label]) -> Result<Labelled> {
        let shape = Shape::new(self.equation.shape(labels));
        let seen = walk(&from.labels, &from.shape, labels, &shape);
        let value = if seen.is_contiguous() && from.shape == shape {
            from.value
        } else {
            self.writer.apply(view::strided_view(seen), &[from.value])?
        };
        Ok(Labelled { value, labels: labels.to_vec(), shape })
    }

    /// The value summed over labels that neither the output nor `others` have, each label once.
    fn sum(&mut self, from: Labelled, others: &[Labelled]) -> Result<Labelled> {
        let mut labels = from.labels.clone();
        labels.sort();
        labels.dedup();
        let wanted = |l: &Label| self.equation.output.contains(l) || others.iter().any(|o| o.labels.contains(l));
        let summed: Vec<Label> = labels.iter().copied().filter(|l| !wanted(l)).collect();
        if summed.is_empty() && labels.len() == from.labels.len() {
            return Ok(from);
        }
        labels = Vec::new();
        for label in &from.labels {
            if !summed.contains(label) && !labels.contains(label) {
                labels.push(*label);
            }
        }
        let kept = labels.len();
        labels.extend(&summed);
        let seen = self.seen(&from, &labels)?;
        if summed.is_empty() {
            return Ok(seen);
        }
        let axes = (kept as i64..labels.len() as i64).collect();
        let value = self.writer.apply(reduce::reduce(reduce::Reduction::Sum, Some(axes), false, false), &[seen.value])?;
        labels.truncate(kept);
        Ok(Labelled { value, shape: seen.shape[..kept].into(), labels })
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
            let (a, b) = (self.seen(left, &[&batch[..], &rows].concat())?, self.seen(right, &[&batch[..], &columns].concat())?);
            let ones = |count: usize| vec![1; count];
            let (batch, rows, columns) = (self.equation.shape(&batch), self.equation.shape(&rows), self.equation.shape(&columns));
            let a = self.reshaped(a, &[&batch[..], &rows, &ones(columns.len())].concat())?;
            let b = self.reshaped(b, &[&batch[..], &ones(rows.len()), &columns].concat())?;
            let value = self.writer.function("Mul", &[a, b])?;
            return Ok(Labelled { value, labels, shape });
        }
        let a = self.seen(left, &[&batch[..], &rows, &terms].concat())?;
        let b = self.seen(right, &[&batch[..], &terms, &columns].concat())?;
        let extent = |labels: &[Label]| self.equation.shape(labels).iter().product::<usize>();
        let outer = self.equation.shape(&batch);
        let (m, k, n) = (extent(&rows), extent(&terms), extent(&columns));
        let a = self.reshaped(a, &[&outer[..], &[m, k]].concat())?;
        let b = self.reshaped(b, &[&outer[..], &[k, n]].concat())?;
        let value = self.writer.apply(matmul::matmul(), &[a, b])?;
        let product = Labelled { value, labels: labels.clone(), shape: [&outer[..], &[m, n]].concat().into() };
        let value = self.reshaped(product, &shape)?;
        Ok(Labelled { value, labels, shape })
    }

    /// The value under another shape of as many elements.
    fn reshaped(&mut self, from: Labelled, shape: &[usize]) -> Result<ValueId> {
        if from.shape.dims() == shape {
            return Ok(from.value);
        }
        let dims: Vec<i64> = shape.iter().map(|d| *d as i64).collect();
        let target = self.writer.tensor(Tensor::vector(&dims));
        self.writer.apply(reshape::reshape(true), &[from.value, target])
    }
}
