//! Layer and RMS normalization found where exporters wrote them out as ReduceMean, Sub, Pow, ReduceMean, Add, Sqrt, Div,
//! and made one node. The scale and bias that follow become its epilogue.

use super::common::{plain, seen};
use super::{Options, Pass};
use crate::error::Result;
use crate::graph::{Node, NodeId, OpExt, ValueId, Writer};
use crate::kernel::Term;
use crate::ops::elementwise::Map;
use crate::ops::norm::{layer_normalization, rms_normalization};
use crate::ops::reduce::{Reduce, Reduction};
use crate::tensor::{DType, Shape, Tensor, TensorType};

/// The name of the pass that makes one node of a normalization that is written out.
pub const NORMS: &str = "norms";

/// Makes one node of a normalization that is written out.
#[derive(Debug)]
pub(crate) struct Norms;

impl Pass for Norms {
    fn name(&self) -> &str {
        NORMS
    }

    fn visit(&self, writer: &mut Writer, id: NodeId, _: &Options) -> Result<()> {
        let Some(node) = writer.node(id).cloned() else { return Ok(()) };
        match Found::at(writer, &node) {
            Some(found) => found.emit(writer, id, &node),
            None => Ok(()),
        }
    }
}

/// A normalization without scale and bias.
struct Found {
    input: ValueId,
    /// First of the axes it runs over; they end with the last.
    axis: usize,
    centered: bool,
    epsilon: f64,
}

/// An elementwise node of one instruction: its name and the values it reads in the result's order, or numbers.
struct Simple {
    name: &'static str,
    terms: Vec<Argument>,
}

#[derive(Clone, Copy, PartialEq)]
enum Argument {
    /// A tensor of the result's shape.
    Value(ValueId),
    /// A tensor that is broadcast to the result's shape.
    Broadcast(ValueId),
    Number(f64),
}

impl Found {
    /// The normalization whose last node, the division by the deviation, is `node`.
    fn at(writer: &Writer, node: &Node) -> Option<Self> {
        let (data, deviation) = match simple(writer, node)? {
            Simple { name: "Div", terms } => match terms.as_slice() {
                [Argument::Value(data), Argument::Value(deviation) | Argument::Broadcast(deviation)] => (*data, *deviation),
                _ => return None,
            },
            Simple { name: "Mul", terms } => {
                let inverse = |term: &Argument| {
                    let (Argument::Value(id) | Argument::Broadcast(id)) = term else { return None };
                    match made(writer, *id)? {
                        Simple { name: "Reciprocal", terms } => value(&terms, 0),
                        Simple { name: "Div", terms } if terms.first() == Some(&Argument::Number(1.0)) => value(&terms, 1),
                        _ => None,
                    }
                };
                let pair = |data: &Argument, other: &Argument| {
                    let Argument::Value(data) = data else { return None };
                    Some((*data, inverse(other)?))
                };
                let [a, b] = terms.as_slice() else { return None };
                pair(a, b).or_else(|| pair(b, a))?
            }
            _ => return None,
        };
        let variance = match made(writer, deviation)? {
            Simple { name: "Sqrt", terms } => value(&terms, 0)?,
            Simple { name: "Pow", terms } if terms.get(1) == Some(&Argument::Number(0.5)) => value(&terms, 0)?,
            _ => return None,
        };
        let (mean_square, epsilon) = match made(writer, variance)? {
            Simple { name: "Add", terms } => match terms.as_slice() {
                [Argument::Value(v), Argument::Number(x)] | [Argument::Number(x), Argument::Value(v)] => (*v, *x),
                _ => return None,
            },
            _ => return None,
        };
        let (square, axis) = mean(writer, mean_square)?;
        let squared = match made(writer, square)? {
            Simple { name: "Pow", terms } if terms.get(1) == Some(&Argument::Number(2.0)) => value(&terms, 0)?,
            Simple { name: "Mul", terms } if terms.first() == terms.get(1) => value(&terms, 0)?,
            _ => return None,
        };
        let fact = writer.fact(data).ok()?;
        // What is divided by must be the deviation of each row: the data's own shape, with rows of one element.
        let statistic: Shape =
            fact.shape().iter().enumerate().map(|(k, d)| if k < axis { *d } else { 1 }).collect::<Vec<_>>().into();
        let float = matches!(fact.dtype(), DType::F32 | DType::F16 | DType::BF16);
        if squared != data || !float || writer.fact(deviation).ok()?.shape() != &statistic {
            return None;
        }
        let centre = || match made(writer, data)? {
            Simple { name: "Sub", terms } => {
                let (Argument::Value(subtracted) | Argument::Broadcast(subtracted)) = *terms.get(1)? else { return None };
                let input = value(&terms, 0)?;
                (mean(writer, subtracted)? == (input, axis)).then_some(input)
            }
            _ => None,
        };
        Some(match centre() {
            Some(input) => Found { input, axis, centered: true, epsilon },
            None => Found { input: data, axis, centered: false, epsilon },
        })
    }

    fn emit(self, writer: &mut Writer, id: NodeId, node: &Node) -> Result<()> {
        let name = node.name();
        let fact = writer.fact(self.input)?;
        let ones = TensorType::new(fact.dtype(), fact.shape()[self.axis..].to_vec());
        let ones = Tensor::from_f64(ones.clone(), &vec![1.0; ones.elements()])?;
        let ones = writer.constant(&format!("{name}.ones"), ones);
        let (axis, epsilon) = (self.axis as i64, self.epsilon as f32);
        let op = if self.centered { layer_normalization(axis, epsilon) } else { rms_normalization(axis, epsilon) };
        let path = format!("{}:{name}", op.name());
        writer.replace(id, Node { path, op, inputs: vec![Some(self.input), Some(ones)], outputs: node.outputs.clone() });
        Ok(())
    }
}

/// The value that an argument names, which has the result's shape.
fn value(terms: &[Argument], index: usize) -> Option<ValueId> {
    match terms.get(index)? {
        Argument::Value(id) => Some(*id),
        Argument::Broadcast(_) | Argument::Number(_) => None,
    }
}

/// The elementwise node that makes a value.
fn made(writer: &Writer, id: ValueId) -> Option<Simple> {
    simple(writer, writer.maker(id)?)
}

/// A node as one plain instruction.
fn simple(writer: &Writer, node: &Node) -> Option<Simple> {
    let program = &node.op.downcast::<Map>()?.program;
    let shape = writer.fact(node.only_output()?).ok()?.shape();
    let [instruction] = program.instructions.as_slice() else { return None };
    let term = |term: &Term| match *term {
        Term::Literal(x) => Some(Argument::Number(x)),
        Term::Operand(k) => {
            let id = node.input(k)?;
            match writer.scalar(id) {
                Some(number) => seen(writer, node, program, k, shape).map(|_| Argument::Number(number)),
                None if plain(writer, node, program, k, shape) => Some(Argument::Value(id)),
                None => program.operands[k].view.is_none().then_some(Argument::Broadcast(id)),
            }
        }
        Term::Carried | Term::Result(_) => None,
    };
    let terms = instruction.arguments.iter().map(term).collect::<Option<Vec<_>>>()?;
    // Without a tensor of its shape the result has another than all it is made of: numbers of a higher rank raise it.
    let shaped = terms.iter().any(|term| matches!(term, Argument::Value(_)));
    shaped.then_some(Simple { name: instruction.function.name, terms })
}

/// What a value is the mean of, kept broadcastable, and the first of the trailing axes that the mean runs over.
fn mean(writer: &Writer, id: ValueId) -> Option<(ValueId, usize)> {
    let node = writer.maker(id)?;
    let reduce = node.op.downcast::<Reduce>().filter(|r| r.reduction == Reduction::Mean && r.keepdims)?;
    let data = node.input(0)?;
    let shape = writer.fact(data).ok()?.shape();
    let given = match (&reduce.axes, node.input(1)) {
        (Some(axes), _) => axes.clone(),
        (None, Some(axes)) => writer.contents(axes)?.to_i64(),
        (None, None) => vec![],
    };
    let mut axes = given.iter().map(|a| shape.axis(*a).ok()).collect::<Option<Vec<_>>>()?;
    if axes.is_empty() && !reduce.noop_with_empty_axes {
        axes.extend(0..shape.rank());
    }
    axes.sort_unstable();
    let first = *axes.first()?;
    axes.iter().copied().eq(first..shape.rank()).then_some((data, first))
}
