//! Steps of networks whose gradients, parameters and states lie in unusual places: on the device against the references.

use crate::cases::Random;
use crate::support::gpu;
use gristmill::graph::{Builder, Dim, Graph, ValueId};
use gristmill::operators::{self, Operator, Reduction};
use gristmill::train::{self, Adam, Guard, Optimizer, ParameterGroup, RmsProp, Sgd, Step, StepOptions};
use gristmill::{DType, ErrorKind, Gpu, Model, Options, Power, Session, Tensor, TensorView};

fn sgd() -> Optimizer {
    Sgd { learning_rate: 0.1, momentum: 0.5, ..Sgd::default() }.into()
}

fn of(parameters: &[&str], optimizer: impl Into<Optimizer>) -> StepOptions {
    StepOptions::new("loss", parameters.iter().map(ToString::to_string).collect(), optimizer)
}

fn binary(name: &str) -> Operator {
    operators::binary(name).expect("a function")
}

fn unary(name: &str) -> Operator {
    operators::unary(name).expect("a function")
}

/// The sum of all elements.
fn sum(b: &mut Builder, name: &str, value: ValueId) -> ValueId {
    b.node(name, operators::reduce(Reduction::Sum, Some(vec![]), false, false), &[Some(value)])
}

fn finish(mut b: Builder, loss: ValueId) -> Graph {
    b.output("loss", loss).expect("the name is free");
    b.finish().expect("a valid graph")
}

type Batch = Vec<(&'static str, Tensor)>;

fn views(batch: &Batch) -> Vec<(&str, TensorView<'_>)> {
    batch.iter().map(|(name, tensor)| (*name, tensor.view())).collect()
}

fn near(name: &str, found: &Tensor, expected: &Tensor) {
    assert_eq!(found.shape(), expected.shape(), "{name}");
    for (a, b) in found.to_f64().iter().zip(expected.to_f64()) {
        let alike = (a - b).abs() <= 2e-5 + 1e-4 * b.abs() || a.is_nan() && b.is_nan();
        assert!(alike, "{name} is {found:?}, expected {expected:?}");
    }
}

/// Learns from batches on the device and by the references, and holds all that both then hold and return against each other.
fn alike(graph: &Graph, options: &StepOptions, batches: &[Batch]) -> Step {
    let mut device = Step::new(gpu(), graph, options.clone()).expect("a step");
    let mut host = Step::cpu(graph, options.clone()).expect("a step");
    for batch in batches {
        let outputs = [&mut device, &mut host].map(|step| step.step_blocking(&views(batch)).expect("a step"));
        for name in &options.outputs {
            near(name, &outputs[0][name.as_str()], &outputs[1][name.as_str()]);
        }
    }
    let [found, expected] = [&device, &host].map(|step| step.checkpoint_blocking().expect("a checkpoint"));
    for ((name, found), (_, expected)) in found.tensors.iter().zip(&expected.tensors) {
        near(name, found, expected);
    }
    device
}

/// Every kind of step of one optimizer: plain, clipped, and over two batches.
fn every(graph: &Graph, options: &StepOptions, batches: &[Batch]) {
    for (clip_norm, accumulate) in [(None, 1), (Some(0.05), 1), (None, 2), (Some(10.0), 2)] {
        alike(graph, &StepOptions { clip_norm, accumulate, ..options.clone() }, batches);
    }
}

fn rows(numbers: &[usize], columns: usize) -> Vec<Batch> {
    let batch = |(seed, rows): (usize, &usize)| {
        let mut random = Random::new(seed as u64);
        vec![("x", random.floats(&[*rows, columns])), ("y", random.floats(&[*rows, columns]))]
    };
    numbers.iter().enumerate().map(batch).collect()
}

fn pair(b: &mut Builder, columns: usize) -> [ValueId; 2] {
    ["x", "y"].map(|name| b.input(name, DType::F32, &[Dim::Named("n".into()), Dim::Known(columns)]))
}

fn squares(b: &mut Builder, found: ValueId, expected: ValueId) -> ValueId {
    train::mean_squared_error(b, "loss", [found, expected], train::LossReduction::Mean).expect("a loss")
}

#[test]
fn training_of_parameters_that_share_a_gradient() {
    // Of one column each a sum, or one and the same value where all have the shape of what they are added to.
    for shapes in [[&[5][..], &[5], &[1, 5], &[5]], [&[3, 5], &[3, 5], &[3, 5], &[3, 5]]] {
        let mut random = Random::new(1);
        let mut b = Builder::new("biases");
        let [x, y] = ["x", "y"].map(|name| b.input(name, DType::F32, &[Dim::Known(3), Dim::Known(5)]));
        let mut found = x;
        for (name, shape) in ["a", "b", "c", "d"].iter().zip(shapes) {
            let bias = b.constant(name, random.floats(shape));
            found = b.node(&format!("with {name}"), binary("Add"), &[Some(found), Some(bias)]);
        }
        let found = b.node("found", unary("Tanh"), &[Some(found)]);
        let loss = sum(&mut b, "of found", found);
        let nothing = sum(&mut b, "of y", y);
        let loss = b.node("loss", binary("Add"), &[Some(loss), Some(nothing)]);
        every(&finish(b, loss), &of(&["a", "b", "c", "d"], sgd()), &rows(&[3; 4], 5));
    }
}

#[test]
fn training_of_a_parameter_that_is_read_twice() {
    let mut random = Random::new(2);
    let mut b = Builder::new("twice");
    let [x, y] = pair(&mut b, 6);
    let weight = b.constant("w", random.floats(&[6, 6]));
    let hidden = b.node("first", operators::matmul(), &[Some(x), Some(weight)]);
    let hidden = b.node("tanh", unary("Tanh"), &[Some(hidden)]);
    let found = b.node("second", operators::matmul(), &[Some(hidden), Some(weight)]);
    let loss = squares(&mut b, found, y);
    every(&finish(b, loss), &of(&["w"], Adam::default()), &rows(&[3, 3, 3, 3], 6));
}

#[test]
fn training_by_gradients_that_nothing_makes() {
    let mut random = Random::new(3);
    let mut b = Builder::new("linear");
    let x = b.input("x", DType::F32, &[Dim::Known(7)]);
    let [w, v, s] = [("w", &[7][..]), ("v", &[3]), ("s", &[])].map(|(name, shape)| b.constant(name, random.floats(shape)));
    let product = b.node("product", binary("Mul"), &[Some(x), Some(w)]);
    let (product, own) = (sum(&mut b, "of product", product), sum(&mut b, "of v", v));
    let loss = b.node("loss of both", binary("Add"), &[Some(product), Some(own)]);
    let loss = b.node("loss", binary("Add"), &[Some(loss), Some(s)]);
    let batches: Vec<Batch> = (0..4).map(|_| vec![("x", random.floats(&[7]))]).collect();
    every(&finish(b, loss), &of(&["w", "v", "s"], sgd()), &batches);
}

#[test]
fn training_by_gradients_that_are_parameters() {
    let mut random = Random::new(4);
    let mut b = Builder::new("product");
    let x = b.input("x", DType::F32, &[]);
    let [w, v] = ["w", "v"].map(|name| b.constant(name, random.floats(&[9])));
    let product = b.node("product", binary("Mul"), &[Some(w), Some(v)]);
    let loss = sum(&mut b, "of product", product);
    let zero = b.constant("zero", Tensor::scalar(0.0f32));
    let nothing = b.node("nothing", binary("Mul"), &[Some(x), Some(zero)]);
    let loss = b.node("loss", binary("Add"), &[Some(loss), Some(nothing)]);
    let batches: Vec<Batch> = (0..4).map(|_| vec![("x", random.floats(&[]))]).collect();
    every(&finish(b, loss), &of(&["w", "v"], sgd()), &batches);
}

#[test]
fn training_by_gradients_that_make_each_other() {
    // The gradient of w is h, and that of v is made of it: they lie in one arena, and one dispatch may not read and write it.
    let mut random = Random::new(5);
    let mut b = Builder::new("chained");
    let x = b.input("x", DType::F32, &[Dim::Known(70)]);
    let [w, v, u] = ["w", "v", "u"].map(|name| b.constant(name, random.floats(&[70])));
    let h = b.node("h", unary("Tanh"), &[Some(x)]);
    let axis = b.constant("axis", Tensor::scalar(0i64));
    let g = b.node("g", operators::cum_sum(false, false), &[Some(h), Some(axis)]);
    let sums = [("wh", w, h), ("vg", v, g), ("ug", u, g)].map(|(name, parameter, value)| {
        let product = b.node(name, binary("Mul"), &[Some(parameter), Some(value)]);
        sum(&mut b, &format!("of {name}"), product)
    });
    let two = b.node("two", binary("Add"), &[Some(sums[0]), Some(sums[1])]);
    let loss = b.node("loss", binary("Add"), &[Some(two), Some(sums[2])]);
    let batches: Vec<Batch> = (0..4).map(|_| vec![("x", random.floats(&[70]))]).collect();
    let graph = finish(b, loss);
    every(&graph, &of(&["w", "v", "u"], sgd()), &batches);
    every(&graph, &StepOptions { outputs: vec!["h".into(), "g".into()], ..of(&["w", "v", "u"], sgd()) }, &batches);
}

/// A layer of 6 to 6 with a bias.
fn layer() -> Graph {
    let mut random = Random::new(6);
    let mut b = Builder::new("layer");
    let [x, y] = pair(&mut b, 6);
    let (weight, bias) = (b.constant("w", random.floats(&[6, 6])), b.constant("b", random.floats(&[6])));
    let product = b.node("product", operators::matmul(), &[Some(x), Some(weight)]);
    let found = b.node("found", binary("Add"), &[Some(product), Some(bias)]);
    b.output("found", found).expect("the name is free");
    let loss = squares(&mut b, found, y);
    finish(b, loss)
}

#[test]
fn training_returns_parameters_as_they_were() {
    let options = StepOptions { outputs: vec!["w".into(), "b".into(), "loss".into()], ..of(&["w", "b"], sgd()) };
    let mut step = alike(&layer(), &options, &rows(&[3, 3, 3], 6));
    let before = step.get_blocking("w").expect("it is there");
    let outputs = step.step_blocking(&views(&rows(&[3], 6)[0])).expect("a step");
    near("w", &outputs["w"], &before);
    let after = step.get_blocking("w").expect("it is there");
    assert_ne!(before, after);
    let found = step.evaluate_blocking(&["w", "b"], &[]).expect("parameters");
    near("w", &found["w"], &after);
    let found = step.evaluate_blocking(&["loss", "loss", "w"], &views(&rows(&[3], 6)[0])).expect("values");
    near("w", &found["w"], &after);
}

#[test]
fn training_on_batches_of_many_sizes() {
    let graph = layer();
    every(&graph, &of(&["w", "b"], Adam::default()), &rows(&[3, 1, 8, 3, 5, 1], 6));
    let options = StepOptions { accumulate: 3, clip_norm: Some(0.2), ..of(&["w", "b"], Adam::default()) };
    let batches = rows(&[2, 5, 1, 5, 2, 9], 6);
    let through = alike(&graph, &options, &batches).checkpoint_blocking().expect("a checkpoint");
    let mut step = Step::new(gpu(), &graph, options).expect("a step");
    for batch in &batches {
        step.step_blocking(&views(batch)).expect("a step");
        step.evaluate_blocking(&["loss", "found"], &views(batch)).expect("numbers");
    }
    assert_eq!(step.checkpoint_blocking().expect("a checkpoint"), through, "evaluation changes nothing of what is summed");
}

#[test]
fn training_of_several_groups() {
    let graph = layer();
    let rms_prop = RmsProp { centered: true, momentum: 0.5, ..RmsProp::default() };
    let group = |name: &str, optimizer: Optimizer| ParameterGroup { parameters: vec![name.into()], optimizer };
    let mut options = of(&["w"], Adam::decoupled());
    options.groups.push(group("b", rms_prop.into()));
    every(&graph, &options, &rows(&[3, 1, 4, 3], 6));
}

#[test]
fn training_of_a_network_with_a_state() {
    let mut random = Random::new(7);
    let mut b = Builder::new("stateful");
    let [x, y] = pair(&mut b, 6);
    let weight = b.constant("w", random.floats(&[6, 6]));
    let held = b.state("h", random.floats(&[6]));
    let product = b.node("product", operators::matmul(), &[Some(x), Some(weight)]);
    let found = b.node("found", binary("Add"), &[Some(product), Some(held)]);
    let mean = b.node("mean", operators::reduce(Reduction::Mean, Some(vec![0]), false, false), &[Some(found)]);
    let next = b.node("next", unary("Tanh"), &[Some(mean)]);
    b.write_state("h", next).expect("it is written once");
    let loss = squares(&mut b, found, y);
    let graph = finish(b, loss);
    every(&graph, &of(&["w"], sgd()), &rows(&[3, 1, 4, 3], 6));
    let outputs = ["next", "loss", "w", "loss"].map(String::from).to_vec();
    alike(&graph, &StepOptions { outputs, ..of(&["w"], sgd()) }, &rows(&[3, 1, 4, 3], 6));
    for session in [
        Options { strict_gpu: true, ..Options::default() },
        Options { checked: true, ..Options::default() },
        Options { keep_all: true, ..Options::default() },
    ] {
        alike(&graph, &StepOptions { session, ..of(&["w"], sgd()) }, &rows(&[3, 1, 3], 6));
    }
}

#[test]
fn training_of_gradients_that_are_no_numbers() {
    let mut batches = rows(&[3, 3], 6);
    batches[1][0].1 = Tensor::new([3, 6], &[f32::NAN; 18]).expect("a batch");
    for optimizer in [sgd(), Adam::default().into(), RmsProp { centered: true, ..RmsProp::default() }.into()] {
        alike(&layer(), &StepOptions { guard: Guard::Nothing, ..of(&["w", "b"], optimizer) }, &batches);
    }
}

#[test]
fn training_lets_centered_squares_vanish() {
    // With one gradient in every step its square and the mean of squares are the same but for rounding.
    let mut b = Builder::new("constant slope");
    let x = b.input("x", DType::F32, &[Dim::Known(4)]);
    let w = b.constant("w", Tensor::vector(&[0.1f32, 0.2, 0.3, 0.4]));
    let product = b.node("product", binary("Mul"), &[Some(x), Some(w)]);
    let loss = sum(&mut b, "loss", product);
    let rms_prop = RmsProp { centered: true, alpha: 0.5, learning_rate: 1e-9, ..RmsProp::default() };
    let mut step = Step::new(gpu(), &finish(b, loss), of(&["w"], rms_prop)).expect("a step");
    let x = vec![("x", Tensor::vector(&[0.1f32, 0.7, 1.3, 3.1]))];
    for _ in 0..80 {
        step.step_blocking(&views(&x)).expect("a step");
    }
    let held = step.get_blocking("w").expect("it is there");
    assert!(held.to_f64().iter().all(|number| number.is_finite()), "{held:?}");
}

#[test]
fn training_says_what_a_device_took_along_and_goes_on_from_a_checkpoint() {
    let own = Gpu::new_blocking(Power::High).expect("the tests need an adapter");
    let batch = &rows(&[3], 6)[0];
    let options = StepOptions { clip_norm: Some(1.0), accumulate: 2, ..of(&["w", "b"], Adam::default()) };
    let mut step = Step::new(&own, &layer(), options).expect("a step");
    for _ in 0..3 {
        step.step_blocking(&views(batch)).expect("a step");
    }
    let checkpoint = step.checkpoint_blocking().expect("a checkpoint");
    own.device().destroy();
    for _ in 0..2 {
        let error = step.step_blocking(&views(batch)).expect_err("weights are lost");
        assert_eq!(error.kind(), ErrorKind::StateLost, "{error}");
    }
    let error = step.evaluate_blocking(&["found"], &views(batch)[..1]).expect_err("weights are lost");
    assert_eq!(error.kind(), ErrorKind::StateLost, "{error}");
    let weight = Tensor::new([6, 6], &[0.5f32; 36]).expect("a weight");
    let error = step.set_blocking("w", &weight.view()).expect_err("what is beside it is lost");
    assert_eq!(error.kind(), ErrorKind::StateLost, "{error}");
    step.restore(&checkpoint).expect("it fits");
    assert_eq!(step.checkpoint_blocking().expect("a checkpoint"), checkpoint);
    (0..2).for_each(|_| drop(step.step_blocking(&views(batch)).expect("a step")));
    assert_eq!(step.steps(), 2);
}

#[test]
fn training_restores_all_or_nothing() {
    // The name is the network's own, whatever the step calls its states.
    let mut b = Builder::new("stateful");
    let [x, y] = pair(&mut b, 6);
    let weight = b.constant("w", Tensor::new([6], &[0.5f32; 6]).expect("a weight"));
    let held = b.state("train.h", Tensor::new([6], &[0.25f32; 6]).expect("a state"));
    let product = b.node("product", binary("Mul"), &[Some(x), Some(weight)]);
    let found = b.node("found", binary("Add"), &[Some(product), Some(held)]);
    let next = b.node("next", unary("Tanh"), &[Some(held)]);
    b.write_state("train.h", next).expect("it is written once");
    let loss = squares(&mut b, found, y);
    let mut step = Step::cpu(&finish(b, loss), of(&["w"], sgd())).expect("a step");
    let first = step.checkpoint_blocking().expect("a checkpoint");
    step.step_blocking(&views(&rows(&[3], 6)[0])).expect("a step");
    let before = step.checkpoint_blocking().expect("a checkpoint");
    let mut wrong = first.clone();
    for (name, tensor) in &mut wrong.tensors {
        if name == "train.h" {
            *tensor = Tensor::vector(&[1.0f32; 7]);
        }
    }
    let error = step.restore(&wrong).expect_err("the state is of another type");
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    assert_eq!(step.checkpoint_blocking().expect("a checkpoint"), before);
    step.restore(&first).expect("it fits");
    assert_eq!(step.checkpoint_blocking().expect("a checkpoint"), first);
}

#[test]
fn training_parts_of_what_the_host_made_last_until_they_are_read() {
    let mut random = Random::new(8);
    let mut b = Builder::new("from the host");
    let wide = |b: &mut Builder, name: &str, shape: &[usize]| {
        let dims: Vec<Dim> = shape.iter().map(|extent| Dim::Known(*extent)).collect();
        let given = b.input(name, DType::F64, &dims);
        b.node(&format!("{name}.narrow"), operators::cast(DType::F32).expect("a type"), &[Some(given)])
    };
    let (held, mut chain) = (wide(&mut b, "held", &[2, 64, 64]), wide(&mut b, "first", &[64, 64]));
    let weight = b.input("weight", DType::F32, &[Dim::Known(64), Dim::Known(64)]);
    for step in 0..4 {
        chain = b.node(&format!("product {step}"), operators::matmul(), &[Some(chain), Some(weight)]);
    }
    for first in [0, 64 * 64] {
        let part = b.node(&format!("from {first}"), gristmill::internals::ops::arena::part(first, [64, 64]), &[Some(held)]);
        chain = b.node(&format!("by {first}"), operators::matmul(), &[Some(chain), Some(part)]);
    }
    let out = b.node("out", unary("Tanh"), &[Some(chain)]);
    b.output("out", out).expect("the name is free");
    let model = Model::from_graph(b.finish().expect("a valid graph"));
    let doubles = |tensor: Tensor| {
        let ty = gristmill::TensorType::new(DType::F64, tensor.shape().clone());
        Tensor::from_f64(ty, &tensor.to_f64()).expect("as many elements")
    };
    let inputs = [
        ("held", doubles(random.floats(&[2, 64, 64]))),
        ("first", doubles(random.floats(&[64, 64]))),
        ("weight", Tensor::from_f64(gristmill::TensorType::new(DType::F32, [64, 64]), &[0.0625; 64 * 64]).expect("a weight")),
    ];
    let given: Vec<(&str, TensorView<'_>)> = inputs.iter().map(|(name, tensor)| (*name, tensor.view())).collect();
    let device = Session::new_blocking(gpu(), &model, Options::default()).expect("a session");
    let host = Session::cpu(&model, Options::default()).expect("a session");
    let [found, expected] = [device, host].map(|session| session.run_blocking(&given).expect("a run"));
    for (a, b) in found["out"].to_f64().iter().zip(expected["out"].to_f64()) {
        assert!((a - b).abs() < 1e-3, "{a} instead of {b}");
    }
}
