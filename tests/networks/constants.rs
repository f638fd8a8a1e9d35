//! Parameters that move by name.

use super::{File, Tensors};
use gristmill::graph::{Builder, Dim, Graph};
use gristmill::models::Cnn;
use gristmill::train::{self, BatchNormalizationStart, LossKind, NamedLoss, Sgd, Step, StepOptions};
use gristmill::{DType, ErrorKind, Tensor};

fn cnn(seed: u32) -> Graph {
    Cnn { height: 4, width: 4, channels: [2, 2, 2], hidden: 3, ..Cnn::default() }.graph(seed).expect("a graph")
}

fn held(graph: &Graph) -> Tensors {
    graph.constants().into_iter().map(|(name, tensor)| (name.to_string(), tensor.clone())).collect()
}

#[test]
fn parameters_move_by_name() {
    let (one, other) = (cnn(1), cnn(2));
    assert_ne!(held(&one), held(&other));
    assert_eq!(held(&one.with_constants(&held(&other)).expect("they fit")), held(&other));
    let bias = vec![("fc2.bias".to_string(), Tensor::vector(&[0.5f32; 10]))];
    let changed = one.with_constants(&bias).expect("it fits");
    let (same, different): (Vec<_>, Vec<_>) = held(&changed).into_iter().partition(|tensor| held(&one).contains(tensor));
    assert!(same.len() > 8 && different == bias);
}

#[test]
fn tensors_that_do_not_fit_are_named() {
    let graph = cnn(1);
    let fails = |tensors: &[(&str, Tensor)], words: &[&str]| {
        let tensors: Tensors = tensors.iter().map(|(name, tensor)| (name.to_string(), tensor.clone())).collect();
        let error = graph.with_constants(&tensors).expect_err("it does not fit");
        assert!(error.kind() == ErrorKind::InvalidArgument && words.iter().all(|word| error.to_string().contains(word)), "{error}");
    };
    fails(&[("fc2.bias", Tensor::vector(&[0f32; 9]))], &["`fc2.bias`", "f32[10]", "f32[9]"]);
    fails(&[("fc2.bias", Tensor::vector(&[0f64; 10]))], &["`fc2.bias`", "f64[10]"]);
    fails(&[("fc9.bias", Tensor::vector(&[0f32; 10]))], &["`fc9.bias`"]);
    // Values that are no constants.
    fails(&[("logits", Tensor::vector(&[0f32; 10]))], &["`logits`"]);
    let bias = ("fc2.bias", Tensor::vector(&[0f32; 10]));
    fails(&[bias.clone(), bias], &["`fc2.bias`", "twice"]);
}

#[test]
fn what_a_step_has_learned_moves_without_what_its_optimizer_remembers() {
    let graph = cnn(1);
    let learning = train::with_loss(&graph, &NamedLoss::new(LossKind::cross_entropy(), "logits")).expect("a loss");
    let momentum = Sgd { learning_rate: 0.1, momentum: 0.9, ..Sgd::default() };
    let options = StepOptions::new("loss", train::parameters(&learning, "loss"), momentum);
    let mut step = Step::cpu(&learning, options).expect("a step");
    let image = Tensor::new([1, 1, 4, 4], &[1.0f32; 16]).expect("as many elements");
    step.step_blocking(&[("image", image.view()), ("target", Tensor::vector(&[3i64]).view())]).expect("it learns");
    let checkpoint = step.checkpoint_blocking().expect("a checkpoint");
    let error = graph.with_constants(&checkpoint.tensors).expect_err("the optimizer's are among them");
    assert!(error.to_string().contains("`optimizer."), "{error}");
    let (learned, count) = graph.with_constants_among(&checkpoint.tensors).expect("they fit");
    assert_eq!((count, checkpoint.tensors.len()), (10, 20));
    let bias = learned.constants().into_iter().find(|(name, _)| *name == "fc2.bias").expect("a parameter").1;
    assert_eq!(*bias, step.get_blocking("fc2.bias").expect("a parameter"));
}

#[test]
fn running_statistics_move_as_parameters_do() {
    let mut b = Builder::new("normalized");
    let x = b.input("x", DType::F32, &[Dim::Named("batch".into()), Dim::Known(2)]);
    let [scale, bias] = [1f32, 0.0].map(|number| b.constant("part", Tensor::vector(&[number; 2])));
    let y = train::batch_normalization(&mut b, "bn", [x, scale, bias], BatchNormalizationStart::new(2)).expect("a layer");
    b.output("y", y).expect("the name is free");
    let mean = vec![("bn.running_mean".to_string(), Tensor::vector(&[3f32, 4.0]))];
    let graph = b.finish().expect("a graph").with_constants(&mean).expect("it fits");
    assert!(held(&graph).contains(&mean[0]));
    assert!(graph.states().iter().any(|state| state.initial.as_ref() == Some(&mean[0].1)));
}

#[test]
fn files_of_parameters_may_hold_more_than_a_graph() {
    let sizes = Cnn { colors: 3, height: 12, width: 12, channels: [4, 8, 8], hidden: 24, classes: 10 };
    let graph = sizes.graph(0).expect("a graph");
    let mut tensors = File::open("training/cnn.safetensors").under("init.");
    let all = tensors.len();
    tensors.push(("another.weight".into(), Tensor::scalar(1f32)));
    assert_eq!(graph.with_constants_among(&tensors).expect("they fit").1, all);
}
