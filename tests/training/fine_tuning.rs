//! Networks from files that learn: from what they know, and from the beginning.

use crate::models::folders;
use crate::networks::{digits, run, trained, views};
use gristmill::graph::{Builder, Dim, Graph};
use gristmill::models::drawn_anew;
use gristmill::train::{self, Adam, LossKind, NamedLoss, Step, StepOptions};
use gristmill::{DType, ErrorKind, Model, Tensor, operators};

/// A network that was trained on digits.
fn digit_cnn() -> Graph {
    let folder = folders().into_iter().find(|folder| folder.ends_with("digit_cnn")).expect("the network is there");
    Model::load(folder.join("model.onnx")).expect("it imports").graph().clone()
}

/// Names of its input and of its prediction.
fn ends(graph: &Graph) -> [String; 2] {
    [graph.inputs()[0].value, graph.outputs()[0]].map(|id| graph.value(id).name.clone())
}

/// Digits as it sees them, and their labels.
fn data(graph: &Graph) -> Vec<(String, Tensor)> {
    let mut data = digits();
    let colors: Vec<f32> = data[0].1.as_slice::<f32>().expect("floats").iter().map(|color| (color - 0.1307) / 0.3081).collect();
    data[0] = (ends(graph)[0].clone(), Tensor::new(data[0].1.shape().clone(), &colors).expect("as many elements"));
    data
}

/// How many of 100 digits are told right.
fn right(logits: &Tensor, labels: &Tensor) -> usize {
    let best = |row: &[f64]| (0..10).max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap_or(0) as i64;
    logits.to_f64().chunks(10).map(best).zip(labels.to_i64()).filter(|(found, label)| found == label).count()
}

#[test]
fn a_network_from_a_file_goes_on_learning() {
    let graph = digit_cnn();
    let ([_, prediction], batch) = (ends(&graph), data(&graph));
    let learning = train::with_loss(&graph, &NamedLoss::new(LossKind::cross_entropy(), &prediction)).expect("a loss");
    let (mut step, losses) = trained(&learning, Adam { learning_rate: 1e-4, ..Adam::default() }, &batch, 8);
    assert!(losses[0] < 0.5 && losses[7] < 0.8 * losses[0], "{losses:?}");
    let given = views(&batch)[..1].to_vec();
    let logits = step.evaluate_blocking(&[&prediction], &given).expect("it is evaluated")[prediction.as_str()].clone();
    assert!(right(&logits, &batch[1].1) >= 98);
    // What it has learned leaves as a file again.
    let file = step.to_onnx_blocking(&[&prediction]).expect("it has a form");
    let back = Model::from_bytes(&file, None).expect("it is a file");
    let again = run(back.graph(), true, &batch[..1].to_vec());
    assert_eq!(crate::support::difference(&again[prediction.as_str()], &logits, crate::cases::F32), None);
}

#[test]
fn a_network_from_a_file_learns_from_the_beginning() {
    let known = digit_cnn();
    let graph = drawn_anew(&known, 6).expect("a graph");
    let ([_, prediction], batch) = (ends(&graph), data(&graph));
    // Nothing that was learned is left.
    for (name, old) in known.constants().into_iter().filter(|(_, tensor)| tensor.dtype().is_float() && tensor.elements() > 1) {
        let new = graph.constant(graph.find(name).expect("it has the same values")).expect("it is a constant");
        assert!(new.ty() == old.ty() && new != old, "{name}");
    }
    let learning = train::with_loss(&graph, &NamedLoss::new(LossKind::cross_entropy(), &prediction)).expect("a loss");
    let (mut step, losses) = trained(&learning, Adam { learning_rate: 2e-3, ..Adam::default() }, &batch, 20);
    assert!((2.0..2.7).contains(&losses[0]) && losses[19] < 0.7, "{losses:?}");
    let given = views(&batch)[..1].to_vec();
    let logits = step.evaluate_blocking(&[&prediction], &given).expect("it is evaluated")[prediction.as_str()].clone();
    assert!(right(&logits, &batch[1].1) >= 80);
}

/// Two determinants of matrices too large for a rule, of products with one parameter.
#[test]
fn all_nodes_without_a_gradient_are_named_at_once() {
    let mut b = Builder::new("determinants");
    let size = 40;
    let x = b.input("x", DType::F32, &[Dim::Known(size), Dim::Known(size)]);
    let weight = b.constant("weight", Tensor::new([size, size], &vec![0.1f32; size * size]).expect("as many elements"));
    let product = b.node("product", operators::matmul(), &[Some(x), Some(weight)]);
    let more = b.node("more", operators::binary("Add").expect("a function"), &[Some(product), Some(x)]);
    let parts = [("first", product), ("second", more)].map(|(name, value)| b.node(name, operators::det(), &[Some(value)]));
    let loss = b.node("loss", operators::binary("Add").expect("a function"), &parts.map(Some));
    b.output("loss", loss).expect("the name is free");
    let graph = b.finish().expect("a graph");
    let step = Step::cpu(&graph, StepOptions::new("loss", vec!["weight".into()], Adam::default())).expect("a step");
    let x = Tensor::new([size, size], &vec![0f32; size * size]).expect("as many elements");
    let error = step.explain_run(&[("x", x.view())]).expect_err("it cannot learn");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    for word in ["2 nodes", "`Det:first`", "`Det:second`", "cofactors"] {
        assert!(error.to_string().contains(word), "{error}");
    }
}
