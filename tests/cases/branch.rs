//! Rows of If. What it does with conditions that come from shapes and from data is in `tests/imports`.

use super::{Case, Random};
use gristmill::Tensor;
use gristmill::internals::graph::{Builder, Dim, Op};
use gristmill::internals::ops::branch::{Branch, branch};
use gristmill::internals::ops::elementwise::{binary, unary};
use std::sync::Arc;

/// The graph of one function of inputs of four elements, which are these inputs of the operator.
fn graph(name: &str, op: Arc<dyn Op>, inputs: &[usize]) -> Branch {
    let mut b = Builder::new(name);
    let own: Vec<_> = inputs.iter().map(|k| Some(b.input(&format!("x{k}"), gristmill::DType::F32, &[Dim::Known(4)]))).collect();
    let y = b.node("y", op, &own);
    b.output("y", y).expect("the name is free");
    Branch { graph: Arc::new(b.finish().expect("a valid graph")), inputs: inputs.to_vec() }
}

pub fn cases() -> Vec<Case> {
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
