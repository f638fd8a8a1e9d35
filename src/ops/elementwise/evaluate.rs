//! What a program means: every instruction applied to every element, floats in f64 rounded to the dtype of each result,
//! integers in i128 wrapped to its width.

use crate::error::{Error, Result};
use crate::kernel::{Instruction, Program, Term};
use crate::tensor::{DType, Shape, Tensor, TensorType, View};
use half::{bf16, f16};

/// The values of one operand or result; a single one stands for all.
enum Column {
    Float(Vec<f64>),
    Integer(Vec<i128>),
}

/// The program's result for every element of `shape`; `carried` has that shape, the operands broadcast to it.
pub(crate) fn evaluate(program: &Program, operands: &[&Tensor], carried: Option<&Tensor>, shape: &Shape) -> Result<Tensor> {
    let dtypes: Vec<DType> = operands.iter().map(|t| t.dtype()).collect();
    let carried_dtype = carried.map(Tensor::dtype);
    let results = program.dtypes(&dtypes, carried_dtype)?;
    let mut inputs = Vec::with_capacity(operands.len());
    for (tensor, operand) in operands.iter().zip(&program.operands) {
        let view = operand.view.clone().unwrap_or_else(|| View::contiguous(tensor.shape()));
        let view = view.broadcast(shape).ok_or_else(|| Error::internal(format!("{} does not broadcast to {shape}", view.shape)))?;
        let whole = view.is_contiguous() || tensor.elements() == 1;
        inputs.push(column(&if whole { (*tensor).clone() } else { tensor.gather(&view) }));
    }
    let carried = carried.map(column);
    let mut columns: Vec<Option<Column>> = Vec::with_capacity(results.len());
    for (k, (instruction, &dtype)) in program.instructions.iter().zip(&results).enumerate() {
        let own = program.argument_dtypes(instruction, &dtypes, carried_dtype, &results)?;
        let literals: Vec<Option<Column>> = instruction.arguments.iter().zip(&own).map(|(t, d)| literal(t, *d)).collect();
        let mut arguments: Vec<&Column> = Vec::with_capacity(literals.len());
        for (term, literal) in instruction.arguments.iter().zip(&literals) {
            let found = match *term {
                Term::Carried => carried.as_ref(),
                Term::Operand(i) => inputs.get(i),
                Term::Result(i) => columns.get(i).and_then(Option::as_ref),
                Term::Literal(_) => literal.as_ref(),
            };
            arguments.push(found.ok_or_else(|| Error::internal("a term that does not exist"))?);
        }
        let result = apply(instruction, &arguments, shape.elements())?;
        columns.push(Some(rounded(result, dtype)));
        // What no later instruction reads gives its memory back.
        for term in &instruction.arguments {
            let later = program.instructions[k + 1..].iter().any(|i| i.arguments.contains(term));
            if let (Term::Result(i), false) = (term, later) {
                columns[*i] = None;
            }
        }
    }
    let (last, dtype) =
        columns.pop().flatten().zip(results.last()).ok_or_else(|| Error::internal("a program without instructions"))?;
    let ty = TensorType::new(*dtype, shape.clone());
    match last {
        Column::Float(values) => Tensor::from_f64(ty, &values),
        Column::Integer(values) => Tensor::from_i128(ty, &values),
    }
}

fn column(tensor: &Tensor) -> Column {
    if tensor.dtype().is_float() { Column::Float(tensor.to_f64()) } else { Column::Integer(tensor.to_i128()) }
}

/// A column of one value. Parameters are f32 in ONNX and on the GPU, whatever the dtype they meet.
fn literal(term: &Term, dtype: DType) -> Option<Column> {
    let Term::Literal(value) = *term else { return None };
    Some(if dtype == DType::F64 {
        Column::Float(vec![value])
    } else if dtype.is_float() {
        Column::Float(vec![f64::from(value as f32)])
    } else {
        Column::Integer(vec![value as i128])
    })
}

fn apply(instruction: &Instruction, arguments: &[&Column], elements: usize) -> Result<Column> {
    let function = instruction.function;
    // A select's condition is integral beside floats; only the values decide.
    let floats = arguments.iter().any(|c| matches!(c, Column::Float(_)));
    let missing = || Error::internal(format!("{} has no reference for these dtypes", function.name));
    Ok(if floats {
        let f = function.float.ok_or_else(missing)?;
        Column::Float(each(arguments, elements, 0.0, f64_at, f))
    } else {
        let f = function.integer.ok_or_else(missing)?;
        Column::Integer(each(arguments, elements, 0, i128_at, f))
    })
}

/// Applies a function to the k-th values of all columns, for every k.
fn each<T: Copy>(columns: &[&Column], elements: usize, zero: T, at: fn(&Column, usize) -> T, f: fn(&[T]) -> T) -> Vec<T> {
    let mut values = vec![zero; columns.len()];
    let mut out = Vec::with_capacity(elements);
    for k in 0..elements {
        for (value, column) in values.iter_mut().zip(columns) {
            *value = at(column, k);
        }
        out.push(f(&values));
    }
    out
}

fn f64_at(column: &Column, k: usize) -> f64 {
    match column {
        Column::Float(v) => v[if v.len() == 1 { 0 } else { k }],
        Column::Integer(v) => v[if v.len() == 1 { 0 } else { k }] as f64,
    }
}

fn i128_at(column: &Column, k: usize) -> i128 {
    match column {
        // `as` saturates, and takes NaN to 0.
        Column::Float(v) => v[if v.len() == 1 { 0 } else { k }] as i128,
        Column::Integer(v) => v[if v.len() == 1 { 0 } else { k }],
    }
}

/// A result as its dtype holds it.
fn rounded(column: Column, dtype: DType) -> Column {
    match (column, dtype) {
        (Column::Float(v), DType::F64) => Column::Float(v),
        (Column::Float(v), DType::F32) => Column::Float(v.into_iter().map(|x| f64::from(x as f32)).collect()),
        (Column::Float(v), DType::F16) => Column::Float(v.into_iter().map(|x| f16::from_f64(x).to_f64()).collect()),
        (Column::Float(v), DType::BF16) => Column::Float(v.into_iter().map(|x| bf16::from_f64(x).to_f64()).collect()),
        (Column::Float(v), DType::Bool) => Column::Integer(v.into_iter().map(|x| i128::from(x != 0.0)).collect()),
        (Column::Float(v), integer) => {
            let (low, high) = integer.range().unwrap_or_default();
            Column::Integer(v.into_iter().map(|x| (x as i128).clamp(low, high)).collect())
        }
        (Column::Integer(v), DType::Bool) => Column::Integer(v.into_iter().map(|x| i128::from(x != 0)).collect()),
        (Column::Integer(v), integer) if !integer.is_float() => {
            let (low, high) = integer.range().unwrap_or_default();
            Column::Integer(v.into_iter().map(|x| (x - low).rem_euclid(high - low + 1) + low).collect())
        }
        (Column::Integer(v), float) => rounded(Column::Float(v.into_iter().map(|x| x as f64).collect()), float),
    }
}
