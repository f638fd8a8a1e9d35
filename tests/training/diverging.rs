//! Batches whose loss or gradients are not finite: that nothing is learned from them, that a run goes back to before them, and that it names what went
//! wrong.

use super::fitting::{self, data};
use super::step::{network, two_modes};
use crate::support::gpu;
use gristmill::graph::{Builder, Dim, Graph};
use gristmill::train::{
    self, Adam, Examples, FitOptions, Guard, Loader, LoaderOptions, LossReduction, Pass, Sgd, Step, StepOptions, Trainer,
};
use gristmill::{DType, Error, ErrorKind, Tensor, TensorView, operators};

/// The example that holds something that is no number.
const WRONG: usize = 7;

/// Data for `two_modes` with an example that holds something that is no number.
fn wrong_data() -> Loader {
    let mut random = crate::cases::Random::new(31);
    let (x, y) = (random.floats(&[11, 6]), random.floats(&[11, 2]));
    let mut numbers: Vec<f32> = x.as_slice::<f32>().expect("floats").to_vec();
    numbers[WRONG * 6 + 2] = f32::NAN;
    let x = Tensor::new([11, 6], &numbers).expect("as many");
    let options = data().options().clone();
    Loader::new(Examples::new(vec![("x".into(), x), ("y".into(), y)]).expect("examples"), options).expect("a loader")
}

fn step(device: bool, graph: &Graph, options: StepOptions) -> Step {
    if device { Step::new(gpu(), graph, options) } else { Step::cpu(graph, options) }.expect("a step")
}

fn names() -> Vec<String> {
    ["x", "y"].map(String::from).to_vec()
}

#[test]
fn training_goes_back_to_before_a_batch_that_is_no_number() {
    let parameters = ["scale", "bias", "weight"].map(String::from).to_vec();
    for (device, accumulate, clip_norm) in [(true, 1, None), (true, 3, Some(1.0)), (false, 3, None), (false, 1, Some(1.0))] {
        let adam = Adam { learning_rate: 0.05, ..Adam::decoupled() };
        let options = StepOptions { seed: 3, accumulate, clip_norm, ..StepOptions::new("loss", parameters.clone(), adam) };
        let make = || step(device, &two_modes(), options.clone());
        // Step by step up to the batch.
        let (mut expected, mut loader) = (make(), wrong_data());
        let mut batch = loader.next_batch().expect("a batch");
        while !batch.examples.contains(&WRONG) {
            expected.step_blocking(&batch.views(&names())).expect("a step");
            batch = loader.next_batch().expect("a batch");
        }
        let (mut trainer, mut loader) = (Trainer::new(make()), wrong_data());
        let mut run = FitOptions { log_every: 5, ..FitOptions::new(30) };
        let error = trainer.fit_blocking(&mut loader, &mut run, &mut []).expect_err("it diverges");
        let text = error.to_string();
        assert_eq!((error.kind(), error.node()), (ErrorKind::Diverged, None), "{text}");
        let step = format!("step {} ", expected.steps() + 1);
        let place = format!("batch {} of epoch {}", batch.place.batch, batch.place.epoch);
        for word in [step.as_str(), &place, "`x`, which is given", "1 of 18 are no number", "of examples 7;"] {
            assert!(text.contains(word), "{word}: {text}");
        }
        assert_eq!((loader.place(), trainer.step().steps()), (batch.place, expected.steps()));
        let held = |step: &Step| step.checkpoint_blocking().expect("a checkpoint");
        assert_eq!(held(trainer.step()), held(&expected));
        // Both learn on from where they are: sums of gradients, too, are as they were.
        let mut other = data();
        for _ in 0..4 {
            let batch = other.next_batch().expect("a batch");
            for step in [trainer.step_mut(), &mut expected] {
                step.step_blocking(&batch.views(&names())).expect("a step");
            }
        }
        assert_eq!(held(trainer.step()), held(&expected));
        assert!(trainer.step().held_back_blocking().expect("a count") == 0 && trainer.step().loss_blocking().is_ok());
    }
}

#[test]
fn training_steps_hold_back_what_is_no_number_until_they_go_back() {
    for device in [true, false] {
        let parameters = ["scale", "bias", "weight"].map(String::from).to_vec();
        let mut step = step(device, &two_modes(), StepOptions::new("loss", parameters, Adam::default()));
        let mut batches = [data(), wrong_data(), data()].map(|mut loader| {
            std::iter::from_fn(|| loader.next_batch().ok()).find(|batch| batch.examples.contains(&WRONG)).expect("a batch")
        });
        batches.iter_mut().for_each(|batch| batch.inputs.truncate(2));
        let learn = |step: &mut Step, number: usize| step.step_blocking(&batches[number].views(&names())).map(drop);
        learn(&mut step, 0).expect("a step");
        let before = step.checkpoint_blocking().expect("a checkpoint");
        (1..3).for_each(|number| learn(&mut step, number).expect("a step that does nothing"));
        assert_eq!((step.held_back_blocking().expect("a count"), step.steps()), (2, 3));
        let kinds =
            [step.loss_blocking().map(drop), step.checkpoint_blocking().map(drop)].map(|found| found.expect_err("none").kind());
        assert_eq!(kinds, [ErrorKind::Diverged; 2]);
        let x = batches[0].get("x").expect("an input").view();
        assert!(step.evaluate_blocking(&["found"], &[("x", x)]).expect("it is used")["found"].to_f64()[0].is_finite());
        assert_eq!((step.go_back_blocking().expect("a count"), step.steps()), (2, 1));
        assert_eq!(step.checkpoint_blocking().expect("a checkpoint"), before);
        assert_eq!(step.go_back_blocking().expect("a count"), 0);
        let found = step.find_non_finite_blocking(&batches[1].views(&names())).expect("a look").expect("something");
        assert_eq!((found.pass, found.value.as_str(), found.node.as_deref()), (Pass::Given, "x", None));
        assert_eq!(step.find_non_finite_blocking(&batches[0].views(&names())).expect("a look"), None);
        assert_eq!(step.checkpoint_blocking().expect("a checkpoint"), before, "to look changes nothing");
        learn(&mut step, 2).expect("a step");
        assert_eq!(step.held_back_blocking().expect("a count"), 0);
    }
}

/// The mean square of `function(x * w) - y`.
fn one_function(function: &str) -> Graph {
    let mut b = Builder::new("one function");
    let x = b.input("x", DType::F32, &[Dim::Named("n".into())]);
    let y = b.input("y", DType::F32, &[Dim::Named("n".into())]);
    let weight = b.constant("w", Tensor::new([1], &[1.0f32]).expect("one"));
    let product = b.node("product", operators::binary("Mul").expect("a function"), &[Some(x), Some(weight)]);
    let found = b.node("found", operators::unary(function).expect("a function"), &[Some(product)]);
    let loss = train::mean_squared_error(&mut b, "loss", [found, y], LossReduction::Mean).expect("a loss");
    b.output("loss", loss).expect("the name is free");
    b.finish().expect("a valid graph")
}

fn examples(x: &[f32], y: f32) -> Loader {
    let y = Tensor::vector(&vec![y; x.len()]);
    let examples = Examples::new(vec![("x".into(), Tensor::vector(x)), ("y".into(), y)]).expect("examples");
    Loader::new(examples, LoaderOptions::new(2)).expect("a loader")
}

fn one_options(rate: f64) -> StepOptions {
    StepOptions::new("loss", vec!["w".into()], Sgd { learning_rate: rate, ..Sgd::default() })
}

/// What a run of eight steps ends with, and the weight that it leaves.
fn run(step: Step, mut data: Loader) -> (Result<u64, Error>, f32, Trainer) {
    let mut trainer = Trainer::new(step);
    let fit = trainer.fit_blocking(&mut data, &mut FitOptions { log_every: 8, ..FitOptions::new(8) }, &mut []);
    let weight = trainer.step().get_blocking("w").expect("a weight").as_slice::<f32>().expect("floats")[0];
    (fit.map(|fit| fit.steps), weight, trainer)
}

#[test]
fn training_names_the_first_node_that_is_not_finite() {
    for device in [true, false] {
        let runs: [(&str, &[f32], f32, [&str; 4]); 4] = [
            ("Log", &[1.0, 2.0, 0.0, 1.0], 0.0, ["found", "forward pass", "1 of 2 are infinite", "of examples 2;"]),
            ("Sqrt", &[1.0, 2.0, 0.0, 1.0], 0.0, ["found.gradient", "backward pass", "of 2 are", "step 2 "]),
            ("Exp", &[1.0, 2.0, 100.0, 1.0], 0.0, ["found", "forward pass", "1 of 2 are infinite", "`product` from 1e0 to 1e2"]),
            ("Identity", &[1.0, 2.0, 1e13, 1.0], 0.0, ["gradient", "backward pass", "whose squares are infinite", "step 2 "]),
        ];
        for (function, x, y, words) in runs {
            // So small a rate leaves the weight what it is.
            let (found, weight, _) = run(step(device, &one_function(function), one_options(1e-12)), examples(x, y));
            let error = found.expect_err(function);
            assert_eq!((error.kind(), weight), (ErrorKind::Diverged, 1.0), "{error}");
            assert!(error.node().is_some(), "{error}");
            words.into_iter().for_each(|word| assert!(error.to_string().contains(word), "{word}: {error}"));
        }
    }
}

#[test]
fn training_that_explodes_stops_with_numbers_that_are_finite() {
    for device in [true, false] {
        let fast = Sgd { learning_rate: 1e30, ..Sgd::default() };
        let mut trainer = Trainer::new(step(device, &two_modes(), StepOptions::new("loss", vec!["weight".into()], fast)));
        let error = trainer.fit_blocking(&mut data(), &mut FitOptions::new(20), &mut []).expect_err("it diverges");
        assert!(error.kind() == ErrorKind::Diverged && error.to_string().contains("forward pass"), "{error}");
        let held = trainer.step().checkpoint_blocking().expect("a checkpoint");
        assert!(held.tensors.iter().all(|(_, tensor)| tensor.to_f64().iter().all(|number| number.is_finite())), "{held:?}");
        assert!(held.steps > 0);
        // Infinite loss: the parameters of a step are what is wrong here.
        let wrong = Tensor::new([6, 2], &[f32::INFINITY; 12]).expect("a weight");
        trainer.step_mut().set_blocking("weight", &wrong.view()).expect("it fits");
        let batch = data().next_batch().expect("a batch");
        let found = trainer.step().find_non_finite_blocking(&batch.views(&names())).expect("a look").expect("something");
        assert!(found.range.undefined + found.range.infinite > 0, "{found}");
    }
}

#[test]
fn training_skips_updates_of_gradients_without_a_norm() {
    for device in [true, false] {
        let options = StepOptions { clip_norm: Some(1.0), ..one_options(0.1) };
        let (found, weight, trainer) = run(step(device, &one_function("Sqrt"), options), examples(&[1.0, 2.0, 0.0, 1.0], 0.0));
        assert_eq!(found.expect("it goes on"), 8);
        assert_eq!(trainer.step().skipped_blocking().expect("a count"), 4, "each second batch");
        assert!(weight < 1.0 && trainer.step().gradient_norm_blocking().expect("a norm").is_some_and(|norm| !norm.is_finite()));
        // A loss that is not finite is another matter.
        let options = StepOptions { clip_norm: Some(1.0), ..one_options(1e-12) };
        let (found, weight, trainer) = run(step(device, &one_function("Log"), options), examples(&[1.0, 2.0, 0.0, 1.0], 0.0));
        assert!(found.is_err_and(|error| error.kind() == ErrorKind::Diverged) && weight == 1.0);
        assert_eq!(trainer.step().skipped_blocking().expect("a count"), 0);
    }
}

#[test]
fn training_is_guarded_as_it_is_told() {
    for device in [true, false] {
        let (root, x) = (one_function("Sqrt"), [1.0, 2.0, 0.0, 1.0]);
        let options = |guard| StepOptions { guard, ..one_options(0.1) };
        let (found, weight, _) = run(step(device, &root, options(Guard::Loss)), examples(&x, 0.0));
        assert!(found.is_err() && !weight.is_finite(), "the gradients are not looked at, but a loss later");
        let (found, weight, _) = run(step(device, &root, options(Guard::Nothing)), examples(&x, 0.0));
        let error = found.expect_err("the last loss is none");
        assert!(!weight.is_finite() && error.to_string().contains("the loss of step 8 is NaN"), "{error}");
    }
}

/// A network, its parameters and a batch.
type Learning<'a> = (Graph, Vec<String>, [(&'a str, TensorView<'a>); 2]);

#[test]
fn training_is_guarded_by_a_dispatch_or_two() {
    let (x, y) = (Tensor::new([4, 6], &[0.5f32; 24]).expect("a batch"), Tensor::vector(&[0i64, 1, 2, 3]));
    let (rows, targets) =
        (Tensor::new([4, 6], &[0.5f32; 24]).expect("a batch"), Tensor::new([4, 2], &[0.5f32; 8]).expect("a batch"));
    let modes = ["scale", "bias", "weight"].map(String::from).to_vec();
    let plain = super::step::options(Adam::default()).groups[0].parameters.clone();
    let cases: [Learning<'_>; 2] =
        [(network(), plain, [("x", x.view()), ("y", y.view())]), (two_modes(), modes, [("x", rows.view()), ("y", targets.view())])];
    for (graph, parameters, batch) in cases {
        for (clip_norm, accumulate) in [(None, 1), (Some(1.0), 1), (None, 2)] {
            let dispatches = |guard| {
                let options =
                    StepOptions { guard, clip_norm, accumulate, ..StepOptions::new("loss", parameters.clone(), Adam::default()) };
                let explanation = step(true, &graph, options).explain_run(&batch).expect("a plan");
                let arena = explanation.states.iter().find(|state| state.name == "train.arena.0").expect("an arena");
                assert!(arena.reason.contains("last that reads"), "{explanation}");
                explanation.steps.len()
            };
            let (guarded, free) = (dispatches(Guard::Gradients), dispatches(Guard::Nothing));
            assert!(guarded <= free + 2, "{guarded} dispatches in place of {free}");
        }
    }
}

#[test]
fn training_tells_where_it_diverged_of_a_run_that_went_on() {
    let place = super::saving::Folder::new();
    let mut options = FitOptions { log_every: 1, save_every: 1, ..fitting::fit_options(2, &place.0) };
    fitting::trainer(false, 1, 1).fit_blocking(&mut data(), &mut options, &mut []).expect("a run");
    // A run that goes on has its own batches to look back at.
    let mut trainer = fitting::trainer(false, 1, 1);
    let wrong = Tensor::new([6, 2], &[f32::NAN; 12]).expect("a weight");
    trainer.step_mut().set_blocking("weight", &wrong.view()).expect("it fits");
    let mut options = FitOptions { log_every: 4, ..FitOptions::new(4) };
    let error = trainer.fit_blocking(&mut data(), &mut options, &mut []).expect_err("nothing can be learned");
    assert!(error.to_string().contains("`weight`, which is given") && error.to_string().contains("step 1 "), "{error}");
    let mut step = fitting::trainer(false, 1, 1).into_step();
    step.set_blocking("weight", &wrong.view()).expect("it fits");
    let batch = data().next_batch().expect("a batch");
    step.step_blocking(&batch.views(&names())).expect("a step");
    let error = Trainer::new(step).fit_blocking(&mut data(), &mut options, &mut []).expect_err("it was before");
    assert!(error.to_string().contains("before this run"), "{error}");
}
