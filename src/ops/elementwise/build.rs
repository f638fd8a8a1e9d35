//! Elementwise operators by name.

use super::{Map, function};
use crate::error::{Error, Result};
use crate::graph::{Edit, Fact, Io, Node, Op, required};
use crate::kernel::{Caps, Instruction, Lowering, Program, ProgramOperand, ScalarFunction, Term};
use crate::tensor::{DType, Tensor};
use std::sync::Arc;

/// A function of one operand: Neg, Exp, Relu, Not, IsNaN, ...
///
/// # Errors
/// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) when there is none of that name.
pub fn unary(name: &str) -> Result<Arc<dyn Op>> {
    apply(name, 1, &[])
}

/// A function of two operands: Add, Pow, Mod (the divisor's sign), Fmod (the dividend's), Less, BitShiftLeft, PRelu, ...
///
/// # Errors
/// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) when there is none of that name.
pub fn binary(name: &str) -> Result<Arc<dyn Op>> {
    apply(name, 2, &[])
}

/// A function of one operand with parameters, in the order of the ONNX specification: LeakyRelu, ThresholdedRelu, Elu and
/// Celu (alpha), Selu (alpha, gamma), HardSigmoid (alpha, beta), Swish (alpha), Shrink (bias, lambd), IsInf
/// (detect_negative, detect_positive, each 0 or 1).
///
/// # Errors
/// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) when there is none of that name and number of parameters.
pub fn unary_with(name: &str, parameters: &[f64]) -> Result<Arc<dyn Op>> {
    apply(name, 1, parameters)
}

/// Sum, Mean, Min or Max of `count` operands.
///
/// # Errors
/// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for other names, [`InvalidModel`](crate::ErrorKind::InvalidModel)
/// without operands.
pub fn variadic(name: &str, count: usize) -> Result<Arc<dyn Op>> {
    let step = named(match name {
        "Sum" | "Mean" => "Add",
        "Min" | "Max" => name,
        _ => return Err(Error::invalid_argument(format!("expected Sum, Mean, Min or Max, found {name}"))),
    })?;
    let mut instructions = match count {
        0 => return Err(Error::invalid_model(format!("{name} needs at least one input"))),
        1 => vec![instruction(named("Identity")?, vec![Term::Operand(0)])],
        _ => vec![instruction(step, vec![Term::Operand(0), Term::Operand(1)])],
    };
    for k in 2..count {
        instructions.push(instruction(step, vec![Term::Result(k - 2), Term::Operand(k)]));
    }
    if name == "Mean" && count > 1 {
        instructions.push(instruction(named("Div")?, vec![Term::Result(count - 2), Term::Literal(count as f64)]));
    }
    Ok(map(count, instructions))
}

/// Clip with limits that are known; without any it is Identity.
///
/// # Errors
/// None; the type is that of its neighbours.
pub fn clip(min: Option<f64>, max: Option<f64>) -> Result<Arc<dyn Op>> {
    clip_terms(1, min.map(Term::Literal), max.map(Term::Literal))
}

/// Clip with limits that are operands: the inputs are the data, then the lower limit if `min`, then the upper if `max`.
///
/// # Errors
/// None; the type is that of its neighbours.
pub fn clip_operands(min: bool, max: bool) -> Result<Arc<dyn Op>> {
    let count = 1 + usize::from(min) + usize::from(max);
    clip_terms(count, min.then_some(Term::Operand(1)), max.then_some(Term::Operand(count - 1)))
}

fn clip_terms(count: usize, min: Option<Term>, max: Option<Term>) -> Result<Arc<dyn Op>> {
    let x = Term::Operand(0);
    let (name, arguments) = match (min, max) {
        (None, None) => ("Identity", vec![x]),
        (Some(min), None) => ("Max", vec![x, min]),
        (None, Some(max)) => ("Min", vec![x, max]),
        (Some(min), Some(max)) => ("Clip", vec![x, min, max]),
    };
    Ok(map(count, vec![instruction(named(name)?, arguments)]))
}

/// Where: the second operand where the first (bool) is true, the third elsewhere.
///
/// # Errors
/// None; the type is that of its neighbours.
pub fn select() -> Result<Arc<dyn Op>> {
    apply("Where", 3, &[])
}

/// Conversion to another dtype.
///
/// # Errors
/// None; the type is that of its neighbours.
pub fn cast(to: DType) -> Result<Arc<dyn Op>> {
    Ok(Arc::new(cast_map(to)?))
}

fn cast_map(to: DType) -> Result<Map> {
    let cast = Instruction { cast: Some(to), ..instruction(named("Cast")?, vec![Term::Operand(0)]) };
    Ok(Map { program: Program { operands: vec![ProgramOperand::default()], instructions: vec![cast] } })
}

/// Conversion of input 0 to the dtype of input 1.
pub fn cast_like() -> Arc<dyn Op> {
    Arc::new(CastLike)
}

/// See [`cast_like`].
#[derive(Clone, Debug, PartialEq)]
pub struct CastLike;

impl Op for CastLike {
    fn name(&self) -> &'static str {
        "CastLike"
    }

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let (data, like) = (required(self.name(), inputs, 0)?, required(self.name(), inputs, 1)?);
        cast_map(like.dtype())?.infer(&[Some(data)])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let (data, like) = (required(self.name(), inputs, 0)?, required(self.name(), inputs, 1)?);
        cast_map(like.dtype())?.reference(&[Some(data)])
    }

    fn candidates(&self, io: &Io, caps: &Caps) -> Result<Vec<Lowering>> {
        cast_map(io.input(1)?.dtype())?.candidates(io, caps)
    }

    fn expand(&self, node: &Node, inputs: &[Option<&Fact>], _edit: &mut Edit) -> Result<Option<Vec<Node>>> {
        let like = required(self.name(), inputs, 1)?;
        Ok(Some(vec![Node { op: cast(like.dtype())?, inputs: node.inputs[..1].to_vec(), ..node.clone() }]))
    }
}

/// One function applied to operands, then parameters.
fn apply(name: &str, operands: usize, parameters: &[f64]) -> Result<Arc<dyn Op>> {
    let function = named(name)?;
    let (min, max) = function.arity;
    let count = operands + parameters.len();
    if count < min || count > max {
        return Err(Error::invalid_argument(format!(
            "{name} takes {min} to {max} arguments, found {operands} operands and {} parameters",
            parameters.len()
        )));
    }
    let arguments = (0..operands).map(Term::Operand).chain(parameters.iter().map(|p| Term::Literal(*p))).collect();
    Ok(map(operands, vec![instruction(function, arguments)]))
}

fn named(name: &str) -> Result<&'static ScalarFunction> {
    function(name).ok_or_else(|| Error::invalid_argument(format!("there is no elementwise function `{name}`")))
}

fn instruction(function: &'static ScalarFunction, arguments: Vec<Term>) -> Instruction {
    Instruction { function, arguments, cast: None }
}

fn map(operands: usize, instructions: Vec<Instruction>) -> Arc<dyn Op> {
    Arc::new(Map { program: Program { operands: vec![ProgramOperand::default(); operands], instructions } })
}
