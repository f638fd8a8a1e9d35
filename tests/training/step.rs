//! Training steps: every optimizer on the device against the references, what a plan of a step is like, sums over several batches,
//! clipping, checkpoints, and what callers get wrong.

use crate::cases::Random;
use crate::support::gpu;
use gristmill::graph::{Builder, Dim, Graph};
use gristmill::train::{self, Adam, ClassLoss, Optimizer, ParameterGroup, RmsProp, Sgd, Step, StepOptions};
use gristmill::{DType, ErrorKind, Tensor, TensorView, operators};

const PARAMETERS: [&str; 4] = ["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"];

/// Two layers and a cross-entropy over five classes.
pub(super) fn network() -> Graph {
    let mut random = Random::new(7);
    let mut b = Builder::new("two layers");
    let rows = || Dim::Named("n".into());
    let x = b.input("x", DType::F32, &[rows(), Dim::Known(6)]);
    let y = b.input("y", DType::I64, &[rows()]);
    let mut layer = |b: &mut Builder, name: &str, x, inputs: usize, outputs: usize| {
        let weight = b.constant(&format!("{name}.weight"), random.floats(&[inputs, outputs]));
        let bias = b.constant(&format!("{name}.bias"), random.floats(&[outputs]));
        let product = b.node(&format!("{name}.product"), operators::matmul(), &[Some(x), Some(weight)]);
        b.node(name, operators::binary("Add").expect("a function"), &[Some(product), Some(bias)])
    };
    let hidden = layer(&mut b, "fc1", x, 6, 9);
    let hidden = b.node("hidden", operators::unary("Tanh").expect("a function"), &[Some(hidden)]);
    let logits = layer(&mut b, "fc2", hidden, 9, 5);
    b.output("logits", logits).expect("the name is free");
    let loss = train::cross_entropy(&mut b, "loss", logits, y, &ClassLoss::default()).expect("a loss");
    b.output("loss", loss).expect("the name is free");
    b.finish().expect("a valid graph")
}

fn batch(rows: usize, seed: u64) -> [(&'static str, Tensor); 2] {
    let mut random = Random::new(seed);
    [("x", random.floats(&[rows, 6])), ("y", random.integers(DType::I64, &[rows], 0, 5))]
}

fn views<'a>(batch: &'a [(&'static str, Tensor)]) -> Vec<(&'a str, TensorView<'a>)> {
    batch.iter().map(|(name, tensor)| (*name, tensor.view())).collect()
}

pub(super) fn options(optimizer: impl Into<Optimizer>) -> StepOptions {
    StepOptions::new("loss", PARAMETERS.map(String::from).to_vec(), optimizer)
}

fn optimizers() -> Vec<(&'static str, Optimizer, Option<f64>)> {
    let sgd = Sgd { learning_rate: 0.1, ..Sgd::default() };
    let momentum = Sgd { momentum: 0.9, dampening: 0.1, weight_decay: 0.01, ..sgd.clone() };
    let nesterov = Sgd { momentum: 0.9, nesterov: true, ..sgd.clone() };
    let rms_prop = RmsProp { learning_rate: 0.01, ..RmsProp::default() };
    vec![
        ("sgd", sgd.into(), None),
        ("momentum", momentum.into(), None),
        ("nesterov", nesterov.into(), Some(0.1)),
        ("adam", Adam { learning_rate: 0.01, weight_decay: 0.1, ..Adam::default() }.into(), None),
        ("adamw", Adam { learning_rate: 0.01, ..Adam::decoupled() }.into(), Some(0.2)),
        ("rmsprop", rms_prop.clone().into(), None),
        ("rmsprop momentum", RmsProp { momentum: 0.5, weight_decay: 0.01, ..rms_prop.clone() }.into(), None),
        ("rmsprop centered", RmsProp { centered: true, ..rms_prop.clone() }.into(), None),
        ("rmsprop all", RmsProp { centered: true, momentum: 0.9, ..rms_prop }.into(), None),
    ]
}

#[test]
fn training_steps_on_the_device_equal_the_references() {
    let graph = network();
    for (name, optimizer, clip_norm) in optimizers() {
        let options = StepOptions { clip_norm, ..options(optimizer) };
        let mut steps = [Step::new(gpu(), &graph, options.clone()).expect("a step"), Step::cpu(&graph, options).expect("a step")];
        for number in 0..6 {
            let batch = batch(4, number);
            let losses = steps.each_mut().map(|step| {
                step.step_blocking(&views(&batch)).unwrap_or_else(|e| panic!("{name}: {e}"));
                step.loss_blocking().expect("a loss")
            });
            assert!((losses[0] - losses[1]).abs() < 1e-5, "{name}, step {number}: {losses:?}");
        }
        let [device, host] = steps.each_ref().map(|step| step.checkpoint_blocking().expect("a checkpoint"));
        for ((known, found), (_, expected)) in device.tensors.iter().zip(&host.tensors) {
            for (a, b) in found.to_f64().iter().zip(expected.to_f64()) {
                assert!((a - b).abs() <= 2e-5 + 1e-4 * b.abs(), "{name}: {known} is {a}, expected {b}");
            }
        }
    }
}

#[test]
fn training_steps_are_one_submission_and_make_nothing_after_the_second() {
    let mut step = Step::new(gpu(), &network(), options(Adam::default())).expect("a step");
    let batch = batch(4, 1);
    for _ in 0..2 {
        step.step_blocking(&views(&batch)).expect("a step");
    }
    let before = step.counters();
    for _ in 0..3 {
        step.step_blocking(&views(&batch)).expect("a step");
    }
    assert_eq!(step.counters(), before, "a warm step makes nothing");
    let types: Vec<_> = batch.iter().map(|(name, tensor)| (*name, tensor.ty().clone())).collect();
    let explanation = step.explain(&types).expect("an explanation");
    assert!(explanation.host_nodes.is_empty(), "{explanation}");
    let arena = explanation.states.iter().find(|state| state.name == "train.arena.0").expect("an arena");
    assert!(arena.reason.contains("last that reads"), "{explanation}");
    let moved =
        |step: &&gristmill::ExplainedStep| step.operator == "Part" || (step.operator == "Join" && step.kernel != "join_gaps");
    let moved = explanation.steps.iter().filter(moved).count();
    assert_eq!(moved, 0, "parameters are read where they lie, and their gradients made where they are wanted: {explanation}");
}

#[test]
fn training_on_several_batches_equals_training_on_all_of_them_at_once() {
    let graph = network();
    for device in [true, false] {
        let make = |accumulate| {
            let options = StepOptions { accumulate, clip_norm: Some(0.3), ..options(Adam::default()) };
            if device { Step::new(gpu(), &graph, options) } else { Step::cpu(&graph, options) }.expect("a step")
        };
        let (mut parts, mut whole) = (make(3), make(1));
        for number in 0..4 {
            let all = batch(6, number);
            for part in 0..3 {
                let rows = |tensor: &Tensor| {
                    let width = tensor.elements() / 6;
                    let shape: Vec<usize> = [2].into_iter().chain(tensor.shape()[1..].iter().copied()).collect();
                    let numbers = &tensor.to_f64()[part * 2 * width..(part + 1) * 2 * width];
                    Tensor::from_f64(gristmill::TensorType::new(tensor.dtype(), shape), numbers).expect("rows")
                };
                let some = all.each_ref().map(|(name, tensor)| (*name, rows(tensor)));
                parts.step_blocking(&views(&some)).expect("a step");
            }
            whole.step_blocking(&views(&all)).expect("a step");
        }
        assert_eq!((parts.steps(), whole.steps()), (4, 4));
        for name in PARAMETERS {
            let (a, b) = (parts.get_blocking(name).expect("it is there"), whole.get_blocking(name).expect("it is there"));
            let apart = a.to_f64().iter().zip(b.to_f64()).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(apart < 2e-5, "{name}: {apart}");
        }
    }
}

#[test]
fn training_goes_on_from_a_checkpoint_as_if_it_had_never_stopped() {
    let graph = network();
    let make = || Step::new(gpu(), &graph, options(Adam::default())).expect("a step");
    let (mut first, mut second) = (make(), make());
    (0..3).for_each(|number| drop(first.step_blocking(&views(&batch(4, number))).expect("a step")));
    let checkpoint = first.checkpoint_blocking().expect("a checkpoint");
    assert!(checkpoint.get("optimizer.fc1.weight.exp_avg_sq").is_some());
    second.restore(&checkpoint).expect("it fits");
    for step in [&mut first, &mut second] {
        (3..6).for_each(|number| drop(step.step_blocking(&views(&batch(4, number))).expect("a step")));
    }
    assert_eq!(first.checkpoint_blocking().expect("one"), second.checkpoint_blocking().expect("one"));
    let weight = Tensor::new([9, 5], &[0.5f32; 45]).expect("a weight");
    second.set_blocking("fc2.weight", &weight.view()).expect("it fits");
    assert_eq!(second.get_blocking("fc2.weight").expect("it is there"), weight);
    let x = batch(4, 9);
    let logits = second.evaluate_blocking(&["logits"], &[("x", x[0].1.view())]).expect("logits");
    let rows = logits["logits"].to_f64();
    let bias = second.get_blocking("fc2.bias").expect("it is there").to_f64();
    assert!((rows[1] - rows[0] - (bias[1] - bias[0])).abs() < 1e-5, "all columns have one weight");
}

#[test]
fn training_computes_anew_what_checkpoints_leave_out() {
    let mut random = Random::new(5);
    let mut b = Builder::new("deep");
    let mut x = b.input("x", DType::F32, &[Dim::Known(256), Dim::Known(32)]);
    let y = b.input("y", DType::F32, &[Dim::Known(256), Dim::Known(32)]);
    for layer in 0..12 {
        // So small that what goes through all layers stays of its size.
        let weight: Vec<f32> = random.floats(&[32, 32]).to_f64().into_iter().map(|number| number as f32 * 0.3).collect();
        let weight = b.constant(&format!("{layer}.weight"), Tensor::new([32, 32], &weight).expect("as many"));
        let product = b.node(&format!("{layer}.product"), operators::matmul(), &[Some(x), Some(weight)]);
        x = b.node(&format!("{layer}.gelu"), operators::unary("Gelu").expect("a function"), &[Some(product)]);
    }
    let loss = train::mean_squared_error(&mut b, "loss", [x, y], train::LossReduction::Mean).expect("a loss");
    b.output("loss", loss).expect("the name is free");
    let graph = b.finish().expect("a valid graph");
    let inputs = [("x", random.floats(&[256, 32])), ("y", random.floats(&[256, 32]))];
    let mut found = Vec::new();
    for checkpoints in [vec![], vec!["3.gelu".to_string(), "7.gelu".into()]] {
        let parameters = train::parameters(&graph, "loss");
        let options =
            StepOptions { checkpoints, ..StepOptions::new("loss", parameters, Sgd { learning_rate: 0.1, ..Sgd::default() }) };
        let mut step = Step::new(gpu(), &graph, options).expect("a step");
        for _ in 0..3 {
            step.step_blocking(&views(&inputs)).expect("a step");
        }
        let explanation = step.explain_run(&views(&inputs)).expect("a plan");
        found.push((step.checkpoint_blocking().expect("a checkpoint"), explanation));
    }
    let [(whole, kept), (again, less)] = &found[..] else { panic!("two runs") };
    for ((name, a), (_, b)) in whole.tensors.iter().zip(&again.tensors) {
        let apart = a.to_f64().iter().zip(b.to_f64()).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(apart < 1e-6, "{name}: {apart}");
    }
    assert_eq!(kept.recomputed(), 0);
    assert!(less.recomputed() >= 7, "{less}");
    assert!(less.peak_bytes * 10 < kept.peak_bytes * 8, "{} bytes instead of {}", less.peak_bytes, kept.peak_bytes);
}

/// Words, a recurrent layer over them, and a class for each.
fn sequences() -> Graph {
    let mut random = Random::new(11);
    let mut b = Builder::new("sequences");
    let words = b.input("words", DType::I64, &[Dim::Known(5), Dim::Known(3)]);
    let classes = b.input("classes", DType::I64, &[Dim::Known(15)]);
    let mut weight = |b: &mut Builder, name: &str, shape: &[usize]| b.constant(name, random.floats(shape));
    let table = weight(&mut b, "table", &[7, 6]);
    let x = b.node("x", operators::gather(0), &[Some(table), Some(words)]);
    let gates = [("w", [1, 24, 6]), ("r", [1, 24, 8])].map(|(name, shape)| Some(weight(&mut b, name, &shape)));
    let gru = operators::recurrent(operators::Recurrent::new(operators::Cell::Gru { linear_before_reset: true }));
    let states = b.node("states", gru, &[Some(x), gates[0], gates[1]]);
    let rows = b.constant("rows", Tensor::vector(&[15i64, 8]));
    let states = b.node("rows", operators::reshape(false), &[Some(states), Some(rows)]);
    let out = weight(&mut b, "out", &[8, 4]);
    let logits = b.node("logits", operators::matmul(), &[Some(states), Some(out)]);
    let loss = train::cross_entropy(&mut b, "loss", logits, classes, &ClassLoss::default()).expect("a loss");
    b.output("loss", loss).expect("the name is free");
    b.finish().expect("a valid graph")
}

const BYTES: &str = "GRISTMILL_TRAINING_BYTES";

#[test]
#[ignore = "the other process of training_ends_in_the_same_bytes_in_two_processes"]
fn training_of_fifty_steps() {
    let graph = sequences();
    let parameters = train::parameters(&graph, "loss");
    let options = StepOptions { clip_norm: Some(1.0), ..StepOptions::new("loss", parameters, Adam::decoupled()) };
    let mut step = Step::new(gpu(), &graph, options).expect("a step");
    for number in 0..50 {
        let mut random = Random::new(number % 5);
        let (words, classes) = (random.integers(DType::I64, &[5, 3], 0, 7), random.integers(DType::I64, &[15], 0, 4));
        step.step_blocking(&[("words", words.view()), ("classes", classes.view())]).expect("a step");
    }
    let tensors = step.checkpoint_blocking().expect("a checkpoint").tensors;
    let bytes: Vec<u8> = tensors.iter().flat_map(|(_, tensor)| tensor.bytes().to_vec()).collect();
    if let Ok(file) = std::env::var(BYTES) {
        std::fs::write(file, bytes).expect("it can be written");
    }
}

#[test]
fn training_ends_in_the_same_bytes_in_two_processes() {
    let program = std::env::current_exe().expect("this program");
    let run = |number: usize| {
        let file = std::env::temp_dir().join(format!("gristmill-training-{}-{number}", std::process::id()));
        let arguments = ["--exact", "--ignored", "training::step::training_of_fifty_steps"];
        let status = std::process::Command::new(&program).args(arguments).env(BYTES, &file).output().expect("it starts");
        assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stdout));
        let bytes = std::fs::read(&file).expect("it was written");
        std::fs::remove_file(&file).expect("it is there");
        bytes
    };
    let (first, second) = (run(1), run(2));
    assert!(first.len() > 1000 && first == second, "two processes end in different parameters");
}

#[test]
fn training_refuses_labels_that_name_no_class() {
    let graph = network();
    for device in [true, false] {
        let options = options(Adam::default());
        let mut step = if device { Step::new(gpu(), &graph, options) } else { Step::cpu(&graph, options) }.expect("a step");
        step.step_blocking(&views(&batch(4, 1))).expect("a step");
        let before = step.checkpoint_blocking().expect("a checkpoint");
        let mut wrong = batch(4, 2);
        wrong[1].1 = Tensor::vector(&[0i64, 5, 1, 2]);
        let error = step.step_blocking(&views(&wrong)).expect_err("there are five classes");
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert!(error.to_string().contains("loss") && error.to_string().contains('5'), "{error}");
        assert_eq!(step.checkpoint_blocking().expect("a checkpoint"), before);
        step.step_blocking(&views(&batch(4, 3))).expect("a step");
        assert_eq!(step.steps(), 2);
    }
}

/// A normalization over the batch and dropped elements in front of a layer.
pub(super) fn two_modes() -> Graph {
    let mut random = Random::new(17);
    let mut b = Builder::new("two modes");
    let x = b.input("x", DType::F32, &[Dim::Named("n".into()), Dim::Known(6)]);
    let y = b.input("y", DType::F32, &[Dim::Named("n".into()), Dim::Known(2)]);
    let key = b.input("dropout_key", DType::I32, &[Dim::Known(2)]);
    let constant = |b: &mut Builder, name: &str, numbers: [f32; 6]| b.constant(name, Tensor::vector(&numbers));
    let (scale, bias) = (constant(&mut b, "scale", [1.5; 6]), constant(&mut b, "bias", [0.1; 6]));
    let (mean, variance) = (constant(&mut b, "mean", [0.2; 6]), constant(&mut b, "variance", [2.0; 6]));
    let norm = operators::batch_normalization(1e-5);
    let x = b.node("norm", norm, &[Some(x), Some(scale), Some(bias), Some(mean), Some(variance)]);
    let x = b.node("dropped", operators::dropout(0.5, 3).expect("a ratio"), &[Some(x), Some(key)]);
    let weight = b.constant("weight", random.floats(&[6, 2]));
    let x = b.node("found", operators::matmul(), &[Some(x), Some(weight)]);
    b.output("found", x).expect("the name is free");
    let loss = train::mean_squared_error(&mut b, "loss", [x, y], train::LossReduction::Mean).expect("a loss");
    b.output("loss", loss).expect("the name is free");
    train::training(&b.finish().expect("a valid graph")).expect("it can learn")
}

#[test]
fn training_and_evaluation_differ_and_share_what_was_learned() {
    let graph = two_modes();
    let mut random = Random::new(23);
    let inputs = [("x", random.floats(&[8, 6])), ("y", random.floats(&[8, 2]))];
    let parameters = ["scale", "bias", "weight"].map(String::from).to_vec();
    let make = |device: bool, seed| {
        let options =
            StepOptions { seed, ..StepOptions::new("loss", parameters.clone(), Sgd { learning_rate: 0.1, ..Sgd::default() }) };
        if device { Step::new(gpu(), &graph, options) } else { Step::cpu(&graph, options) }.expect("a step")
    };
    let mut found = Vec::new();
    for (device, seed) in [(true, 1), (false, 1), (true, 2)] {
        let mut step = make(device, seed);
        (0..3).for_each(|_| drop(step.step_blocking(&views(&inputs)).expect("a step")));
        let before = step.checkpoint_blocking().expect("a checkpoint");
        let evaluated = step.evaluate_blocking(&["found"], &views(&inputs[..1])).expect("it is used")["found"].to_f64();
        assert_eq!(step.checkpoint_blocking().expect("a checkpoint"), before, "evaluation changes nothing");
        let of = |name: &str| before.get(name).expect("it is held").to_f64();
        let (x, rows) = (inputs[0].1.to_f64(), 8);
        for (row, evaluated) in evaluated.chunks(2).enumerate() {
            for (column, evaluated) in evaluated.iter().enumerate() {
                let normal = |k: usize| {
                    (x[row * 6 + k] - of("mean")[k]) / (of("variance")[k] + 1e-5).sqrt() * of("scale")[k] + of("bias")[k]
                };
                let expected: f64 = (0..6).map(|k| normal(k) * of("weight")[k * 2 + column]).sum();
                assert!((evaluated - expected).abs() < 1e-4, "{row} of {rows}: {evaluated} instead of {expected}");
            }
        }
        assert!((of("mean")[0] - 0.2).abs() > 1e-3, "running statistics follow the batches");
        found.push(before);
    }
    let apart = |a: usize, b: usize| {
        let pairs = found[a].tensors.iter().zip(&found[b].tensors);
        pairs.flat_map(|((_, a), (_, b))| a.to_f64().into_iter().zip(b.to_f64())).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    };
    assert!(apart(0, 1) < 1e-4, "the references drop the same elements: {}", apart(0, 1));
    assert!(apart(0, 2) > 1e-3, "another seed drops others");
}

#[test]
fn training_names_what_is_wrong() {
    let graph = network();
    let fails = |options: StepOptions, what: &str| {
        let error = Step::cpu(&graph, options).expect_err(what);
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        assert!(error.to_string().contains(what), "{error}: {what}");
    };
    let with = |parameters: &[&str]| StepOptions::new("loss", parameters.iter().map(ToString::to_string).collect(), Sgd::default());
    fails(with(&["fc3.weight"]), "fc3.weight");
    fails(with(&["logits"]), "logits");
    fails(with(&[]), "no parameter");
    fails(with(&["fc1.weight", "fc1.weight"]), "fc1.weight");
    fails(StepOptions { loss: "lost".into(), ..with(&PARAMETERS) }, "lost");
    fails(StepOptions { loss: "fc1".into(), ..with(&PARAMETERS) }, "fc2");
    fails(options(Sgd { learning_rate: f64::NAN, ..Sgd::default() }), "learning rate is NaN");
    fails(options(Adam { betas: (0.9, 1.0), ..Adam::default() }), "second beta is 1");
    fails(StepOptions { clip_norm: Some(0.0), ..with(&PARAMETERS) }, "clip");
    fails(StepOptions { accumulate: 0, ..with(&PARAMETERS) }, "one batch");
    let twice = ParameterGroup { parameters: vec!["fc1.bias".into()], optimizer: Sgd::default().into() };
    let mut both = with(&PARAMETERS);
    both.groups.push(twice);
    fails(both, "fc1.bias");
    let vector = StepOptions { loss: "logits".into(), ..with(&PARAMETERS) };
    let mut step = Step::cpu(&graph, vector).expect("types are not known yet");
    let error = step.step_blocking(&views(&batch(2, 1))[..1]).expect_err("no scalar");
    assert!(error.to_string().contains("no scalar") && error.to_string().contains("gradient of logits"), "{error}");
    let mut step = Step::cpu(&graph, with(&PARAMETERS)).expect("a step");
    let none = [("x", Tensor::new([0, 6], &[] as &[f32]).expect("none")), ("y", Tensor::new([0], &[] as &[i64]).expect("none"))];
    let error = step.step_blocking(&views(&none)).expect_err("no batch");
    assert!(error.to_string().contains("`x`"), "{error}");
}
