//! Elementwise operators: a node for each instruction of a program.

use super::{Row, rows, whole};
use crate::error::{Error, Result};
use crate::export::onnx::context::Context;
use crate::export::onnx::form::{NodeForm, form, form_since};
use crate::export::onnx::proto::data_type;
use crate::graph::Fact;
use crate::kernel::{Instruction, Program, Signature, Term};
use crate::ops::elementwise::{CastLike, Map};
use crate::tensor::DType;

pub(super) const ROWS: &[Row] = rows! {
    Map => map,
    CastLike => |_, c| c.emit(&form_since("CastLike", 15)),
};

/// Functions whose parameters are attributes.
const PARAMETERS: &[(&str, &[&str], i64)] = &[
    ("LeakyRelu", &["alpha"], 1),
    ("ThresholdedRelu", &["alpha"], 1),
    ("Elu", &["alpha"], 1),
    ("Celu", &["alpha"], 1),
    ("Selu", &["alpha", "gamma"], 1),
    ("HardSigmoid", &["alpha", "beta"], 1),
    ("Swish", &["alpha"], 24),
    ("Shrink", &["bias", "lambd"], 1),
];

/// An argument of a function.
#[derive(Clone, Debug)]
enum Argument {
    Value(String),
    Number(f64),
}

fn map(op: &Map, c: &mut Context<'_, '_>) -> Result<()> {
    let Program { operands, instructions } = &op.program;
    whole(operands.iter().all(|operand| operand.view.is_none()))?;
    let known: Option<Vec<DType>> = (0..operands.len()).map(|k| c.fact(k).map(Fact::dtype)).collect();
    let results = known.as_ref().and_then(|known| op.program.dtypes(known, None).ok());
    let inputs = c.inputs();
    let mut made: Vec<String> = Vec::with_capacity(instructions.len());
    for (k, instruction) in instructions.iter().enumerate() {
        let missing = || Error::internal("a term that does not exist");
        let argument = |term: &Term| match *term {
            Term::Operand(i) => inputs.get(i).cloned().map(Argument::Value).ok_or_else(missing),
            Term::Result(i) => made.get(i).cloned().map(Argument::Value).ok_or_else(missing),
            Term::Literal(number) => Ok(Argument::Number(number)),
            Term::Carried => Err(missing()),
        };
        let arguments = instruction.arguments.iter().map(argument).collect::<Result<Vec<_>>>()?;
        let dtypes = known.as_ref().zip(results.as_ref());
        let dtypes = dtypes.and_then(|(known, results)| op.program.argument_dtypes(instruction, known, None, results).ok());
        let output = if k + 1 == instructions.len() { c.output(0) } else { c.fresh(instruction.function.name) };
        write(c, instruction, arguments, dtypes.as_deref(), output.clone())?;
        made.push(output);
    }
    Ok(())
}

/// Writes one instruction.
fn write(
    c: &mut Context<'_, '_>,
    instruction: &Instruction,
    arguments: Vec<Argument>,
    dtypes: Option<&[DType]>,
    output: String,
) -> Result<()> {
    let name = instruction.function.name;
    let (form, taken) = match name {
        "Cast" => {
            let to = instruction.cast.ok_or_else(|| Error::internal("a cast without a dtype to cast to"))?;
            (form("Cast").int("to", data_type(to)), 1)
        }
        "IsInf" => (detecting(&arguments)?, 1),
        "Rsqrt" => {
            let [root] = values(c, instruction, &arguments, dtypes)?.try_into().map_err(|_| Error::internal("Rsqrt of two"))?;
            let root = c.between(&form("Sqrt"), &[&root]);
            c.write(&form("Reciprocal"), vec![root], vec![output]);
            return Ok(());
        }
        // What is held within limits of which one is a number.
        "Max" | "Min" if let [Argument::Value(_), Argument::Number(_)] = arguments.as_slice() => {
            let mut inputs = values(c, instruction, &arguments, dtypes)?;
            if name == "Min" {
                inputs.insert(1, String::new());
            }
            c.write(&form("Clip"), inputs, vec![output]);
            return Ok(());
        }
        _ => match PARAMETERS.iter().find(|(known, ..)| *known == name) {
            Some((known, attributes, since)) => (with_parameters(form_since(known, *since), attributes, &arguments)?, 1),
            None => (plain(instruction), arguments.len()),
        },
    };
    let inputs = values(c, instruction, &arguments[..taken.min(arguments.len())], dtypes)?;
    c.write(&form, inputs, vec![output]);
    Ok(())
}

/// A function that is an operator of as many inputs.
fn plain(instruction: &Instruction) -> NodeForm {
    match instruction.function.name {
        "Mod" => form("Mod").flag("fmod", false),
        "Fmod" => form("Mod").flag("fmod", true),
        "Gelu" => form("Gelu").text("approximate", "none"),
        "GeluTanh" => form("Gelu").text("approximate", "tanh"),
        "BitShiftLeft" => form("BitShift").text("direction", "LEFT"),
        "BitShiftRight" => form("BitShift").text("direction", "RIGHT"),
        name => form(name),
    }
}

/// The number that an argument is.
fn number(argument: Option<&Argument>) -> Result<f64> {
    match argument {
        Some(Argument::Number(number)) => Ok(*number),
        _ => Err(Error::unsupported("a parameter that is an attribute in ONNX is a tensor here")),
    }
}

fn with_parameters(mut form: NodeForm, names: &[&'static str], arguments: &[Argument]) -> Result<NodeForm> {
    for (name, argument) in names.iter().zip(1..) {
        form = form.float(name, number(arguments.get(argument))? as f32);
    }
    Ok(form)
}

fn detecting(arguments: &[Argument]) -> Result<NodeForm> {
    let flag = |index: usize| Ok::<_, Error>(number(arguments.get(index))? != 0.0);
    Ok(form("IsInf").flag("detect_negative", flag(1)?).flag("detect_positive", flag(2)?))
}

/// The names of arguments; numbers are constants of the dtype of their neighbours.
fn values(
    c: &mut Context<'_, '_>,
    instruction: &Instruction,
    arguments: &[Argument],
    dtypes: Option<&[DType]>,
) -> Result<Vec<String>> {
    let skip = usize::from(instruction.function.signature == Signature::Select);
    let value = |argument: &Argument| if let Argument::Value(name) = argument { Some(name.clone()) } else { None };
    let like = arguments.iter().skip(skip).find_map(value);
    let mut names = Vec::with_capacity(arguments.len());
    for (k, argument) in arguments.iter().enumerate() {
        names.push(match argument {
            Argument::Value(name) => name.clone(),
            Argument::Number(number) => {
                // Beside numbers alone it is a 32-bit float.
                let dtype =
                    dtypes.and_then(|dtypes| dtypes.get(k).copied()).or(if like.is_none() { Some(DType::F32) } else { None });
                c.number(*number, dtype, like.as_deref().unwrap_or_default())?
            }
        });
    }
    Ok(names)
}
