//! Training of networks by each optimizer that their files name: the losses on the way, what parameters and buffers hold in the end, and
//! predictions in evaluation, by rule A.

use super::models::{Mode, ModelFile, build};
use super::optimizers::{Arithmetic, Optimizer};
use super::rules::rule_a;
use crate::support::gpu;
use gristmill::train::{Step, StepOptions};
use gristmill::{DType, Model, Options, Session, Tensor, TensorType, TensorView, train};
use std::collections::HashMap;

/// What a run of training came to.
struct Trained {
    /// Of each step, before its update.
    losses: Vec<f64>,
    /// What parameters and buffers hold.
    held: HashMap<String, Tensor>,
    /// The prediction in evaluation.
    evaluated: Option<Tensor>,
}

/// How far a run is from the truth.
struct Judgement {
    /// The largest errors by their bounds of losses and predictions, which all have to hold them, and of what is held in the end.
    steps: f64,
    held: f64,
    /// How many numbers that are held in the end miss their bounds, and how many may.
    missing: usize,
    allowed: usize,
}

impl Judgement {
    fn accepts(&self) -> bool {
        self.steps <= 1.0 && self.missing <= self.allowed
    }

    fn summary(&self) -> String {
        let Judgement { steps, held, missing, allowed } = self;
        format!("losses and predictions {steps:.4} of their bounds, parameters {held:.4}, {missing} past them, {allowed} may be")
    }
}

fn largest(ratios: &[f64]) -> f64 {
    ratios.iter().copied().fold(0.0, f64::max)
}

/// Holds a run against a file's truth of an optimizer.
fn judge(file: &ModelFile, optimizer: &str, trained: &Trained) -> Judgement {
    let part = |part: &str| (file.need(&format!("{part}.{optimizer}")), file.need(&format!("noise.{part}.{optimizer}")));
    let (truth, noise) = part("losses");
    let mut steps = rule_a(&Tensor::vector(&trained.losses), &truth, &noise);
    if let Some(evaluated) = &trained.evaluated {
        let (truth, noise) = part("eval");
        steps.extend(rule_a(evaluated, &truth, &noise));
    }
    let mut held = Vec::new();
    for name in file.parameters().into_iter().chain(file.buffers()) {
        let [truth, noise] = ["final", "noise.final"].map(|part| file.need(&format!("{part}.{optimizer}.{name}")));
        let mut ratios = rule_a(&trained.held[&name], &truth, &noise);
        for range in file.undetermined(&name) {
            ratios[range].fill(0.0);
        }
        held.extend(ratios);
    }
    let missing = held.iter().filter(|ratio| **ratio > 1.0).count();
    Judgement { steps: largest(&steps), held: largest(&held), missing, allowed: 1 + held.len() / 1000 }
}

/// Trains a file's network by the references in double precision and the optimizers' arithmetic written out.
fn by_references(mut file: ModelFile, optimizer: &Optimizer) -> gristmill::Result<Trained> {
    let dtype = DType::F64;
    let (names, buffers, data) = (file.parameters(), file.buffers(), file.data(dtype));
    let given: Vec<(&str, TensorView<'_>)> = data.iter().map(|(name, tensor)| (name.as_str(), tensor.view())).collect();
    let (mut arithmetic, mut losses) = (Arithmetic::default(), Vec::new());
    let subjects: Vec<&str> = names.iter().map(String::as_str).collect();
    for _ in 0..file.steps() {
        let network = build(&file, dtype, Mode::Training)?;
        let loss = &network.loss;
        let graph = train::with_gradients(&network.graph, &[loss], &[], &subjects)?;
        let session = Session::cpu(&Model::from_graph(graph), Options::default())?;
        let mut state = session.state()?;
        let found = session.run_with_blocking(&mut state, &given)?;
        losses.push(found[loss.as_str()].to_f64()[0]);
        let of = |name: &String| found[format!("gradient.{name}").as_str()].to_f64();
        let gradients: Vec<Vec<f64>> = names.iter().map(of).collect();
        let mut values: Vec<Vec<f64>> = names.iter().map(|name| file.held(name).expect("a parameter").to_f64()).collect();
        arithmetic.step(optimizer, &mut values, &gradients);
        for (name, values) in names.iter().zip(values) {
            file.set(name, Tensor::from_f64(TensorType::new(dtype, file.shape(name)), &values)?);
        }
        for name in &buffers {
            file.set(name, state.get_blocking(name)?);
        }
    }
    let held = names.iter().chain(&buffers).map(|name| (name.clone(), file.held(name).expect("it is held"))).collect();
    let evaluated = if buffers.is_empty() { None } else { Some(evaluated(&file, dtype, false)?) };
    Ok(Trained { losses, held, evaluated })
}

/// Trains a file's network by the library's own step, on the device or by the references.
fn by_step(mut file: ModelFile, optimizer: &Optimizer, on_device: bool) -> gristmill::Result<Trained> {
    let dtype = DType::F32;
    let data = file.data(dtype);
    let given: Vec<(&str, TensorView<'_>)> = data.iter().map(|(name, tensor)| (name.as_str(), tensor.view())).collect();
    let network = build(&file, dtype, Mode::Training)?;
    let names: Vec<String> = network.parameters.iter().chain(&network.buffers).cloned().collect();
    let options = StepOptions::new(network.loss, network.parameters, optimizer.offered());
    let options = StepOptions { clip_norm: optimizer.clip_norm, ..options };
    let mut step = match on_device {
        true => Step::new(gpu(), &network.graph, options)?,
        false => Step::cpu(&network.graph, options)?,
    };
    let mut losses = Vec::new();
    for _ in 0..file.steps() {
        step.step_blocking(&given)?;
        losses.push(step.loss_blocking()?);
    }
    let mut held = HashMap::new();
    for name in names {
        let tensor = step.get_blocking(&name)?;
        file.set(&name, tensor.clone());
        held.insert(name, tensor);
    }
    let evaluated = if network.buffers.is_empty() { None } else { Some(evaluated(&file, dtype, on_device)?) };
    Ok(Trained { losses, held, evaluated })
}

/// The prediction in evaluation of what a file holds.
fn evaluated(file: &ModelFile, dtype: DType, on_device: bool) -> gristmill::Result<Tensor> {
    let network = build(file, dtype, Mode::Evaluation)?;
    let data = file.data(dtype);
    let given: Vec<(&str, TensorView<'_>)> = data.iter().map(|(name, tensor)| (name.as_str(), tensor.view())).collect();
    let model = Model::from_graph(network.graph);
    let session = match on_device {
        true => Session::new_blocking(gpu(), &model, Options::default())?,
        false => Session::cpu(&model, Options::default())?,
    };
    let mut state = session.state()?;
    let found = session.run_with_blocking(&mut state, &given)?;
    for name in file.buffers() {
        assert_eq!(
            state.get_blocking(&name)?.to_f64(),
            file.held(&name).expect("it is held").to_f64(),
            "evaluation changes nothing"
        );
    }
    Ok(found[network.prediction.as_str()].clone())
}

/// Trains the networks of all files by each of their optimizers.
fn curves(train: impl Fn(ModelFile, &Optimizer) -> gristmill::Result<Trained>) {
    let selected = std::env::var("TRAINING_CASES").unwrap_or_default();
    let mut failures = Vec::new();
    for file in ModelFile::all().into_iter().filter(|file| file.name.contains(&selected)) {
        for (name, optimizer) in file.optimizers() {
            match train(file.clone(), &optimizer).map(|trained| judge(&file, &name, &trained)) {
                Ok(judgement) => {
                    println!("{} {name}: {}", file.name, judgement.summary());
                    if !judgement.accepts() {
                        failures.push(format!("{} {name}: {}", file.name, judgement.summary()));
                    }
                }
                Err(error) => failures.push(format!("{} {name}: {error}", file.name)),
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn training_curves_by_optimizers_written_out() {
    curves(by_references);
}

#[test]
fn training_curves_by_references() {
    curves(|file, optimizer| by_step(file, optimizer, false));
}

#[test]
fn training_curves_on_the_device() {
    curves(|file, optimizer| by_step(file, optimizer, true));
}
