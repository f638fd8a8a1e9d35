//! Attention: grouped heads, masks, causal windows, and the chain of nodes it is found in.

use super::{Draw, Net, property};
use crate::cases::Tolerance;
use gristmill::DType;
use gristmill::internals::graph::ValueId;
use gristmill::internals::ops::attention::{Attention, attention};
use gristmill::internals::ops::elementwise::binary;
use gristmill::internals::ops::matmul::matmul;
use gristmill::internals::ops::softmax::softmax;
use gristmill::internals::ops::transpose::transpose;
use gristmill::{Tensor, TensorType};

const ATTENTION: Tolerance = Tolerance { relative: 1e-4, absolute: 5e-5 };

/// A mask of floats, some of them so low that nothing is seen there, or of bool. Every query sees some key.
fn mask(draw: &mut Draw, net: &mut Net, shape: &[usize], bool_mask: bool) -> ValueId {
    let (keys, count) = (shape[shape.len() - 1], shape.iter().product::<usize>());
    let values: Vec<f64> = (0..count)
        .map(|i| {
            let seen = i % keys == 0 || !net.random.next().is_multiple_of(3);
            match (bool_mask, seen) {
                (true, seen) => f64::from(u8::from(seen)),
                (false, true) => (net.random.next() % 16) as f64 / 16.0,
                (false, false) => -1e9,
            }
        })
        .collect();
    let dtype = if bool_mask { DType::Bool } else { DType::F32 };
    let tensor = Tensor::from_f64(TensorType::new(dtype, shape), &values).expect("as many elements");
    if draw.flag() { net.constant(tensor) } else { net.input(tensor) }
}

struct Sizes {
    query: [usize; 4],
    key: [usize; 4],
    value: [usize; 4],
}

fn sizes(draw: &mut Draw) -> Sizes {
    let (batch, key_heads) = (draw.pick(&[1, 2, 3]), draw.pick(&[1, 2, 3]));
    let heads = key_heads * draw.pick(&[1, 1, 2, 4]);
    let (queries, keys) = (draw.pick(&[4, 1, 3, 7, 16, 33, 70]), draw.pick(&[4, 1, 5, 8, 31, 64, 100]));
    let (size, value_size) = (draw.pick(&[8, 1, 3, 16, 33, 64]), draw.pick(&[8, 1, 5, 64]));
    let value_size = if draw.rarely(3) { value_size } else { size };
    Sizes { query: [batch, heads, queries, size], key: [batch, key_heads, keys, size], value: [batch, key_heads, keys, value_size] }
}

/// An operand whose heads may be split from rows.
fn operand(draw: &mut Draw, net: &mut Net, shape: [usize; 4]) -> ValueId {
    if draw.flag() {
        let rows = net.floats(&[shape[0], shape[2], shape[1], shape[3]]);
        return net.apply(transpose(Some(vec![0, 2, 1, 3])), &[rows]);
    }
    net.floats(&shape)
}

#[test]
fn operators() {
    property(10, ATTENTION, |draw, net| {
        let Sizes { query, key, value } = sizes(draw);
        let mut op = Attention::new(draw.pick(&[0.5, 1.0, 0.125]));
        if draw.rarely(3) {
            op.causal = true;
            op.causal_offset = key[2].saturating_sub(query[2]) as i64 * i64::from(draw.flag());
        }
        op.softcap = draw.rarely(5).then_some(2.0);
        op.zero_unseen = draw.flag();
        op.interleaved = draw.flag();
        let mut inputs = [query, key, value].map(|shape| operand(draw, net, shape)).to_vec();
        // A mask and causality together might leave a query nothing to see, but key 0 is always seen.
        if draw.flag() {
            let scores = [query[0], query[1], query[2], key[2]];
            let mut shape = draw.narrower(&scores);
            if shape.is_empty() {
                shape = vec![1];
            }
            let bool_mask = draw.flag();
            inputs.push(mask(draw, net, &shape, bool_mask));
        }
        let mut inputs: Vec<_> = inputs.into_iter().map(Some).collect();
        if draw.rarely(3) {
            op.causal_offset = -(query[2] as i64);
            inputs.resize(4, None);
            let lengths = net.random.integers(draw.pick(&[DType::I64, DType::I32]), &[query[0]], 0, key[2] as i64 + 2);
            inputs.push(Some(if draw.rarely(4) { net.constant(lengths) } else { net.input(lengths) }));
        }
        net.apply_to(attention(op), &inputs, 1)
    });
}

#[test]
fn written_out() {
    property(8, ATTENTION, |draw, net| {
        let Sizes { query, mut key, mut value } = sizes(draw);
        (key[1], value[1]) = (query[1], query[1]);
        let (q, k, v) = (operand(draw, net, query), operand(draw, net, key), operand(draw, net, value));
        let k = net.apply(transpose(Some(vec![0, 1, 3, 2])), &[k]);
        let mut scores = net.apply(matmul(), &[q, k]);
        if draw.flag() {
            let scale = net.constant(Tensor::scalar(0.3f32));
            scores = net.apply(binary(draw.pick(&["Mul", "Div"])).expect("a function"), &[scores, scale]);
        }
        if draw.flag() {
            let shape = draw.narrower(&[query[0], query[1], query[2], key[2]]);
            let shape = if shape.is_empty() { vec![1] } else { shape };
            let mask = mask(draw, net, &shape, false);
            scores = net.apply(binary("Add").expect("a function"), &[scores, mask]);
        }
        let weights = net.apply(softmax(-1), &[scores]);
        let mut y = net.apply(matmul(), &[weights, v]);
        if draw.flag() {
            y = net.apply(transpose(Some(vec![0, 2, 1, 3])), &[y]);
        }
        // Somebody else may want the weights.
        if draw.rarely(5) { vec![y, weights] } else { vec![y] }
    });
}
