//! The way back through attention.

use super::attention::{Extents, case, with_lengths};
use super::{Case, Random};
use gristmill::internals::graph::Op;
use gristmill::internals::ops::attention::{Attention, Unseen, attention, attention_gradient};
use gristmill::internals::tensor::View;
use gristmill::{DType, Shape, Tensor};

pub fn cases() -> Vec<Case> {
    let mut random = Random::new(0x0BAC);
    let mut cases = sizes(&mut random);
    cases.extend(unseen(&mut random));
    cases.extend(hidden(&mut random));
    cases.extend(shared(&mut random));
    cases
}

/// Extents for masks.
const MASKED: Extents = [2, 4, 2, 21, 26, 8, 4];

/// The way back through an attention: a row of its own, with any output, and the same numbers however it came about.
fn back(random: &mut Random, op: &Attention, mut case: Case) -> Case {
    let inputs: Vec<Option<&Tensor>> = case.inputs.iter().map(Option::as_ref).collect();
    let output = op.reference(&inputs).expect("an output").swap_remove(0);
    let name = case.name.replace("attention/", "attention/gradient_");
    case.inputs.resize(5, None);
    // What a query that sees nothing makes is NaN, and so is all that comes of it; the operator takes any number.
    let finite: Vec<f64> = output.to_f64().iter().map(|x| if x.is_finite() { *x } else { 0.5 }).collect();
    case.inputs.push(Some(Tensor::from_f64(output.ty().clone(), &finite).expect("as many elements")));
    case.inputs.push(Some(random.floats(output.shape())));
    Case { name, op: attention_gradient(op.clone()), ..case }.outputs(2)
}

fn sizes(random: &mut Random) -> Vec<Case> {
    let mut cases = vec![];
    let sizes: &[(&str, Extents)] = &[
        ("one", [1, 1, 1, 1, 1, 1, 1]),
        ("small", [2, 3, 3, 5, 7, 8, 8]),
        ("odd_sizes", [1, 2, 2, 9, 13, 7, 5]),
        ("size_48", [1, 2, 2, 33, 70, 48, 48]),
        ("size_40_24", [1, 2, 1, 10, 33, 40, 24]),
        ("size_300", [1, 1, 1, 5, 9, 300, 260]),
        ("grouped", [2, 6, 2, 12, 11, 16, 12]),
        ("one_query", [1, 4, 2, 1, 90, 32, 32]),
        ("many_keys", [1, 1, 1, 2, 9000, 4, 4]),
        ("many_queries", [1, 1, 1, 300, 4, 16, 16]),
        ("training", [2, 2, 1, 130, 130, 16, 12]),
    ];
    for (name, extents) in sizes {
        let plain = Attention::new(1.0 / (extents[5] as f32).sqrt());
        let offset = extents[4] as i64 - extents[3] as i64;
        let causal = Attention { causal: true, causal_offset: offset, interleaved: true, zero_unseen: true, ..plain.clone() };
        for (kind, op) in [("", plain), ("_causal_interleaved", causal)] {
            let forward = case(random, &format!("{name}{kind}"), op.clone(), *extents);
            cases.push(back(random, &op, forward));
        }
    }
    cases
}

/// What becomes of keys that are not seen, by causality and by masks, with and without a cap.
fn unseen(random: &mut Random) -> Vec<Case> {
    let mut cases = vec![];
    let [batch, heads, _, queries, keys, ..] = MASKED;
    for unseen in [Unseen::Hidden, Unseen::Replaced(-1.5), Unseen::Added(-2.0)] {
        for (kind, softcap, offset) in [("", None, 2), ("_softcap", Some(0.5), -3)] {
            let op = Attention { unseen, softcap, causal: true, causal_offset: offset, ..Attention::new(0.7) };
            let op = Attention { zero_unseen: softcap.is_some(), ..op };
            let name = format!("{}{kind}", format!("{unseen:?}").replace(['(', ')'], "_"));
            let plain = case(random, &format!("causal_{name}"), op.clone(), MASKED);
            cases.push(back(random, &op, plain));
            let mut added = case(random, &format!("mask_{name}"), op.clone(), MASKED);
            added.inputs.push(Some(random.floats(&[heads, 1, keys])));
            cases.push(back(random, &op, added));
            let op = Attention { causal: false, ..op };
            let mut seen = case(random, &format!("bool_mask_{name}"), op.clone(), MASKED);
            seen.inputs.push(Some(random.integers(DType::Bool, &[batch, 1, queries, keys], 0, 2)));
            cases.push(back(random, &op, seen));
        }
    }
    cases
}

/// Rows that numbers hide in part or throughout.
fn hidden(random: &mut Random) -> Vec<Case> {
    let mut cases = vec![];
    let [_, _, _, queries, keys, ..] = MASKED;
    for (name, number, zero_unseen) in [
        ("lowest", f32::MIN, false),
        ("billion", -1e9, false),
        ("infinite", f32::NEG_INFINITY, true),
        ("nan", f32::NEG_INFINITY, false),
    ] {
        let op = Attention { zero_unseen, ..Attention::new(0.25) };
        let mut hidden = case(random, &format!("{name}_mask"), op.clone(), MASKED);
        let mask: Vec<f32> = (0..queries * keys).map(|k| if k < 2 * keys || k % 3 == 0 { number } else { 0.0 }).collect();
        hidden.inputs.push(Some(Tensor::new([queries, keys], &mask).expect("as many elements")));
        cases.push(back(random, &op, hidden));
    }
    cases
}

/// Lengths, and heads of a joint projection.
fn shared(random: &mut Random) -> Vec<Case> {
    let mut cases = vec![];
    for causal in [false, true] {
        let extents = [4, 4, 2, 19, 22, 8, 4];
        let op = Attention { causal, causal_offset: -19, ..Attention::new(0.25) };
        let plain = case(random, &format!("lengths_{causal}"), op.clone(), extents);
        let mut with_mask = with_lengths(plain, &[0, 1, 13, 30]);
        with_mask.inputs[3] = Some(random.floats(&[4, 1, 19, 22]));
        cases.push(back(random, &op, with_mask));
    }
    // Heads split off a joint projection.
    let joint = Shape::from([2, 19, 3 * 2 * 8]);
    let split = |k: usize| {
        let heads = View::contiguous(&joint).slice(2, k * 16, 16, 1).reshape(&[2, 19, 2, 8].into());
        heads.map(|view| view.transpose(&[0, 2, 1, 3]))
    };
    let op = Attention { query: split(0), key: split(1), value: split(2), interleaved: true, ..Attention::new(0.35) };
    let x = random.floats(&joint);
    let forward = Case::new("attention/joint_projection", attention(op.clone()), vec![x.clone(), x.clone(), x]);
    cases.push(back(random, &op, forward));
    cases
}
