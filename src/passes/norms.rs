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
        match WrittenNorm::at(writer, &node) {
            Some(norm) => norm.replace(writer, id, &node),
            None => Ok(()),
        }
    }
}

/// A normalization that is written out, without scale and bias.
struct WrittenNorm {
    input: ValueId,
    /// First of the axes it runs over; they end with the last.
    axis: usize,
    centered: bool,
    epsilon: f64,
}

/// An elementwise node of one function: the function's name and its arguments.
struct Application {
    function: &'static str,
    arguments: Vec<Argument>,
}

#[derive(Clone, Copy, PartialEq)]
enum Argument {
    /// A tensor of the result's shape, read in its order.
    Value(ValueId),
    /// A tensor that is broadcast to the result's shape.
    Broadcast(ValueId),
    Number(f64),
}

impl WrittenNorm {
    /// The normalization whose last node, the division by the deviation, is `node`.
    fn at(writer: &Writer, node: &Node) -> Option<Self> {
        let (data, deviation) = divided(writer, node)?;
        let (squares, epsilon) = mean_square(writer, deviation)?;
        let (square, axis) = mean(writer, squares)?;
        if squared(writer, square)? != data {
            return None;
        }
        let fact = writer.fact(data).ok()?;
        // What is divided by must be the deviation of each row: the data's own shape, with rows of one element.
        let statistic: Shape =
            fact.shape().iter().enumerate().map(|(k, d)| if k < axis { *d } else { 1 }).collect::<Vec<_>>().into();
        let float = matches!(fact.dtype(), DType::F32 | DType::F16 | DType::BF16);
        if !float || writer.fact(deviation).ok()?.shape() != &statistic {
            return None;
        }
        Some(match centered(writer, data, axis) {
            Some(input) => WrittenNorm { input, axis, centered: true, epsilon },
            None => WrittenNorm { input: data, axis, centered: false, epsilon },
        })
    }

    fn replace(self, writer: &mut Writer, id: NodeId, node: &Node) -> Result<()> {
        let name = node.name();
        let fact = writer.fact(self.input)?;
        let ones = TensorType::new(fact.dtype(), fact.shape()[self.axis..].to_vec());
        let ones = Tensor::from_f64(ones.clone(), &vec![1.0; ones.elements()])?;
        let ones = writer.constant(&format!("{name}.ones"), ones);
        let (axis, epsilon) = (self.axis as i64, self.epsilon as f32);
        let op = if self.centered { layer_normalization(axis, epsilon) } else { rms_normalization(axis, epsilon) };
        writer.replace(id, Node::new(name, op, vec![Some(self.input), Some(ones)], node.outputs.clone()));
        Ok(())
    }
}

/// What a node divides, and by what: as a quotient, or as a product with the inverse.
fn divided(writer: &Writer, node: &Node) -> Option<(ValueId, ValueId)> {
    let inverse = |argument: &Argument| {
        let (Argument::Value(id) | Argument::Broadcast(id)) = argument else { return None };
        match applied(writer, *id)? {
            Application { function: "Reciprocal", arguments } => value(&arguments, 0),
            Application { function: "Div", arguments } if arguments.first() == Some(&Argument::Number(1.0)) => value(&arguments, 1),
            _ => None,
        }
    };
    let product = |data: &Argument, other: &Argument| {
        let Argument::Value(data) = data else { return None };
        Some((*data, inverse(other)?))
    };
    let Application { function, arguments } = application(writer, node)?;
    match (function, arguments.as_slice()) {
        ("Div", [Argument::Value(data), Argument::Value(deviation) | Argument::Broadcast(deviation)]) => Some((*data, *deviation)),
        ("Mul", [a, b]) => product(a, b).or_else(|| product(b, a)),
        _ => None,
    }
}

/// The mean of squares whose root, with an epsilon added, is a deviation; and the epsilon.
fn mean_square(writer: &Writer, deviation: ValueId) -> Option<(ValueId, f64)> {
    let variance = match applied(writer, deviation)? {
        Application { function: "Sqrt", arguments } => value(&arguments, 0)?,
        Application { function: "Pow", arguments } if arguments.get(1) == Some(&Argument::Number(0.5)) => value(&arguments, 0)?,
        _ => return None,
    };
    let Application { function: "Add", arguments } = applied(writer, variance)? else { return None };
    match arguments.as_slice() {
        [Argument::Value(v), Argument::Number(x)] | [Argument::Number(x), Argument::Value(v)] => Some((*v, *x)),
        _ => None,
    }
}

/// The value that another is the square of.
fn squared(writer: &Writer, square: ValueId) -> Option<ValueId> {
    match applied(writer, square)? {
        Application { function: "Pow", arguments } if arguments.get(1) == Some(&Argument::Number(2.0)) => value(&arguments, 0),
        Application { function: "Mul", arguments } if arguments.first() == arguments.get(1) => value(&arguments, 0),
        _ => None,
    }
}

/// The value that `data` is without its mean over the axes from `axis` on.
fn centered(writer: &Writer, data: ValueId, axis: usize) -> Option<ValueId> {
    let Application { function: "Sub", arguments } = applied(writer, data)? else { return None };
    let (Argument::Value(subtracted) | Argument::Broadcast(subtracted)) = *arguments.get(1)? else { return None };
    let input = value(&arguments, 0)?;
    (mean(writer, subtracted)? == (input, axis)).then_some(input)
}

/// The value that an argument names, which has the result's shape.
fn value(arguments: &[Argument], index: usize) -> Option<ValueId> {
    match arguments.get(index)? {
        Argument::Value(id) => Some(*id),
        Argument::Broadcast(_) | Argument::Number(_) => None,
    }
}

/// The application that makes a value.
fn applied(writer: &Writer, id: ValueId) -> Option<Application> {
    application(writer, writer.maker(id)?)
}

/// A node as an application of one function.
fn application(writer: &Writer, node: &Node) -> Option<Application> {
    let program = &node.op.downcast::<Map>()?.program;
    let shape = writer.fact(node.only_output()?).ok()?.shape();
    let [instruction] = program.instructions.as_slice() else { return None };
    let argument = |term: &Term| match *term {
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
    let arguments = instruction.arguments.iter().map(argument).collect::<Option<Vec<_>>>()?;
    // Without a tensor of its shape the result has another than all it is made of: numbers of a higher rank raise it.
    let shaped = arguments.iter().any(|argument| matches!(argument, Argument::Value(_)));
    shaped.then_some(Application { function: instruction.function.name, arguments })
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
