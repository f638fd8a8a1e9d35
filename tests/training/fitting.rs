//! Runs of training as a whole: that one that was broken off ends in the bytes of one that was not; what is logged, evaluated and saved on the way;
//! what ends a run.

use super::saving::Folder;
use super::step::two_modes;
use crate::cases::Random;
use crate::support::gpu;
use gristmill::graph::{Builder, Dim, Graph};
use gristmill::train::{
    self, Accuracy, Adam, Batch, Callback, CheckpointFolder, ClassLoss, EarlyStop, Ended, Evaluation, Exact, Examples, FitOptions,
    JsonLines, Loader, LoaderOptions, MeanOf, Metric, Place, Schedule, Sgd, Step, StepOptions, TokenErrorRate, Trainer,
    edit_distance,
};
use gristmill::{DType, Error, ErrorKind, Model, Options, Result, Session, Tensor, operators};
use serde_json::Value as Json;
use std::fs;
use std::path::Path;

/// Data for `two_modes`: 11 examples in batches of 3, of which the last has 2.
pub fn data() -> Loader {
    let mut random = Random::new(31);
    let inputs = vec![("x".into(), random.floats(&[11, 6])), ("y".into(), random.floats(&[11, 2]))];
    let options = LoaderOptions { shuffle: true, seed: 5, ..LoaderOptions::new(3) };
    Loader::new(Examples::new(inputs).expect("examples"), options).expect("a loader")
}

pub fn trainer(device: bool, seed: u32, accumulate: u32) -> Trainer {
    let parameters = ["scale", "bias", "weight"].map(String::from).to_vec();
    let adam = Adam { learning_rate: 0.05, ..Adam::decoupled() };
    let options = StepOptions { seed, accumulate, clip_norm: Some(1.0), ..StepOptions::new("loss", parameters, adam) };
    let graph = two_modes();
    Trainer::new(if device { Step::new(gpu(), &graph, options) } else { Step::cpu(&graph, options) }.expect("a step"))
}

pub fn fit_options(steps: u64, folder: &Path) -> FitOptions {
    let evaluation = Evaluation { data: data(), metrics: vec![Box::new(MeanOf::new("loss"))] };
    FitOptions {
        schedule: Schedule::Cosine { steps: 16, least: 1e-3 }.after_warm_up(4, 0.1),
        evaluate_every: 4,
        evaluation: Some(evaluation),
        early_stop: Some(EarlyStop { patience: 50, ..EarlyStop::new("loss", 1) }),
        folder: Some(CheckpointFolder::new(folder, 2)),
        resume: true,
        ..FitOptions::new(steps)
    }
}

#[test]
fn training_broken_off_within_an_epoch_ends_in_the_same_bytes() {
    for (device, accumulate) in [(false, 1), (false, 2), (true, 1)] {
        let ends = |breaks: &[u64]| {
            let place = Folder::new();
            let mut resumed = Vec::new();
            for steps in breaks {
                let fit = trainer(device, 1, accumulate).fit_blocking(&mut data(), &mut fit_options(*steps, &place.0), &mut []);
                resumed.push(fit.expect("a run").resumed);
            }
            let (path, saved) = CheckpointFolder::new(&place.0, 2).latest().expect("it is read").expect("it is there");
            (fs::read(path).expect("it is read"), saved, resumed)
        };
        let (whole, saved, _) = ends(&[20]);
        let (broken, _, resumed) = ends(&[9, 14, 20]);
        assert_eq!(resumed, [None, Some(9), Some(14)]);
        assert_eq!(saved.checkpoint.steps, 20);
        assert_eq!(saved.text("epoch"), Some(if accumulate == 1 { "5" } else { "10" }));
        assert!(saved.text("best").is_some() && saved.checkpoint.get("mean").is_some());
        assert!(whole == broken, "the bytes differ on the device: {device}, sums of {accumulate}");
    }
}

#[test]
fn training_ends_with_an_evaluation() {
    for (steps, evaluated) in [(6, vec![4, 6]), (8, vec![4, 8])] {
        let place = Folder::new();
        let mut log = JsonLines::new(Vec::new());
        let fit =
            trainer(false, 1, 1).fit_blocking(&mut data(), &mut fit_options(steps, &place.0), &mut [&mut log]).expect("a run");
        assert_eq!((fit.steps, fit.metrics.len()), (steps, 1));
        let text = String::from_utf8(log.into_inner()).expect("text");
        let lines = text.lines().map(|line| serde_json::from_str::<Json>(line).expect("JSON"));
        let found: Vec<u64> = lines.filter(|line| line["event"] == "evaluation").filter_map(|line| line["step"].as_u64()).collect();
        assert_eq!(found, evaluated);
    }
}

#[test]
fn training_goes_on_with_the_same_seed_and_data_alone() {
    let place = Folder::new();
    trainer(false, 1, 1).fit_blocking(&mut data(), &mut fit_options(2, &place.0), &mut []).expect("a run");
    let fails = |mut trainer: Trainer, mut data: Loader, word: &str| {
        let error = trainer.fit_blocking(&mut data, &mut fit_options(3, &place.0), &mut []).expect_err(word);
        assert!(error.kind() == ErrorKind::InvalidInput && error.to_string().contains(word), "{error}");
        assert!(error.to_string().contains("step-000000000002"), "{error}");
        assert_eq!(trainer.step().steps(), 0);
    };
    fails(trainer(false, 2, 1), data(), "`seed`");
    let fewer = Examples::new(vec![("x".into(), Tensor::vector(&[0.0f32; 3]))]).expect("examples");
    let options = data().options().clone();
    fails(trainer(false, 1, 1), Loader::new(fewer.clone(), options.clone()).expect("a loader"), "`data.examples`");
    let options = LoaderOptions { seed: 6, ..options };
    fails(trainer(false, 1, 1), Loader::new(fewer, options).expect("a loader"), "`data.seed`");
}

/// Notes what it is told, and ends the run after a step.
#[derive(Default)]
struct Notes {
    told: Vec<String>,
    last: u64,
    is_over: bool,
}

impl Callback for Notes {
    fn stepped(&mut self, step: u64) -> Result<()> {
        self.is_over = step == self.last;
        Ok(())
    }

    fn saved(&mut self, step: u64, path: &Path) -> Result<()> {
        self.told.push(format!("saved {step} {}", path.file_name().expect("a name").display()));
        Ok(())
    }

    fn epoch_ended(&mut self, step: u64, epoch: u64) -> Result<()> {
        self.told.push(format!("epoch {epoch} at {step}"));
        Ok(())
    }

    fn stops(&self) -> bool {
        self.is_over
    }
}

#[test]
fn training_tells_what_it_does() {
    let place = Folder::new();
    let mut options = FitOptions { log_every: 2, save_every: 3, resume: false, ..fit_options(20, &place.0) };
    let (mut log, mut notes) = (JsonLines::new(Vec::new()), Notes { last: 5, ..Notes::default() });
    let fit = trainer(false, 1, 1).fit_blocking(&mut data(), &mut options, &mut [&mut log, &mut notes]).expect("a run");
    assert_eq!((fit.steps, fit.ended, fit.resumed), (5, Ended::Callback, None));
    let saved = ["saved 3 step-000000000003.safetensors", "epoch 0 at 4", "saved 5 step-000000000005.safetensors"];
    assert_eq!(notes.told, saved);
    let text = String::from_utf8(log.into_inner()).expect("text");
    let lines: Vec<Json> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let events: Vec<(&str, u64)> =
        lines.iter().map(|line| (line["event"].as_str().expect("an event"), line["step"].as_u64().expect("a step"))).collect();
    let expected = [("step", 2), ("checkpoint", 3), ("step", 4), ("epoch", 4), ("evaluation", 4), ("checkpoint", 5)];
    assert_eq!(events, expected);
    assert!(lines[0]["loss"].as_f64().is_some_and(|loss| loss > 0.0) && lines[0]["gradient_norm"].as_f64().is_some(), "{text}");
    assert!((lines[0]["learning_rates"][0].as_f64().expect("a rate") - 0.05 * 0.325).abs() < 1e-12, "{text}");
    assert_eq!(lines[4]["metrics"]["loss"].as_f64(), Some(fit.metrics[0].1));
    let mut failing = Failing;
    let error = trainer(false, 1, 1).fit_blocking(&mut data(), &mut FitOptions::new(3), &mut [&mut failing]).expect_err("its own");
    assert!(error.to_string().contains("enough"), "{error}");
}

struct Failing;

impl Callback for Failing {
    fn stepped(&mut self, _: u64) -> Result<()> {
        Err(Error::invalid_argument("enough"))
    }
}

#[test]
fn training_stops_where_evaluations_get_no_better() {
    // Nothing is learned at a rate of 0, so the first evaluation is the best.
    let still = Sgd { learning_rate: 0.0, ..Sgd::default() };
    let place = Folder::new();
    let make = || {
        let options = StepOptions::new("loss", vec!["weight".into()], still.clone());
        Trainer::new(Step::cpu(&two_modes(), options).expect("a step"))
    };
    let mut options = FitOptions { early_stop: Some(EarlyStop::new("loss", 3)), evaluate_every: 2, ..fit_options(100, &place.0) };
    let metric: Box<dyn Metric> = Box::new(Counter(0));
    options.evaluation.as_mut().expect("one").metrics.push(metric);
    options.early_stop.as_mut().expect("one").metric = "counter".into();
    let fit = make().fit_blocking(&mut data(), &mut options, &mut []).expect("a run");
    assert_eq!((fit.ended, fit.steps), (Ended::Early, 8), "one evaluation is the best, three are no better");
    let fit = make().fit_blocking(&mut data(), &mut options, &mut []).expect("a run");
    assert_eq!((fit.ended, fit.steps, fit.resumed), (Ended::Early, 8, Some(8)), "what has ended has ended");
    let more = EarlyStop { more_is_better: true, ..EarlyStop::new("counter", 3) };
    let mut options = FitOptions { early_stop: Some(more), resume: false, steps: 10, ..options };
    assert_eq!(make().fit_blocking(&mut data(), &mut options, &mut []).expect("a run").ended, Ended::Steps);
}

/// The number of an evaluation.
struct Counter(u64);

impl Metric for Counter {
    fn name(&self) -> &str {
        "counter"
    }

    fn outputs(&self) -> Vec<String> {
        vec!["loss".into()]
    }

    fn add(&mut self, _: &gristmill::Outputs, _: &Batch) -> Result<()> {
        Ok(())
    }

    fn take(&mut self) -> f64 {
        self.0 += 1;
        self.0 as f64
    }
}

#[test]
fn training_stops_at_a_loss_that_is_none_and_saves_nothing_of_it() {
    let place = Folder::new();
    let fast = Sgd { learning_rate: 1e30, ..Sgd::default() };
    let step = Step::cpu(&two_modes(), StepOptions::new("loss", vec!["weight".into()], fast)).expect("a step");
    let folder = CheckpointFolder::new(&place.0, 1);
    let mut options = FitOptions { log_every: 4, save_every: 1, folder: Some(folder), ..FitOptions::new(20) };
    let error = Trainer::new(step).fit_blocking(&mut data(), &mut options, &mut []).expect_err("it diverges");
    assert_eq!(error.kind(), ErrorKind::Diverged, "{error}");
    assert!(error.to_string().contains("of step "), "{error}");
    let (_, saved) = options.folder.expect("one").latest().expect("it is read").expect("it is there");
    assert!(error.to_string().contains(&format!("step {} ", saved.checkpoint.steps + 1)), "{error}");
}

#[test]
fn training_names_what_is_wrong_with_a_run() {
    let fails = |options: FitOptions, word: &str| {
        let mut options = options;
        let error = trainer(false, 1, 1).fit_blocking(&mut data(), &mut options, &mut []).expect_err(word);
        assert!(error.kind() == ErrorKind::InvalidArgument && error.to_string().contains(word), "{error}");
    };
    let evaluation = || Some(Evaluation { data: data(), metrics: vec![Box::new(MeanOf::new("lost"))] });
    fails(FitOptions { log_every: 0, ..FitOptions::new(1) }, "two logs");
    fails(FitOptions { resume: true, ..FitOptions::new(1) }, "folder");
    fails(FitOptions { save_every: 1, ..FitOptions::new(1) }, "folder");
    fails(FitOptions { evaluation: evaluation(), ..FitOptions::new(1) }, "two evaluations");
    fails(FitOptions { evaluation: evaluation(), evaluate_every: 1, ..FitOptions::new(1) }, "`lost`");
    fails(FitOptions { early_stop: Some(EarlyStop::new("loss", 1)), ..FitOptions::new(1) }, "`loss`");
    fails(FitOptions { schedule: Schedule::Step { every: 0, factor: 1.0 }, ..FitOptions::new(1) }, "schedule");
}

/// Scores that are inputs times one, for classes of `[rows, classes]`.
fn scores(shape: &[usize]) -> Graph {
    let mut b = Builder::new("scores");
    let dims: Vec<Dim> = shape.iter().copied().map(Dim::Known).collect();
    let x = b.input("x", DType::F32, &[&[Dim::Named("n".into())], &dims[..]].concat());
    let one = b.constant("one", Tensor::new([1], &[1.0f32]).expect("one"));
    let scores = b.node("scores", operators::binary("Mul").expect("a function"), &[Some(x), Some(one)]);
    b.output("scores", scores).expect("the name is free");
    let y = b.input("y", DType::I64, &[&[Dim::Named("n".into())], &dims[1..]].concat());
    let loss = train::cross_entropy(&mut b, "loss", scores, y, &ClassLoss::default()).expect("a loss");
    b.output("loss", loss).expect("the name is free");
    b.finish().expect("a valid graph")
}

/// What metrics say of examples; further inputs are for them alone.
fn evaluated(shape: &[usize], inputs: Vec<(String, Tensor)>, metrics: Vec<Box<dyn Metric>>) -> Result<Vec<(String, f64)>> {
    let still = Sgd { learning_rate: 0.0, ..Sgd::default() };
    let step = Step::cpu(&scores(shape), StepOptions::new("loss", vec!["one".into()], still)).expect("a step");
    let examples = Examples::new(inputs).expect("examples");
    let load = || Loader::new(examples.clone(), LoaderOptions::new(2)).expect("a loader");
    let evaluation = Some(Evaluation { data: load(), metrics });
    let mut options = FitOptions { evaluation, evaluate_every: 1, ..FitOptions::new(1) };
    Ok(Trainer::new(step).fit_blocking(&mut load(), &mut options, &mut [])?.metrics)
}

#[test]
fn training_metrics_are_of_all_batches() {
    let x = Tensor::new([3, 2], &[0.0f32, 1.0, 2.0, -1.0, 0.5, 0.25]).expect("scores");
    let inputs = vec![("x".into(), x), ("y".into(), Tensor::vector(&[1i64, 1, 0]))];
    let metrics: Vec<Box<dyn Metric>> =
        vec![Box::new(Accuracy::new("scores", "y")), Box::new(MeanOf::new("loss")), Box::new(MeanOf::perplexity("loss"))];
    let found = evaluated(&[2], inputs.clone(), metrics).expect("metrics");
    let losses = [(0.0f64, 1.0f64, 1.0f64), (2.0, -1.0, -1.0), (0.5, 0.25, 0.5)];
    let mean = losses.iter().map(|(a, b, right)| (a.exp() + b.exp()).ln() - right).sum::<f64>() / 3.0;
    let expected = [("accuracy", 2.0 / 3.0), ("loss", mean), ("perplexity", mean.exp())];
    for ((name, found), (expected_name, expected)) in found.iter().zip(expected) {
        assert_eq!(name, expected_name);
        assert!((found - expected).abs() < 1e-5, "{name}: expected {expected}, found {found}");
    }
    let found = evaluated(&[2], inputs.clone(), vec![Box::new(Accuracy::new("scores", "y").ignoring(0))]);
    assert_eq!(found.expect("metrics")[0].1, 0.5);
    let error = evaluated(&[2], inputs.clone(), vec![Box::new(Accuracy::new("scores", "labels"))]).expect_err("no such input");
    assert!(error.to_string().contains("`labels`"), "{error}");
    let error = evaluated(&[2], inputs, vec![Box::new(MeanOf::new("scores"))]).expect_err("no scalar");
    assert!(error.to_string().contains("`scores`"), "{error}");
}

#[test]
fn training_counts_errors_of_tokens() {
    let distance = |a: &str, b: &str| edit_distance(a.as_bytes(), b.as_bytes());
    for (a, b, expected) in [("", "", 0), ("abc", "", 3), ("", "ab", 2), ("abc", "abc", 0), ("abcd", "xbc", 2), ("ab", "ba", 2)] {
        assert_eq!((distance(a, b), distance(b, a)), (expected, expected), "{a} {b}");
    }
    // Three examples of five frames; the highest of four scores is the token.
    let tokens = [[1, 1, 0, 1, 2], [3, 0, 0, 3, 1], [2, 2, 2, 2, 2]];
    let hot = |token: i64| (0..4).map(move |class| f32::from(u8::from(class == token)));
    let numbers: Vec<f32> = tokens.iter().flatten().flat_map(|token| hot(*token)).collect();
    let truth = Tensor::new([3, 3], &[1i64, 1, 2, 3, 3, 0, 1, 2, 0]).expect("targets");
    let inputs = vec![
        ("x".into(), Tensor::new([3, 5, 4], &numbers).expect("scores")),
        ("y".into(), Tensor::new([3, 4], &[0i64; 12]).expect("labels")),
        ("truth".into(), truth),
        ("frames".into(), Tensor::vector(&[5i64, 4, 5])),
        ("lengths".into(), Tensor::vector(&[3i64, 2, 2])),
    ];
    let with = |blank, end| {
        let mut rate = TokenErrorRate::new("scores", "truth");
        (rate.lengths, rate.target_lengths) = (Some("frames".into()), Some("lengths".into()));
        (rate.blank, rate.end) = (blank, end);
        rate
    };
    let metrics: Vec<Box<dyn Metric>> =
        vec![Box::new(with(Some(0), None)), Box::new(with(None, Some(2))), Box::new(Exact::new(with(Some(0), None)))];
    let found = evaluated(&[5, 4], inputs, metrics).expect("metrics");
    // With the blank: 1 1 2, 3 3 and 2 against 1 1 2, 3 3 and 1 2.
    assert_eq!(found[0], ("token_error_rate".into(), 1.0 / 7.0));
    // Ended before 2: 1 1 0 1, 3 0 0 3 and none against 1 1, 3 3 and 1.
    assert_eq!(found[1].1, 5.0 / 5.0);
    // Of the same sequences the first two have no error.
    assert_eq!(found[2], ("exact".into(), 2.0 / 3.0));
    // Of tokens that a network says by itself: "1 2" and "3" against "1 2" and "1", all before an end.
    let tokens = Tensor::new([2, 3], &[1i32, 2, 9, 3, 9, 9]).expect("tokens");
    let inputs = vec![("x".into(), tokens), ("truth".into(), Tensor::new([2, 3], &[1i64, 2, 9, 1, 9, -7]).expect("targets"))];
    let batch = Batch { place: Place::default(), examples: vec![0, 1], inputs: inputs.clone() };
    let mut b = Builder::new("tokens");
    let x = b.input("x", DType::I32, &[Dim::Known(2), Dim::Known(3)]);
    let scores = b.node("scores", operators::identity(), &[Some(x)]);
    b.output("scores", scores).expect("an output");
    let model = Model::from_graph(b.finish().expect("a graph"));
    let outputs = Session::cpu(&model, Options::default()).and_then(|session| session.run_blocking(&[("x", inputs[0].1.view())]));
    let mut rate = TokenErrorRate::new("scores", "truth");
    rate.end = Some(9);
    rate.add(&outputs.expect("outputs"), &batch).expect("a rate");
    assert_eq!(rate.take(), 1.0 / 3.0);
}

#[test]
fn training_goes_on_with_other_numbers_and_says_which() {
    let place = Folder::new();
    trainer(false, 1, 1).fit_blocking(&mut data(), &mut fit_options(2, &place.0), &mut []).expect("a run");
    let parameters = ["scale", "bias", "weight"].map(String::from).to_vec();
    let adam = Adam { learning_rate: 0.05, ..Adam::decoupled() };
    let with = |optimizer: train::Optimizer, accumulate, clip_norm| {
        let options = StepOptions { seed: 1, accumulate, clip_norm, ..StepOptions::new("loss", parameters.clone(), optimizer) };
        Trainer::new(Step::cpu(&two_modes(), options).expect("a step"))
    };
    let fails = |mut trainer: Trainer, words: [&str; 3]| {
        let error = trainer.fit_blocking(&mut data(), &mut fit_options(3, &place.0), &mut []).expect_err(words[0]);
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        words.into_iter().for_each(|word| assert!(error.to_string().contains(word), "{word}: {error}"));
        assert_eq!(trainer.step().steps(), 0);
    };
    let coupled = Adam { decoupled: false, ..adam.clone() };
    fails(with(coupled.into(), 1, Some(1.0)), ["`groups.0.optimizer`", "is adamw", "has adam"]);
    fails(with(Sgd::default().into(), 1, Some(1.0)), ["`groups.0.optimizer`", "is adamw", "has sgd"]);
    fails(with(adam.clone().into(), 2, Some(1.0)), ["`accumulate`", "is 1", "has 2"]);
    let fit = with(adam.clone().into(), 1, Some(1.0)).fit_blocking(&mut data(), &mut fit_options(3, &place.0), &mut []);
    assert_eq!(fit.expect("a run").changes, [""; 0], "nothing is another");
    let slower = Adam { learning_rate: 0.01, weight_decay: 0.5, ..adam };
    let mut options = FitOptions { schedule: Schedule::Constant, ..fit_options(4, &place.0) };
    let mut trainer = with(slower.into(), 1, None);
    let fit = trainer.fit_blocking(&mut data(), &mut options, &mut []).expect("a run");
    let found: Vec<&str> = fit.changes.iter().filter_map(|change| change.split('`').nth(1)).collect();
    assert_eq!(found, ["groups.0.learning_rate", "groups.0.weight_decay", "schedule", "clip_norm"]);
    assert_eq!(fit.changes[0], "`groups.0.learning_rate` was 0.05 and is 0.01");
    assert_eq!(trainer.step().learning_rates(), [0.01]);
    let (_, saved) = CheckpointFolder::new(&place.0, 2).latest().expect("it is read").expect("it is there");
    assert_eq!(saved.text("adapter"), Some("references"));
    assert_eq!(saved.text("variants"), Some("by table"));
    assert_eq!(saved.text("groups.0.learning_rate"), Some("0.01"), "the rate that schedules start from");
}

#[test]
fn training_goes_on_with_the_same_examples_alone() {
    let place = Folder::new();
    trainer(false, 1, 1).fit_blocking(&mut data(), &mut fit_options(2, &place.0), &mut []).expect("a run");
    let mut random = Random::new(32);
    let inputs = vec![("x".into(), random.floats(&[11, 6])), ("y".into(), random.floats(&[11, 2]))];
    let mut other = Loader::new(Examples::new(inputs).expect("examples"), data().options().clone()).expect("a loader");
    let error = trainer(false, 1, 1).fit_blocking(&mut other, &mut fit_options(3, &place.0), &mut []).expect_err("others");
    assert!(error.kind() == ErrorKind::InvalidInput && error.to_string().contains("`data.fingerprint`"), "{error}");
    // On another adapter it goes on, and says so.
    let fit = trainer(true, 1, 1).fit_blocking(&mut data(), &mut fit_options(3, &place.0), &mut []).expect("a run");
    assert!(fit.changes.len() == 1 && fit.changes[0].starts_with("`adapter` was references and is "), "{:?}", fit.changes);
}
