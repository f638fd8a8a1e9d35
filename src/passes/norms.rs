//! Layer and RMS normalization found where exporters wrote them out as ReduceMean, Sub, Pow, ReduceMean, Add, Sqrt, Div,
//! and made one node. The scale and bias that follow become its epilogue.

use super::common::Surroundings;
use crate::error::Result;
use crate::graph::{Edit, Graph, Node, OpExt, ValueId};
use crate::kernel::Term;
use crate::ops::elementwise::Map;
use crate::ops::norm::{layer_normalization, rms_normalization};
use crate::ops::reduce::{Reduce, Reduction};
use crate::tensor::{DType, Tensor, TensorType};

/// Replaces every normalization that is found.
pub(crate) fn fuse(graph: &Graph) -> Result<Graph> {
    let around = Surroundings::new(graph);
    let mut edit = Edit::without_nodes(graph);
    for node in graph.nodes() {
        match Found::at(&around, node) {
            Some(found) => found.emit(&around, node, &mut edit)?,
            None => edit.push(node.clone()),
        }
    }
    edit.finish()
}

/// A normalization without scale and bias.
struct Found {
    input: ValueId,
    /// First of the axes it runs over; they end with the last.
    axis: usize,
    centered: bool,
    epsilon: f64,
}

/// An elementwise node of one instruction: its name and the values it reads plainly, or numbers.
struct Simple {
    name: &'static str,
    terms: Vec<Argument>,
}

#[derive(Clone, Copy, PartialEq)]
enum Argument {
    Value(ValueId),
    Number(f64),
}

impl Found {
    /// The normalization whose last node, the division by the deviation, is `node`.
    fn at(around: &Surroundings, node: &Node) -> Option<Self> {
        let (data, deviation) = match simple(around, node)? {
            Simple { name: "Div", terms } => match terms.as_slice() {
                [Argument::Value(data), Argument::Value(deviation)] => (*data, *deviation),
                _ => return None,
            },
            Simple { name: "Mul", terms } => {
                let [Argument::Value(a), Argument::Value(b)] = terms.as_slice() else { return None };
                let inverse = |id| match made(around, id)? {
                    Simple { name: "Reciprocal", terms } => value(&terms, 0),
                    Simple { name: "Div", terms } if terms.first() == Some(&Argument::Number(1.0)) => value(&terms, 1),
                    _ => None,
                };
                inverse(*b).map(|deviation| (*a, deviation)).or_else(|| inverse(*a).map(|deviation| (*b, deviation)))?
            }
            _ => return None,
        };
        let variance = match made(around, deviation)? {
            Simple { name: "Sqrt", terms } => value(&terms, 0)?,
            Simple { name: "Pow", terms } if terms.get(1) == Some(&Argument::Number(0.5)) => value(&terms, 0)?,
            _ => return None,
        };
        let (mean_square, epsilon) = match made(around, variance)? {
            Simple { name: "Add", terms } => match terms.as_slice() {
                [Argument::Value(v), Argument::Number(x)] | [Argument::Number(x), Argument::Value(v)] => (*v, *x),
                _ => return None,
            },
            _ => return None,
        };
        let (square, axis) = mean(around, mean_square)?;
        let squared = match made(around, square)? {
            Simple { name: "Pow", terms } if terms.get(1) == Some(&Argument::Number(2.0)) => value(&terms, 0)?,
            Simple { name: "Mul", terms } if terms.first() == terms.get(1) => value(&terms, 0)?,
            _ => return None,
        };
        let fact = around.fact(data).ok()?;
        if squared != data || fact.dtype() != DType::F32 {
            return None;
        }
        let centre = || match made(around, data)? {
            Simple { name: "Sub", terms } => {
                let (input, subtracted) = (value(&terms, 0)?, value(&terms, 1)?);
                (mean(around, subtracted)? == (input, axis)).then_some(input)
            }
            _ => None,
        };
        Some(match centre() {
            Some(input) => Found { input, axis, centered: true, epsilon },
            None => Found { input: data, axis, centered: false, epsilon },
        })
    }

    fn emit(self, around: &Surroundings, node: &Node, edit: &mut Edit) -> Result<()> {
        let name = node.path.split_once(':').map_or(node.path.as_str(), |(_, name)| name);
        let dims = around.fact(self.input)?.shape()[self.axis..].to_vec();
        let ones = TensorType::new(DType::F32, dims);
        let ones = Tensor::from_f64(ones.clone(), &vec![1.0; ones.elements()])?;
        let ones = edit.constant(&format!("{name}.ones"), ones);
        let (axis, epsilon) = (self.axis as i64, self.epsilon as f32);
        let op = if self.centered { layer_normalization(axis, epsilon) } else { rms_normalization(axis, epsilon) };
        let path = format!("{}:{name}", op.name());
        edit.push(Node { path, op, inputs: vec![Some(self.input), Some(ones)], outputs: node.outputs.clone() });
        Ok(())
    }
}

/// The value that an argument names.
fn value(terms: &[Argument], index: usize) -> Option<ValueId> {
    match terms.get(index)? {
        Argument::Value(id) => Some(*id),
        Argument::Number(_) => None,
    }
}

/// The elementwise node that makes a value.
fn made(around: &Surroundings, id: ValueId) -> Option<Simple> {
    simple(around, around.producer(id)?.1)
}

/// A node as one plain instruction.
fn simple(around: &Surroundings, node: &Node) -> Option<Simple> {
    let program = &node.op.downcast::<Map>()?.program;
    let [instruction] = program.instructions.as_slice() else { return None };
    let term = |term: &Term| match *term {
        Term::Literal(x) => Some(Argument::Number(x)),
        Term::Operand(k) if program.operands[k].view.is_none() => {
            let id = node.inputs.get(k).copied().flatten()?;
            Some(around.scalar(id).map_or(Argument::Value(id), Argument::Number))
        }
        _ => None,
    };
    Some(Simple { name: instruction.function.name, terms: instruction.arguments.iter().map(term).collect::<Option<_>>()? })
}

/// What a value is the mean of, kept broadcastable, and the first of the trailing axes that the mean runs over.
fn mean(around: &Surroundings, id: ValueId) -> Option<(ValueId, usize)> {
    let (_, node) = around.producer(id)?;
    let reduce = node.op.downcast::<Reduce>().filter(|r| r.reduction == Reduction::Mean && r.keepdims)?;
    let input = node.inputs.first().copied().flatten()?;
    let shape = around.fact(input).ok()?.shape();
    let given = match node.inputs.get(1).copied().flatten() {
        Some(axes) => around.graph.constant(axes)?.to_i64(),
        None => reduce.axes.clone()?,
    };
    let mut axes = given.iter().map(|a| shape.axis(*a).ok()).collect::<Option<Vec<_>>>()?;
    axes.sort_unstable();
    let first = *axes.first()?;
    axes.iter().copied().eq(first..shape.rank()).then_some((input, first))
}
