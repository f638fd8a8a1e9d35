//! Rows of operators on whole values: If, Loop. What they do with conditions and counts that come from shapes and from data is in
//! `tests/imports` and `tests/flow.rs`.

use super::{Case, Random};
use gristmill::internals::graph::{Body, Builder, Dim, Op};
use gristmill::internals::ops::elementwise::{binary, unary};
use gristmill::internals::ops::flow::branch::branch;
use gristmill::internals::ops::flow::loops::repeat;
use gristmill::internals::ops::reshape::identity;
use gristmill::{DType, Tensor};
use std::sync::Arc;

/// The graph of one function of inputs of four elements, which are these inputs of the operator.
fn graph(name: &str, op: Arc<dyn Op>, inputs: &[usize]) -> Body {
    let mut b = Builder::new(name);
    let own: Vec<_> = inputs.iter().map(|k| Some(b.input(&format!("x{k}"), DType::F32, &[Dim::Known(4)]))).collect();
    let y = b.node("y", op, &own);
    b.output("y", y).expect("the name is free");
    Body { graph: Arc::new(b.finish().expect("a valid graph")), inputs: inputs.to_vec() }
}

fn branches() -> Vec<Case> {
    let mut random = Random::new(0x1F);
    let op =
        branch(graph("then", binary("Sub").expect("a function"), &[2, 1]), graph("else", unary("Neg").expect("a function"), &[1]));
    let (a, b) = (random.floats(&[4]), random.floats(&[4]));
    let numbers = |t: &Tensor| t.as_slice::<f32>().expect("floats").to_vec();
    let difference: Vec<f32> = numbers(&b).iter().zip(numbers(&a)).map(|(b, a)| b - a).collect();
    let negative: Vec<f32> = numbers(&a).iter().map(|a| -a).collect();
    let row = |name: &str, condition: bool, golden: Vec<f32>| {
        let inputs = vec![Tensor::scalar(condition), a.clone(), b.clone()];
        Case::new(format!("if/{name}"), op.clone(), inputs).weights(&[0]).golden(vec![Tensor::vector(&golden)])
    };
    vec![row("then", true, difference), row("else", false, negative)]
}

/// One turn of `h = h * k + x`, with `h` as a row, where `k` is captured (input 4 of the Loop) and `x` is a slice.
fn recurrence(going: bool) -> Body {
    let mut b = Builder::new("body");
    let _turn = b.input("turn", DType::I64, &[]);
    let condition = b.input("condition", DType::Bool, &[]);
    let [h, x, k] = ["h", "x", "k"].map(|name| Some(b.input(name, DType::F32, &[Dim::Known(4)])));
    let product = b.node("product", binary("Mul").expect("a function"), &[h, k]);
    let next = b.node("next", binary("Add").expect("a function"), &[Some(product), x]);
    let row = b.node("row", identity(), &[Some(next)]);
    // Constant, or what it was before the turn.
    let stops = b.constant("stops", Tensor::scalar(false));
    let again = b.node("again", identity(), &[Some(if going { condition } else { stops })]);
    for (name, value) in [("again.out", again), ("h.out", next), ("row.out", row)] {
        b.output(name, value).expect("the name is free");
    }
    Body { graph: Arc::new(b.finish().expect("a valid graph")), inputs: vec![4] }
}

/// The recurrence by hand, for so many turns: the last `h`, and all of them.
fn by_hand(h: &Tensor, x: &Tensor, k: &Tensor, turns: usize) -> Vec<Tensor> {
    let numbers = |t: &Tensor| t.as_slice::<f32>().expect("floats").to_vec();
    let (mut h, x, k) = (numbers(h), numbers(x), numbers(k));
    let mut rows = Vec::new();
    for turn in 0..turns {
        h = (0..4).map(|i| (f64::from(h[i]) * f64::from(k[i]) + f64::from(x[turn * 4 + i])) as f32).collect();
        rows.extend_from_slice(&h);
    }
    vec![Tensor::vector(&h), Tensor::new([turns, 4], &rows).expect("turns rows of four")]
}

fn loops() -> Vec<Case> {
    let mut random = Random::new(0x10);
    let mut row =
        |name: &str, going: bool, count: Option<i64>, condition: Option<bool>, slices: usize, turns: usize, known: bool| {
            let (h, x, k) = (random.floats(&[4]), random.floats(&[slices, 4]), random.floats(&[4]));
            let golden = by_hand(&h, &x, &k, turns);
            let mut case = Case::new(format!("loop/{name}"), repeat(recurrence(going), 1, 1), vec![]).outputs(2).golden(golden);
            case.inputs = vec![count.map(Tensor::scalar), condition.map(Tensor::scalar), Some(h), Some(x), Some(k)];
            if known { case.weights(&[0, 1]) } else { case }
        };
    vec![
        row("written", true, Some(3), Some(true), 5, 3, true),
        row("slices_end_it", true, None, None, 6, 6, true),
        row("many_turns", true, Some(40), None, 40, 40, true),
        row("count_from_data", true, Some(3), Some(true), 5, 3, false),
        row("one_turn", false, Some(3), Some(true), 5, 1, true),
        row("never", true, Some(3), Some(false), 5, 0, true),
        row("never_by_data", true, Some(-2), Some(true), 5, 0, false),
        row("no_slice", true, Some(3), Some(true), 0, 0, false),
    ]
}

pub fn cases() -> Vec<Case> {
    branches().into_iter().chain(loops()).collect()
}
