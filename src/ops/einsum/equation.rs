//! The equation of an Einsum, resolved against the ranks of its operands.

use crate::error::{Error, Result};
use crate::tensor::{Shape, View};
use std::collections::BTreeMap;

/// What stands for one axis: a letter, or an axis of the ellipsis counted from its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Label {
    Ellipsis(usize),
    Letter(char),
}

/// Labels of each operand and of the output, and how far each label runs.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Equation {
    pub(super) operands: Vec<Vec<Label>>,
    pub(super) output: Vec<Label>,
    pub(super) extents: BTreeMap<Label, usize>,
}

/// The labels of one term whose ellipsis stands for `axes` axes.
fn term(text: &str, axes: usize) -> Result<Vec<Label>> {
    let mut labels = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("...") {
            labels.extend((0..axes).rev().map(Label::Ellipsis));
            rest = after;
        } else if c.is_ascii_alphabetic() {
            labels.push(Label::Letter(c));
            rest = &rest[1..];
        } else {
            return Err(Error::invalid_model(format!(
                "`{c}` in the term `{text}` of an equation: expected letters and at most one ..."
            )));
        }
    }
    Ok(labels)
}

impl Equation {
    pub(super) fn parse(text: &str, shapes: &[&Shape]) -> Result<Self> {
        let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let (left, right) = match text.split_once("->") {
            Some((left, right)) => (left, Some(right)),
            None => (text.as_str(), None),
        };
        let terms: Vec<&str> = left.split(',').collect();
        if terms.len() != shapes.len() {
            return Err(Error::invalid_model(format!(
                "the equation `{text}` has {} operands, found {}",
                terms.len(),
                shapes.len()
            )));
        }
        let mut longest = 0;
        let mut operands = Vec::new();
        for (text, shape) in terms.iter().zip(shapes) {
            let letters = text.chars().filter(|c| *c != '.').count();
            let dots = text.contains("...");
            if text.matches("...").count() > 1 || letters > shape.rank() || !dots && letters < shape.rank() {
                return Err(Error::invalid_model(format!(
                    "the term `{text}` of an equation does not fit an operand of shape {shape}"
                )));
            }
            longest = longest.max(shape.rank() - letters);
            operands.push(term(text, shape.rank() - letters)?);
        }
        let mut extents = BTreeMap::new();
        for (labels, shape) in operands.iter().zip(shapes) {
            for (label, &extent) in labels.iter().zip(shape.iter()) {
                let known = extents.entry(*label).or_insert(extent);
                if *known == 1 {
                    *known = extent;
                } else if extent != 1 && extent != *known {
                    return Err(Error::invalid_model(format!("`{text}` gives one label the extents {known} and {extent}")));
                }
            }
        }
        let output = match right {
            Some(right) => term(right, longest)?,
            None => {
                let count = |label: &Label| operands.iter().flatten().filter(|l| *l == label).count();
                let ellipsis = (0..longest).rev().map(Label::Ellipsis);
                ellipsis.chain(extents.keys().copied().filter(|l| matches!(l, Label::Letter(_)) && count(l) == 1)).collect()
            }
        };
        for (k, label) in output.iter().enumerate() {
            if !extents.contains_key(label) || output[..k].contains(label) {
                return Err(Error::invalid_model(format!("the output of `{text}` must name labels of the operands, each once")));
            }
        }
        Ok(Equation { operands, output, extents })
    }

    /// Extents of some labels.
    pub(super) fn shape(&self, labels: &[Label]) -> Vec<usize> {
        labels.iter().map(|label| self.extents[label]).collect()
    }
}

/// An operand as seen by a walk over `labels`: axes it lacks, or has with extent 1, stand still; repeated ones step together.
pub(super) fn walk(own: &[Label], shape: &Shape, labels: &[Label], extents: &[usize]) -> View {
    let step = |label: &Label| {
        let axes = own.iter().zip(shape.iter().zip(shape.strides()));
        axes.filter(|(l, (extent, _))| *l == label && **extent != 1).map(|(_, (_, stride))| stride as i64).sum()
    };
    View { shape: extents.into(), strides: labels.iter().map(step).collect(), offset: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn implicit_output_is_sorted_after_the_ellipsis() {
        let (a, b) = (Shape::from([2, 3, 4]), Shape::from([4, 5]));
        let equation = Equation::parse("...zk, ka", &[&a, &b]).expect("it fits");
        assert_eq!(equation.shape(&equation.output), [2, 5, 3]);
    }

    #[test]
    fn labels_must_agree() {
        let shape = Shape::from([2, 3]);
        assert!(Equation::parse("ii->i", &[&shape]).is_err());
        assert!(Equation::parse("ij->k", &[&shape]).is_err());
        assert!(Equation::parse("i", &[&shape]).is_err());
    }
}
