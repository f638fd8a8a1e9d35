//! What each family makes of a shape. A function gives the floating-point operations of the problem.

use super::shape::Shape;
use super::{Fill, Problem};
use gristmill::internals::ops;
use gristmill::internals::ops::attention::Attention;
use gristmill::internals::ops::conv::SlidingWindow;
use gristmill::internals::ops::elementwise::{binary, unary};
use gristmill::internals::ops::linear_attention::{LinearAttention, UpdateRule};
use gristmill::internals::ops::reduce::Reduction;
use gristmill::internals::ops::rnn::{Cell, Recurrent, recurrent};
use gristmill::{Error, Result};

fn product(extents: &[usize]) -> u64 {
    extents.iter().map(|n| *n as u64).product()
}

pub(super) fn matmul(shape: &Shape, problem: &mut Problem) -> Result<u64> {
    let [batch, m, k, n] = match *shape.extents.as_slice() {
        [n] => [1, n, n, n],
        [m, k, n] => [1, m, k, n],
        [batch, m, k, n] => [batch, m, k, n],
        _ => return Err(shape.wrong()),
    };
    let batched = |dims: [usize; 2]| if batch == 1 { dims.to_vec() } else { vec![batch, dims[0], dims[1]] };
    let a = problem.input(&batched([m, k]));
    let b = if shape.option("weights", 1) == 0 {
        problem.input(&batched([k, n]))
    } else {
        let fill = if shape.option("halves", 0) == 1 { Fill::Halves } else { Fill::Scaled(1.0) };
        problem.operand("weights", &batched([k, n]), true, fill)
    };
    problem.finish(ops::matmul::matmul(), &[a, b], batch * m * n);
    Ok(2 * product(&[batch, m, k, n]))
}

pub(super) fn matmul_nbits(shape: &Shape, problem: &mut Problem) -> Result<u64> {
    let &[m, k, n] = shape.extents.as_slice() else { return Err(shape.wrong()) };
    let (bits, block) = (shape.option("bits", 4), shape.option("block", 32));
    let op = ops::matmul::matmul_nbits(k, n, bits as u32, block)?;
    let a = problem.input(&[m, k]);
    let blocks = k.div_ceil(block);
    let bytes = problem.operand("weights", &[n, blocks, block * bits / 8], true, Fill::Bytes);
    let scales = problem.weight("scales", &[n * blocks]);
    problem.finish(op, &[a, bytes, scales], m * n);
    Ok(2 * product(&[m, k, n]))
}

/// Data, weights and window of a convolution, and the extents after it in one direction.
struct Convolution {
    batch: usize,
    group: usize,
    channels: usize,
    filters: usize,
    image: [usize; 2],
    kernel: [usize; 2],
    stride: usize,
    pad: usize,
}

impl Convolution {
    fn new(shape: &Shape) -> Result<Self> {
        let ([channels, height, width], [filters, y, x]) = (shape.of()?, shape.filter()?);
        let (stride, group) = (shape.option("stride", 1), shape.option("group", 1));
        if stride == 0 || group == 0 || channels % group != 0 {
            return Err(Error::invalid_argument(format!(
                "`{}`: expected a stride of at least 1 and groups that divide the channels",
                shape.text
            )));
        }
        Ok(Convolution {
            batch: shape.option("batch", 1),
            group,
            channels,
            filters,
            image: [height, width],
            kernel: [y, x],
            stride,
            pad: shape.option("pad", 0),
        })
    }

    fn window(&self) -> SlidingWindow {
        SlidingWindow { strides: vec![self.stride as i64; 2], pads: vec![self.pad as i64; 4], ..SlidingWindow::default() }
    }
}

pub(super) fn conv(shape: &Shape, problem: &mut Problem) -> Result<u64> {
    let c = Convolution::new(shape)?;
    let out = |k: usize| (c.image[k] + 2 * c.pad).checked_sub(c.kernel[k]).map(|n| n / c.stride + 1).ok_or_else(|| shape.wrong());
    let (height, width) = (out(0)?, out(1)?);
    let x = problem.input(&[c.batch, c.channels, c.image[0], c.image[1]]);
    let w = problem.weight("weights", &[c.filters, c.channels / c.group, c.kernel[0], c.kernel[1]]);
    problem.finish(ops::conv::conv(c.window(), c.group as i64), &[x, w], c.batch * c.filters * height * width);
    Ok(2 * product(&[c.batch, c.filters, height, width, c.channels / c.group, c.kernel[0], c.kernel[1]]))
}

pub(super) fn conv_transpose(shape: &Shape, problem: &mut Problem) -> Result<u64> {
    let c = Convolution::new(shape)?;
    let out = |k: usize| ((c.image[k] - 1) * c.stride + c.kernel[k]).checked_sub(2 * c.pad).ok_or_else(|| shape.wrong());
    let (height, width) = (out(0)?, out(1)?);
    let x = problem.input(&[c.batch, c.channels, c.image[0], c.image[1]]);
    let w = problem.weight("weights", &[c.channels, c.filters / c.group, c.kernel[0], c.kernel[1]]);
    problem.finish(
        ops::conv::conv_transpose(c.window(), c.group as i64, vec![], vec![]),
        &[x, w],
        c.batch * c.filters * height * width,
    );
    Ok(2 * product(&[c.batch, c.channels, c.image[0], c.image[1], c.filters / c.group, c.kernel[0], c.kernel[1]]))
}

pub(super) fn attention(shape: &Shape, problem: &mut Problem) -> Result<u64> {
    let ([heads, queries, keys, size], batch) = (shape.of()?, shape.option("batch", 1));
    let q = problem.input(&[batch, heads, queries, size]);
    let k = problem.input(&[batch, heads, keys, size]);
    let v = problem.input(&[batch, heads, keys, size]);
    let op = Attention { causal: shape.option("causal", 0) != 0, ..Attention::new(1.0 / (size as f32).sqrt()) };
    let length = shape.option("length", 0);
    let lengths = (length > 0).then(|| problem.operand("lengths", &[batch], false, Fill::Number(length as i64)));
    let inputs = [Some(q), Some(k), Some(v), None, lengths];
    let given = if length > 0 { &inputs[..] } else { &inputs[..3] };
    problem.finish_some(ops::attention::attention(op), given, batch * heads * queries * size);
    let seen = if length > 0 { length.min(keys) } else { keys };
    problem.bytes -= 8 * product(&[batch, heads, keys - seen, size]);
    Ok(4 * product(&[batch, heads, queries, seen, size]))
}

pub(super) fn linear_attention(shape: &Shape, problem: &mut Problem) -> Result<u64> {
    let ([heads, steps, size], batch) = (shape.of()?, shape.option("batch", 1));
    let query_heads = shape.option("query_heads", heads);
    let rows = |width: usize| [batch, steps, width];
    // Keys and gates as small as they are made for this rule: with larger ones the state doubles every error from step to step.
    let small = Fill::Scaled(1.0 / (size as f64).sqrt());
    let query = problem.input(&rows(query_heads * size));
    let key = problem.operand("keys", &rows(heads * size), false, small);
    let value = problem.input(&rows(heads * size));
    let state = problem.input(&[batch, heads, size, size]);
    let decay = problem.operand("decay", &rows(heads), false, small);
    let rate = problem.input(&rows(heads));
    let op = LinearAttention { rule: UpdateRule::GatedDelta, query_heads, heads, scale: None };
    let made = batch * (steps * query_heads * size + heads * size * size);
    problem.finish(ops::linear_attention::linear_attention(op), &[query, key, value, state, decay, rate], made);
    // The state is read by the key, written, and read by its queries.
    Ok(2 * product(&[batch, steps, 2 * heads + query_heads, size, size]))
}

pub(super) fn gru(shape: &Shape, problem: &mut Problem) -> Result<u64> {
    let linear_before_reset = shape.option("linear_before_reset", 1) != 0;
    steps(Cell::Gru { linear_before_reset }, shape, problem)
}

pub(super) fn lstm(shape: &Shape, problem: &mut Problem) -> Result<u64> {
    steps(Cell::Lstm { input_forget: false }, shape, problem)
}

fn steps(cell: Cell, shape: &Shape, problem: &mut Problem) -> Result<u64> {
    let gates = cell.gates();
    let [hidden, steps, batch] = shape.of()?;
    let input = shape.option("input", hidden);
    let x = problem.input(&[steps, batch, input]);
    // As small as weights start when they are trained: with larger ones the state doubles every error from step to step.
    let scale = 1.0 / (hidden as f64).sqrt();
    let w = problem.operand("weights", &[1, gates * hidden, input], true, Fill::Scaled(scale));
    let r = problem.operand("recurrence", &[1, gates * hidden, hidden], true, Fill::Scaled(scale));
    problem.finish(recurrent(Recurrent::new(cell)), &[x, w, r], steps * batch * hidden);
    Ok(2 * product(&[steps, batch, gates * hidden, input + hidden]))
}

fn rows_and_axis(shape: &Shape) -> Result<([usize; 2], i64)> {
    Ok((shape.of()?, shape.option("axis", 1) as i64))
}

pub(super) fn softmax(shape: &Shape, problem: &mut Problem) -> Result<u64> {
    let (extents, axis) = rows_and_axis(shape)?;
    let x = problem.input(&extents);
    problem.finish(ops::softmax::softmax(axis), &[x], extents[0] * extents[1]);
    // Maximum, difference, exponential, sum, quotient.
    Ok(5 * product(&extents))
}

pub(super) fn layer_norm(shape: &Shape, problem: &mut Problem) -> Result<u64> {
    let extents: [usize; 2] = shape.of()?;
    let x = problem.input(&extents);
    let (scale, bias) = (problem.weight("scale", &[extents[1]]), problem.weight("bias", &[extents[1]]));
    problem.finish(ops::norm::layer_normalization(-1, 1e-5), &[x, scale, bias], extents[0] * extents[1]);
    // Sum, difference, square and its sum, factor, scale, bias.
    Ok(7 * product(&extents))
}

pub(super) fn reduce(shape: &Shape, problem: &mut Problem) -> Result<u64> {
    let (extents, axis) = rows_and_axis(shape)?;
    let x = problem.input(&extents);
    problem.finish(ops::reduce::reduce(Reduction::Mean, Some(vec![axis]), true, false), &[x], extents[usize::from(axis == 0)]);
    Ok(product(&extents))
}

pub(super) fn elementwise(shape: &Shape, problem: &mut Problem) -> Result<u64> {
    let [elements] = shape.of()?;
    let (x, y) = (problem.input(&[elements]), problem.input(&[elements]));
    let sum = problem.step("sum", binary("Add")?, &[x, y]);
    let product = problem.step("product", binary("Mul")?, &[sum, x]);
    let difference = problem.step("difference", binary("Sub")?, &[product, y]);
    problem.finish(unary("Relu")?, &[difference], elements);
    Ok(4 * elements as u64)
}

pub(super) fn transpose(shape: &Shape, problem: &mut Problem) -> Result<u64> {
    let extents: [usize; 2] = shape.of()?;
    let x = problem.input(&extents);
    problem.finish(ops::transpose::transpose(None), &[x], extents[0] * extents[1]);
    Ok(0)
}
