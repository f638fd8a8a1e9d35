//! Parameters of any graph drawn anew by what reads them.

use gristmill::graph::{Builder, Dim, Graph, ValueId};
use gristmill::models::{Cnn, Gpt, Seq2Seq, drawn_anew};
use gristmill::operators::{self, Operator};
use gristmill::train::{BatchNormalizationStart, batch_normalization};
use gristmill::{DType, Tensor};

/// What a constant, or a state before the first run, holds.
fn held(graph: &Graph, name: &str) -> Vec<f64> {
    let found = graph.constants().into_iter().find(|(known, _)| *known == name);
    found.unwrap_or_else(|| panic!("a constant {name}")).1.to_f64()
}

/// Whether numbers lie evenly within a bound: none past it, and as far from 0 as such numbers are.
fn is_even_within(numbers: &[f64], bound: f64) -> bool {
    let square = numbers.iter().map(|x| x * x).sum::<f64>() / numbers.len() as f64 / (bound * bound);
    numbers.iter().all(|x| x.abs() <= bound * (1.0 + 1e-6))
        && (square - 1.0 / 3.0).abs() < 5.0 * 0.3 / (numbers.len() as f64).sqrt()
}

/// A network as files have them: products with weights in either order, an order of axes, scales that are no parameters of a layer.
fn network() -> Graph {
    let mut b = Builder::new("network");
    let ones = |b: &mut Builder, name: &str, shape: &[usize]| {
        b.constant(name, Tensor::new(shape, &vec![1f32; shape.iter().product()]).expect("as many elements"))
    };
    let node = |b: &mut Builder, name: &str, op: Operator, inputs: &[ValueId]| {
        b.node(name, op, &inputs.iter().copied().map(Some).collect::<Vec<_>>())
    };
    let ids = b.input("ids", DType::I64, &[Dim::Named("batch".into())]);
    let table = ones(&mut b, "table", &[30, 50]);
    let x = node(&mut b, "embedded", operators::gather(0), &[table, ids]);
    let [inner, row, turned, scale] = [("inner", &[50, 40][..]), ("row", &[40]), ("turned", &[60, 40]), ("scale", &[60])]
        .map(|(name, shape)| ones(&mut b, name, shape));
    let x = node(&mut b, "product", operators::matmul(), &[x, inner]);
    let x = node(&mut b, "biased", operators::binary("Add").expect("a function"), &[row, x]);
    let order = node(&mut b, "order", operators::transpose(None), &[turned]);
    let x = node(&mut b, "second", operators::matmul(), &[x, order]);
    let x = node(&mut b, "scaled", operators::binary("Mul").expect("a function"), &[x, scale]);
    let [weight, bias] = ["norm.weight", "norm.bias"].map(|name| b.constant(name, Tensor::vector(&[5f32; 60])));
    let start = BatchNormalizationStart { mean: Tensor::vector(&[3f32; 60]), ..BatchNormalizationStart::new(60) };
    let x = batch_normalization(&mut b, "norm", [x, weight, bias], start).expect("a layer");
    b.output("out", x).expect("the name is free");
    b.finish().expect("a graph")
}

#[test]
fn parameters_are_drawn_by_what_reads_them() {
    let graph = drawn_anew(&network(), 1).expect("a graph");
    assert!(is_even_within(&held(&graph, "inner"), 50f64.sqrt().recip()));
    assert!(is_even_within(&held(&graph, "row"), 50f64.sqrt().recip()));
    assert!(is_even_within(&held(&graph, "turned"), 40f64.sqrt().recip()));
    let table = held(&graph, "table");
    assert!((table.iter().map(|x| x * x).sum::<f64>() / 1500.0 - 1.0).abs() < 0.2 && table.iter().any(|x| x.abs() > 2.0));
    assert_eq!(held(&graph, "scale"), [1.0; 60]);
    assert_eq!((held(&graph, "norm.weight"), held(&graph, "norm.bias")), (vec![1.0; 60], vec![0.0; 60]));
    assert_eq!((held(&graph, "norm.running_mean"), held(&graph, "norm.running_var")), (vec![0.0; 60], vec![1.0; 60]));
    let [again, other] = [1, 2].map(|seed| drawn_anew(&network(), seed).expect("a graph"));
    assert_eq!(held(&again, "inner"), held(&graph, "inner"));
    assert_ne!(held(&other, "inner"), held(&graph, "inner"));
}

#[test]
fn networks_written_here_are_drawn_as_they_were() {
    // By the same rules, under the same names: but for what a model says otherwise.
    for graph in [Cnn::default().graph(5), Seq2Seq { embedding: 8, hidden: 12, ..Seq2Seq::new(9, 7) }.graph(5)] {
        let graph = graph.expect("a graph");
        let anew = drawn_anew(&graph, 5).expect("a graph");
        for (name, tensor) in graph.constants().into_iter().filter(|(_, tensor)| tensor.dtype().is_float()) {
            assert_eq!(held(&anew, name), tensor.to_f64(), "{name}");
        }
    }
    let anew = drawn_anew(&Gpt::new(20).graph(5).expect("a graph"), 5).expect("a graph");
    assert!(is_even_within(&held(&anew, "transformer.h.1.mlp.c_proj.weight"), 512f64.sqrt().recip()));
    assert!(is_even_within(&held(&anew, "transformer.h.1.mlp.c_proj.bias"), 512f64.sqrt().recip()));
}
