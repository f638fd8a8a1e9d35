//! What networks of sequences are made of.

use super::{Fill, Problem, Shape, product};
use gristmill::Result;
use gristmill::internals::ops;
use gristmill::internals::ops::attention::{Attention, RotaryEmbedding, rotary_embedding};
use gristmill::internals::ops::linear_attention::{LinearAttention, UpdateRule};
use gristmill::internals::ops::rnn::{Cell, Recurrent, recurrent};

pub(crate) fn attention(shape: &Shape, problem: &mut Problem) -> Result<u64> {
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
    problem.read -= 8 * product(&[batch, heads, keys - seen, size]);
    Ok(4 * product(&[batch, heads, queries, seen, size]))
}

pub(crate) fn linear_attention(shape: &Shape, problem: &mut Problem) -> Result<u64> {
    let ([heads, steps, size], batch) = (shape.of()?, shape.option("batch", 1));
    let query_heads = shape.option("query_heads", heads);
    let rows = |width: usize| [batch, steps, width];
    // Keys and gates as small as they are made for this rule: with larger ones the state doubles every error from step to step.
    let small = || Fill::Scaled(1.0 / (size as f64).sqrt());
    let query = problem.input(&rows(query_heads * size));
    let key = problem.operand("keys", &rows(heads * size), false, small());
    let value = problem.input(&rows(heads * size));
    let state = problem.input(&[batch, heads, size, size]);
    let decay = problem.operand("decay", &rows(heads), false, small());
    let rate = problem.input(&rows(heads));
    let op = LinearAttention { rule: UpdateRule::GatedDelta, query_heads, heads, scale: None };
    let made = batch * (steps * query_heads * size + heads * size * size);
    problem.finish(ops::linear_attention::linear_attention(op), &[query, key, value, state, decay, rate], made);
    // The state is read by the key, written, and read by its queries.
    Ok(2 * product(&[batch, steps, 2 * heads + query_heads, size, size]))
}

pub(crate) fn gru(shape: &Shape, problem: &mut Problem) -> Result<u64> {
    let linear_before_reset = shape.option("linear_before_reset", 1) != 0;
    steps(Cell::Gru { linear_before_reset }, shape, problem)
}

pub(crate) fn lstm(shape: &Shape, problem: &mut Problem) -> Result<u64> {
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

pub(crate) fn rotary_embedding_of(shape: &Shape, problem: &mut Problem) -> Result<u64> {
    let [heads, steps, size] = shape.of()?;
    let x = problem.input(&[1, heads, steps, size]);
    let (cosines, sines) = (problem.input(&[1, steps, size / 2]), problem.input(&[1, steps, size / 2]));
    let op = RotaryEmbedding { interleaved: false, rotary_embedding_dim: 0, num_heads: heads };
    problem.finish(rotary_embedding(op), &[x, cosines, sines], heads * steps * size);
    Ok(3 * product(&[heads, steps, size]))
}
