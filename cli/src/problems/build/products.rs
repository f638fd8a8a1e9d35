//! Matrix products.

use super::{Fill, Problem, Shape, product};
use gristmill::Result;
use gristmill::internals::ops;

pub(crate) fn matmul(shape: &Shape, problem: &mut Problem) -> Result<u64> {
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

pub(crate) fn matmul_nbits(shape: &Shape, problem: &mut Problem) -> Result<u64> {
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
