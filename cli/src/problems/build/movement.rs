//! Elements that change their place, or their type, or little.

use super::{Fill, Problem, Shape};
use gristmill::internals::ops;
use gristmill::internals::ops::elementwise::{binary, unary};
use gristmill::internals::ops::pad::PadMode;
use gristmill::{DType, Result};

pub(crate) fn elementwise(shape: &Shape, problem: &mut Problem) -> Result<u64> {
    let [elements] = shape.of()?;
    let (x, y) = (problem.input(&[elements]), problem.input(&[elements]));
    let sum = problem.step("sum", binary("Add")?, &[x, y]);
    let product = problem.step("product", binary("Mul")?, &[sum, x]);
    let difference = problem.step("difference", binary("Sub")?, &[product, y]);
    problem.finish(unary("Relu")?, &[difference], elements);
    Ok(4 * elements as u64)
}

pub(crate) fn transpose(shape: &Shape, problem: &mut Problem) -> Result<u64> {
    let extents: [usize; 2] = shape.of()?;
    let x = problem.input(&extents);
    problem.finish(ops::transpose::transpose(None), &[x], extents[0] * extents[1]);
    Ok(0)
}

pub(crate) fn pad(shape: &Shape, problem: &mut Problem) -> Result<u64> {
    let ([channels, height, width], pad) = (shape.of()?, shape.option("pad", 1));
    let mode = if shape.option("reflect", 0) == 1 { PadMode::Reflect } else { PadMode::Constant };
    let x = problem.input(&[1, channels, height, width]);
    let amounts = problem.numbers("pads", &[0, 0, pad, pad, 0, 0, pad, pad]);
    problem.finish(ops::pad::pad(mode), &[x, amounts], channels * (height + 2 * pad) * (width + 2 * pad));
    Ok(0)
}

pub(crate) fn concat(shape: &Shape, problem: &mut Problem) -> Result<u64> {
    let [rows, columns, parts] = shape.of()?;
    let inputs: Vec<usize> = (0..parts).map(|_| problem.input(&[rows, columns])).collect();
    problem.finish(ops::concat::concat(1), &inputs, rows * columns * parts);
    Ok(0)
}

pub(crate) fn split(shape: &Shape, problem: &mut Problem) -> Result<u64> {
    let [rows, columns, parts] = shape.of()?;
    let x = problem.input(&[rows, columns * parts]);
    // One part is asked for; the rest is not read.
    problem.read = 4 * (rows * columns) as u64;
    problem.finish(ops::slice::split(1, parts), &[x], rows * columns);
    Ok(0)
}

pub(crate) fn gather(shape: &Shape, problem: &mut Problem) -> Result<u64> {
    let [rows, width, count] = shape.of()?;
    let x = problem.input(&[rows, width]);
    let indices = problem.operand("indices", &[count], false, Fill::Spread(rows));
    problem.read = 4 * (count * width + count) as u64;
    problem.finish(ops::gather::gather(0), &[x, indices], count * width);
    Ok(0)
}

pub(crate) fn gather_elements(shape: &Shape, problem: &mut Problem) -> Result<u64> {
    let [rows, columns] = shape.of()?;
    let x = problem.input(&[rows, columns]);
    let indices = problem.operand("indices", &[rows, columns], false, Fill::Spread(columns));
    problem.finish(ops::gather::gather_elements(1), &[x, indices], rows * columns);
    Ok(0)
}

pub(crate) fn gather_nd(shape: &Shape, problem: &mut Problem) -> Result<u64> {
    let [rows, width, count] = shape.of()?;
    let x = problem.input(&[rows, width]);
    let indices = problem.operand("indices", &[count, 1], false, Fill::Spread(rows));
    problem.read = 4 * (count * width + count) as u64;
    problem.finish(ops::gather::gather_nd(0), &[x, indices], count * width);
    Ok(0)
}

pub(crate) fn scatter_elements(shape: &Shape, problem: &mut Problem) -> Result<u64> {
    let [rows, columns] = shape.of()?;
    let x = problem.input(&[rows, columns]);
    let indices = problem.operand("indices", &[rows, columns], false, Fill::Spread(columns));
    let updates = problem.input(&[rows, columns]);
    problem.finish(ops::scatter::scatter_elements(1, None), &[x, indices, updates], rows * columns);
    Ok(0)
}

pub(crate) fn scatter_nd(shape: &Shape, problem: &mut Problem) -> Result<u64> {
    let [rows, width, count] = shape.of()?;
    let x = problem.input(&[rows, width]);
    let indices = problem.operand("indices", &[count, 1], false, Fill::Spread(rows));
    let updates = problem.input(&[count, width]);
    problem.finish(ops::scatter::scatter_nd(None), &[x, indices, updates], rows * width);
    Ok(0)
}

pub(crate) fn one_hot(shape: &Shape, problem: &mut Problem) -> Result<u64> {
    let [count, depth] = shape.of()?;
    let indices = problem.operand("indices", &[count], false, Fill::Spread(depth));
    let depths = problem.numbers("depth", &[depth]);
    let values = problem.input(&[2]);
    problem.finish(ops::one_hot::one_hot(-1), &[indices, depths, values], count * depth);
    Ok(0)
}

pub(crate) fn trilu(shape: &Shape, problem: &mut Problem) -> Result<u64> {
    let [batch, side] = shape.of()?;
    let x = problem.input(&[batch, side, side]);
    // The other half is not read.
    problem.read /= 2;
    problem.finish(ops::triangle::trilu(true), &[x], batch * side * side);
    Ok(0)
}

pub(crate) fn quantize(shape: &Shape, problem: &mut Problem) -> Result<u64> {
    let [elements] = shape.of()?;
    let x = problem.input(&[elements]);
    let scale = problem.operand("scale", &[], true, Fill::Step);
    problem.finish(ops::quantize::quantize_linear(0, Some(DType::I8)), &[x, scale], elements);
    Ok(2 * elements as u64)
}

pub(crate) fn dequantize(shape: &Shape, problem: &mut Problem) -> Result<u64> {
    let [elements] = shape.of()?;
    let x = problem.operand("bytes", &[elements], false, Fill::Bytes);
    let scale = problem.operand("scale", &[], true, Fill::Step);
    problem.finish(ops::dequantize::dequantize_linear(0, None), &[x, scale], elements);
    Ok(elements as u64)
}
