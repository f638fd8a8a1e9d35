//! Losses against PyTorch in double precision: their values and gradients under every reduction, by the references.

use super::safetensors::Stored;
use super::{difference, floats, names};
use gristmill::graph::{Builder, Dim};
use gristmill::train::{ClassLoss, LossReduction, Target};
use gristmill::{DType, Model, Options, Session, Tensor, TensorView, train};
use serde_json::Value as Json;

pub fn reduction(name: &str) -> LossReduction {
    match name {
        "none" => LossReduction::None,
        "mean" => LossReduction::Mean,
        "sum" => LossReduction::Sum,
        "batchmean" => LossReduction::BatchMean,
        other => panic!("a reduction {other}"),
    }
}

/// What is wrong with a loss under one reduction.
fn check(stored: &Stored, name: &str, json: &Json, reduction_name: &str) -> Result<(), String> {
    let tensor = |of: &str| stored.tensor(&format!("{name}.{of}")).map(|tensor| floats(&tensor, DType::F64));
    let mut b = Builder::new("loss");
    let mut given: Vec<(String, Tensor)> = Vec::new();
    let mut input = |b: &mut Builder, of: &str| {
        let tensor = tensor(of)?;
        let dims: Vec<Dim> = tensor.shape().iter().map(|_| Dim::Unknown).collect();
        let id = b.input(of, tensor.dtype(), &dims);
        given.push((of.to_string(), tensor));
        Some(id)
    };
    let (x, target) = (input(&mut b, "input").expect("an input"), input(&mut b, "target").expect("a target"));
    let (weight, positive) = (input(&mut b, "weight"), input(&mut b, "pos_weight"));
    let attributes = &json["attributes"];
    let number = |name: &str| attributes[name].as_f64().unwrap_or_default();
    let reduction = reduction(reduction_name);
    let is_class = tensor("target").is_some_and(|target| target.dtype() == DType::I64);
    let options = ClassLoss {
        weight,
        ignore_index: attributes["ignore_index"].as_i64(),
        label_smoothing: number("label_smoothing"),
        target: if is_class { Target::Classes } else { Target::Probabilities },
        reduction,
    };
    let pair = [x, target];
    let loss = match json["loss"].as_str().expect("a loss") {
        "cross_entropy" => train::cross_entropy(&mut b, "loss", x, target, &options),
        "nll" => train::negative_log_likelihood(&mut b, "loss", x, target, &options),
        "bce_with_logits" => train::binary_cross_entropy_with_logits(&mut b, "loss", pair, [weight, positive], reduction),
        "mse" => train::mean_squared_error(&mut b, "loss", pair, reduction),
        "l1" => train::l1_loss(&mut b, "loss", pair, reduction),
        "huber" => train::huber_loss(&mut b, "loss", pair, number("delta"), reduction),
        "kl_div" => train::kl_divergence(&mut b, "loss", pair, attributes["log_target"] == true, reduction),
        other => panic!("a loss {other}"),
    };
    b.output("y", loss.map_err(|e| e.to_string())?).map_err(|e| e.to_string())?;
    let mut graph = b.finish().map_err(|e| e.to_string())?;
    let upstream: &[&str] = if reduction == LossReduction::None { &["y"] } else { &[] };
    if json["gradient"] == true {
        graph = train::with_gradients(&graph, &["y"], upstream, &["input"]).map_err(|e| e.to_string())?;
        if !upstream.is_empty() {
            given.push(("upstream.y".to_string(), tensor("upstream.none").expect("what it is worth")));
        }
    }
    let session = Session::cpu(&Model::from_graph(graph), Options::default()).map_err(|e| e.to_string())?;
    let views: Vec<(&str, TensorView<'_>)> = given.iter().map(|(name, tensor)| (name.as_str(), tensor.view())).collect();
    let found = session.run_blocking(&views).map_err(|e| e.to_string())?;
    for (part, of) in [("loss", "y"), ("grad", "gradient.input")] {
        if let (Some(truth), Some(found)) = (tensor(&format!("{part}.{reduction_name}")), found.get(of))
            && let Some(wrong) = difference(found, &truth, 0.0, 1e-7)
        {
            return Err(format!("{of}: {wrong}"));
        }
    }
    Ok(())
}

#[test]
fn training_losses_by_references() {
    let stored = Stored::open("losses.safetensors");
    let wanted = std::env::var("TRAINING_CASES").unwrap_or_default();
    let cases = stored.json["cases"].as_object().expect("cases");
    let (mut failures, mut passed) = (Vec::new(), 0);
    for (name, json) in cases.iter().filter(|(name, json)| name.contains(&wanted) && json["loss"] != "ctc") {
        for reduction in names(&json["reductions"]) {
            match check(&stored, name, json, &reduction) {
                Ok(()) => passed += 1,
                Err(message) => failures.push(format!("{name} {reduction}: {message}")),
            }
        }
    }
    assert!(failures.is_empty(), "{passed} passed, {} failures:\n{}", failures.len(), failures.join("\n"));
}
