//! Elementwise operators and Cast.

use super::{Row, dropout, row};
use crate::error::{Error, Result};
use crate::graph::ValueId;
use crate::import::onnx::context::Context;
use crate::ops::elementwise::{binary, cast, cast_like, clip, clip_operands, select, unary, unary_with, variadic};
use crate::ops::reshape;
use crate::tensor::DType;

pub(super) const ARITHMETIC: &[Row] = &[
    row("Add", 1, 2..=2, 1, one_sided).until(6),
    row("Add", 7, 2..=2, 1, two),
    row("Sub", 1, 2..=2, 1, one_sided).until(6),
    row("Sub", 7, 2..=2, 1, two),
    row("Mul", 1, 2..=2, 1, one_sided).until(6),
    row("Mul", 7, 2..=2, 1, two),
    row("Div", 1, 2..=2, 1, one_sided).until(6),
    row("Div", 7, 2..=2, 1, two),
    row("Mod", 10, 2..=2, 1, |c| c.emit(binary(if c.flag("fmod", false)? { "Fmod" } else { "Mod" })?, &c.inputs())),
    row("Pow", 1, 2..=2, 1, one_sided).until(6),
    row("Pow", 7, 2..=2, 1, two),
    row("Sum", 1, 1..=usize::MAX, 1, many),
    row("Mean", 1, 1..=usize::MAX, 1, many),
    row("Max", 1, 1..=usize::MAX, 1, many),
    row("Min", 1, 1..=usize::MAX, 1, many),
    row("Neg", 1, 1..=1, 1, one),
    row("Abs", 1, 1..=1, 1, one),
    row("Sign", 9, 1..=1, 1, one),
    row("Reciprocal", 1, 1..=1, 1, one),
    row("Sqrt", 1, 1..=1, 1, one),
    row("Exp", 1, 1..=1, 1, one),
    row("Log", 1, 1..=1, 1, one),
    row("Erf", 9, 1..=1, 1, one),
    row("Sin", 7, 1..=1, 1, one),
    row("Cos", 7, 1..=1, 1, one),
    row("Tan", 7, 1..=1, 1, one),
    row("Asin", 7, 1..=1, 1, one),
    row("Acos", 7, 1..=1, 1, one),
    row("Atan", 7, 1..=1, 1, one),
    row("Sinh", 9, 1..=1, 1, one),
    row("Cosh", 9, 1..=1, 1, one),
    row("Tanh", 1, 1..=1, 1, one),
    row("Asinh", 9, 1..=1, 1, one),
    row("Acosh", 9, 1..=1, 1, one),
    row("Atanh", 9, 1..=1, 1, one),
    row("Ceil", 1, 1..=1, 1, one),
    row("Floor", 1, 1..=1, 1, one),
    row("Round", 11, 1..=1, 1, one),
    row("Clip", 1, 1..=1, 1, clip_by_attributes).until(10),
    row("Clip", 11, 1..=3, 1, clip_by_inputs),
];

pub(super) const ACTIVATION: &[Row] = &[
    row("Relu", 1, 1..=1, 1, one),
    row("LeakyRelu", 1, 1..=1, 1, |c| with_parameters(c, &[("alpha", 0.01)])),
    row("PRelu", 1, 2..=2, 1, prelu_until_6).until(6),
    row("PRelu", 7, 2..=2, 1, two),
    row("ThresholdedRelu", 10, 1..=1, 1, |c| with_parameters(c, &[("alpha", 1.0)])),
    row("Elu", 1, 1..=1, 1, |c| with_parameters(c, &[("alpha", 1.0)])),
    row("Celu", 12, 1..=1, 1, |c| with_parameters(c, &[("alpha", 1.0)])),
    // Before version 6 the constants were rounded.
    row("Selu", 1, 1..=1, 1, |c| with_parameters(c, &[("alpha", 1.6732), ("gamma", 1.0507)])).until(5),
    row("Selu", 6, 1..=1, 1, |c| with_parameters(c, &[("alpha", 1.673_263_2), ("gamma", 1.050_701)])),
    row("Gelu", 20, 1..=1, 1, gelu),
    row("Mish", 18, 1..=1, 1, one),
    row("Sigmoid", 1, 1..=1, 1, one),
    row("HardSigmoid", 1, 1..=1, 1, |c| with_parameters(c, &[("alpha", 0.2), ("beta", 0.5)])),
    row("Swish", 24, 1..=1, 1, |c| with_parameters(c, &[("alpha", 1.0)])),
    row("HardSwish", 14, 1..=1, 1, one),
    row("SwiGLU", 28, 2..=2, 1, swiglu),
    row("Softplus", 1, 1..=1, 1, one),
    row("Softsign", 1, 1..=1, 1, one),
    row("Shrink", 9, 1..=1, 1, |c| with_parameters(c, &[("bias", 0.0), ("lambd", 0.5)])),
    row("Dropout", 1, 1..=1, 2, dropout::until_11).until(11),
    row("Dropout", 12, 1..=3, 2, dropout::by_inputs),
];

pub(super) const LOGIC: &[Row] = &[
    row("And", 1, 2..=2, 1, one_sided).until(6),
    row("And", 7, 2..=2, 1, two),
    row("Or", 1, 2..=2, 1, one_sided).until(6),
    row("Or", 7, 2..=2, 1, two),
    row("Xor", 1, 2..=2, 1, one_sided).until(6),
    row("Xor", 7, 2..=2, 1, two),
    row("Not", 1, 1..=1, 1, one),
    row("Equal", 1, 2..=2, 1, one_sided).until(6),
    row("Equal", 7, 2..=2, 1, two),
    row("Greater", 1, 2..=2, 1, one_sided).until(6),
    row("Greater", 7, 2..=2, 1, two),
    row("GreaterOrEqual", 12, 2..=2, 1, two),
    row("Less", 1, 2..=2, 1, one_sided).until(6),
    row("Less", 7, 2..=2, 1, two),
    row("LessOrEqual", 12, 2..=2, 1, two),
    row("Where", 9, 3..=3, 1, |c| c.emit(select()?, &c.inputs())),
    row("IsInf", 10, 1..=1, 1, is_inf),
    row("IsNaN", 9, 1..=1, 1, one),
    row("BitShift", 11, 2..=2, 1, bit_shift),
    row("BitwiseAnd", 18, 2..=2, 1, two),
    row("BitwiseOr", 18, 2..=2, 1, two),
    row("BitwiseXor", 18, 2..=2, 1, two),
    row("BitwiseNot", 18, 1..=1, 1, one),
    row("Cast", 1, 1..=1, 1, cast_by_name).until(5),
    row("Cast", 6, 1..=1, 1, cast_by_number),
    row("CastLike", 15, 2..=2, 1, |c| c.emit(cast_like(), &c.inputs())),
];

/// The function of one operand that has the operator's name.
fn one(c: &mut Context<'_, '_>) -> Result<()> {
    c.emit(unary(c.operator())?, &c.inputs())
}

/// The function of two operands that has the operator's name.
fn two(c: &mut Context<'_, '_>) -> Result<()> {
    c.emit(binary(c.operator())?, &c.inputs())
}

/// A function of one operand with attributes, given with their defaults.
fn with_parameters(c: &mut Context<'_, '_>, parameters: &[(&str, f32)]) -> Result<()> {
    let values = parameters.iter().map(|(name, default)| c.float(name, *default).map(f64::from)).collect::<Result<Vec<_>>>()?;
    c.emit(unary_with(c.operator(), &values)?, &c.inputs())
}

fn is_inf(c: &mut Context<'_, '_>) -> Result<()> {
    let parameter = |name| Ok::<f64, Error>(if c.flag(name, true)? { 1.0 } else { 0.0 });
    c.emit(unary_with("IsInf", &[parameter("detect_negative")?, parameter("detect_positive")?])?, &c.inputs())
}

fn gelu(c: &mut Context<'_, '_>) -> Result<()> {
    let name = match c.string("approximate", "none")? {
        "none" => "Gelu",
        "tanh" => "GeluTanh",
        other => return Err(Error::invalid_model(format!("attribute `approximate` is `{other}`: expected none or tanh"))),
    };
    c.emit(unary(name)?, &c.inputs())
}

fn swiglu(c: &mut Context<'_, '_>) -> Result<()> {
    let gate = c.apply(unary_with("Swish", &[c.float("alpha", 1.0)?.into()])?, c.input(0)?);
    c.emit(binary("Mul")?, &[Some(gate), c.optional(1)])
}

/// Before version 7 the second operand is broadcast to the first, with its axes standing from `axis` on; without that
/// attribute they are the last ones, as in numpy.
fn one_sided(c: &mut Context<'_, '_>) -> Result<()> {
    let mut operand = c.input(1)?;
    if let (true, Some(axis)) = (c.flag("broadcast", false)?, c.attributes.int("axis")?) {
        operand = aligned(c, operand, axis)?;
    }
    c.emit(binary(c.operator())?, &[c.optional(0), Some(operand)])
}

/// `operand` with as many extents of 1 behind it as it takes for its first axis to meet axis `axis` of input 0.
fn aligned(c: &mut Context<'_, '_>, operand: ValueId, axis: i64) -> Result<ValueId> {
    let (Some(rank), Some(inner)) = (c.rank(c.input(0)?), c.rank(operand)) else {
        return Err(c.unsupported("the broadcast form before version 7 needs inputs of declared rank"));
    };
    let rank = i64::try_from(rank).unwrap_or(0);
    let inner = i64::try_from(inner).unwrap_or(0);
    let axis = if axis < 0 { axis.saturating_add(rank) } else { axis };
    let first = axis.saturating_add(inner);
    if axis < 0 || first > rank {
        return Err(Error::invalid_model(format!(
            "attribute `axis`: an operand of rank {inner} does not fit rank {rank} from axis {axis} on"
        )));
    }
    if first == rank {
        return Ok(operand);
    }
    let axes: Vec<i64> = (inner..rank.saturating_sub(axis)).collect();
    let axes = c.int_constant("axes", &axes)?;
    Ok(c.node(reshape::unsqueeze(), &[Some(operand), Some(axes)]))
}

/// Before version 7 a slope of rank 1 has one element per channel, axis 1.
fn prelu_until_6(c: &mut Context<'_, '_>) -> Result<()> {
    let slope = c.input(1)?;
    let single = c.extents(slope).is_some_and(|dims| dims.iter().all(|d| *d == 1));
    let slope = if single { slope } else { aligned(c, slope, 1)? };
    c.emit(binary("PRelu")?, &[c.optional(0), Some(slope)])
}

fn bit_shift(c: &mut Context<'_, '_>) -> Result<()> {
    let name = match c.string("direction", "")? {
        "LEFT" => "BitShiftLeft",
        "RIGHT" => "BitShiftRight",
        other => return Err(Error::invalid_model(format!("attribute `direction` is `{other}`: expected LEFT or RIGHT"))),
    };
    c.emit(binary(name)?, &c.inputs())
}

/// Operands joined a few at a time, as a kernel binds only so many.
fn many(c: &mut Context<'_, '_>) -> Result<()> {
    const AT_ONCE: usize = 4;
    let inputs = c.inputs();
    let Some((first, rest)) = inputs.split_first() else {
        return Err(Error::invalid_model(format!("{} needs an input", c.operator())));
    };
    if let Some(missing) = inputs.iter().position(Option::is_none) {
        return Err(Error::invalid_model(format!("{} needs input {missing}, which is missing", c.operator())));
    }
    if inputs.len() <= AT_ONCE {
        return c.emit(variadic(c.operator(), inputs.len())?, &inputs);
    }
    let step = if c.operator() == "Mean" { "Sum" } else { c.operator() };
    let mut joined = *first;
    for chunk in rest.chunks(AT_ONCE.saturating_sub(1)) {
        let operands: Vec<Option<ValueId>> = std::iter::once(joined).chain(chunk.iter().copied()).collect();
        joined = Some(c.node(variadic(step, operands.len())?, &operands));
    }
    if c.operator() != "Mean" {
        return c.emit(reshape::identity(), &[joined]);
    }
    let count = u32::try_from(inputs.len()).map_err(|_| Error::limit("Mean has too many inputs"))?;
    c.emit(unary_with("Div", &[count.into()])?, &[joined])
}

fn clip_by_attributes(c: &mut Context<'_, '_>) -> Result<()> {
    let limit =
        |name| Ok::<_, Error>(c.attributes.float(name)?.filter(|limit| limit.is_finite() && limit.abs() < f32::MAX).map(f64::from));
    c.emit(clip(limit("min")?, limit("max")?)?, &c.inputs())
}

/// Limits that the file holds become literals; those of integers stay operands, which are exact.
fn clip_by_inputs(c: &mut Context<'_, '_>) -> Result<()> {
    let literal = |index: usize| match c.optional(index) {
        None => Some(None),
        Some(_) => c.known(index).filter(|t| t.dtype() == DType::F32).and_then(|t| t.to_f64().first().copied()).map(Some),
    };
    match (literal(1), literal(2)) {
        (Some(min), Some(max)) => c.emit(clip(min, max)?, &[c.optional(0)]),
        _ => {
            let inputs: Vec<Option<ValueId>> = c.inputs().into_iter().filter(Option::is_some).collect();
            c.emit(clip_operands(c.optional(1).is_some(), c.optional(2).is_some())?, &inputs)
        }
    }
}

fn cast_by_name(c: &mut Context<'_, '_>) -> Result<()> {
    let to = match c.string("to", "")?.to_ascii_uppercase().as_str() {
        "FLOAT" => DType::F32,
        "FLOAT16" => DType::F16,
        "DOUBLE" => DType::F64,
        "INT8" => DType::I8,
        "INT16" => DType::I16,
        "INT32" => DType::I32,
        "INT64" => DType::I64,
        "UINT8" => DType::U8,
        "UINT16" => DType::U16,
        "UINT32" => DType::U32,
        "UINT64" => DType::U64,
        "BOOL" => DType::Bool,
        other => return Err(c.unsupported(format!("attribute `to` is `{other}`, which is no implemented element type"))),
    };
    c.emit_typed(cast(to)?, &c.inputs(), to)
}

fn cast_by_number(c: &mut Context<'_, '_>) -> Result<()> {
    let to = c.attributes.dtype("to")?.ok_or_else(|| c.missing("to"))?;
    c.emit_typed(cast(to)?, &c.inputs(), to)
}
