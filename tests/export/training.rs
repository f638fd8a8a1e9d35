//! What a step has learned, as a file.

use crate::cases::Random;
use gristmill::graph::{Builder, Dim, Graph};
use gristmill::train::{self, BatchNormalizationStart, ClassLoss, Sgd, Step, StepOptions};
use gristmill::{DType, Model, Options, Session, Tensor, operators};

const PARAMETERS: [&str; 4] = ["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"];

/// Two layers with normalization and Dropout between, and a cross-entropy over five classes.
fn network() -> Graph {
    let mut random = Random::new(11);
    let mut b = Builder::new("two layers");
    let rows = || Dim::Named("n".into());
    let x = b.input("x", DType::F32, &[rows(), Dim::Known(6)]);
    let y = b.input("y", DType::I64, &[rows()]);
    let key = b.input("dropout_key", DType::I32, &[Dim::Known(2)]);
    let mut layer = |b: &mut Builder, name: &str, x, inputs: usize, outputs: usize| {
        let weight = b.constant(&format!("{name}.weight"), random.floats(&[inputs, outputs]));
        let bias = b.constant(&format!("{name}.bias"), random.floats(&[outputs]));
        let product = b.node(&format!("{name}.product"), operators::matmul(), &[Some(x), Some(weight)]);
        b.node(name, operators::binary("Add").expect("a function"), &[Some(product), Some(bias)])
    };
    let hidden = layer(&mut b, "fc1", x, 6, 9);
    let [scale, bias] = [("scale", 1.0f32), ("shift", 0.0)].map(|(name, value)| b.constant(name, Tensor::vector(&[value; 9])));
    let normal = train::batch_normalization(&mut b, "norm", [hidden, scale, bias], BatchNormalizationStart::new(9));
    let hidden = b.node("hidden", operators::unary("Tanh").expect("a function"), &[Some(normal.expect("its states are new"))]);
    let dropped = b.node("dropped", operators::dropout(0.25, 0).expect("a ratio"), &[Some(hidden), Some(key)]);
    let logits = layer(&mut b, "fc2", dropped, 9, 5);
    b.output("logits", logits).expect("the name is free");
    let loss = train::cross_entropy(&mut b, "loss", logits, y, &ClassLoss::default()).expect("a loss");
    b.output("loss", loss).expect("the name is free");
    b.finish().expect("a valid graph")
}

#[test]
fn a_file_of_what_was_learned_gives_what_the_step_evaluates() {
    let mut random = Random::new(12);
    let (x, y) = (random.floats(&[8, 6]), random.integers(DType::I64, &[8], 0, 5));
    let sgd = Sgd { learning_rate: 0.1, momentum: 0.9, ..Sgd::default() };
    let options = StepOptions::new("loss", PARAMETERS.map(String::from).to_vec(), sgd);
    let mut step = Step::cpu(&network(), options).expect("a step");
    let untrained = step.to_onnx_blocking(&["logits"]).expect("it has a form");
    for _ in 0..5 {
        step.step_blocking(&[("x", x.view()), ("y", y.view())]).expect("it learns");
    }
    let expected = step.evaluate_blocking(&["logits"], &[("x", x.view())]).expect("it runs");
    let bytes = step.to_onnx_blocking(&["logits"]).expect("it has a form");
    assert_ne!(bytes, untrained);
    let model = Model::from_bytes(&bytes, None).expect("it is a file");
    let graph = model.graph();
    assert_eq!(graph.inputs().iter().map(|input| graph.value(input.value).name.as_str()).collect::<Vec<_>>(), ["x"]);
    for name in PARAMETERS {
        let constant = graph.find(name).and_then(|id| graph.constant(id)).unwrap_or_else(|| panic!("{name} has its name"));
        assert!(*constant == step.get_blocking(name).expect("a parameter"), "{name}");
    }
    let session = Session::cpu(&model, Options::default()).expect("a session");
    let found = session.run_blocking(&[("x", x.view())]).expect("it runs");
    assert!(found["logits"] == expected["logits"]);
}

#[test]
fn losses_are_written_out() {
    let mut random = Random::new(13);
    let mut b = Builder::new("losses");
    let logits = b.input("logits", DType::F32, &[Dim::Named("n".into()), Dim::Known(5), Dim::Named("m".into())]);
    let y = b.input("y", DType::I64, &[Dim::Named("n".into()), Dim::Named("m".into())]);
    let weight = b.constant("weight", Tensor::vector(&[1.0f32, 2.0, 0.5, 1.5, 1.0]));
    for (name, weight, ignore_index, label_smoothing) in
        [("plain", None, None, 0.0), ("weighted", Some(weight), Some(-100), 0.0), ("smooth", Some(weight), Some(1), 0.1)]
    {
        let options = ClassLoss { weight, ignore_index, label_smoothing, ..ClassLoss::default() };
        let loss = train::cross_entropy(&mut b, name, logits, y, &options).expect("a loss");
        b.output(name, loss).expect("the name is free");
    }
    let model = Model::from_graph(b.finish().expect("a valid graph"));
    let again = super::again(&model).expect("it has a form");
    let (logits, y) = (random.floats(&[3, 5, 4]), random.integers(DType::I64, &[3, 4], 0, 5));
    let [expected, found] = [&model, &again].map(|model| {
        let session = Session::cpu(model, Options::default()).expect("a session");
        session.run_blocking(&[("logits", logits.view()), ("y", y.view())]).expect("it runs")
    });
    for name in ["plain", "weighted", "smooth"] {
        let [found, expected] = [&found, &expected].map(|outputs| outputs[name].as_slice::<f32>().expect("floats")[0]);
        assert!((found - expected).abs() < 1e-6, "{name}: {found} for {expected}");
    }
}
