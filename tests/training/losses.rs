//! Losses against PyTorch in double precision: their values and gradients under every reduction, by the references, and by the device where
//! they have kernels of their own.

use super::safetensors::Stored;
use super::{difference, floats, names};
use crate::support::gpu;
use gristmill::graph::{Builder, Dim};
use gristmill::train::{ClassLoss, LossReduction, Target};
use gristmill::{DType, Model, Options, Session, Tensor, TensorView, train};
use serde_json::Value as Json;

fn reduction(name: &str) -> LossReduction {
    match name {
        "none" => LossReduction::None,
        "mean" => LossReduction::Mean,
        "sum" => LossReduction::Sum,
        "batchmean" => LossReduction::BatchMean,
        other => panic!("a reduction {other}"),
    }
}

/// References compute in double precision, and the device in single precision.
fn session(model: &Model, dtype: DType) -> gristmill::Result<Session> {
    match dtype {
        DType::F64 => Session::cpu(model, Options::default()),
        _ => Session::new_blocking(gpu(), model, Options::default()),
    }
}

fn differs(found: &Tensor, truth: &Tensor, dtype: DType) -> Option<String> {
    let (relative, whole) = if dtype == DType::F64 { (0.0, 1e-7) } else { (1e-4, 2e-5) };
    difference(found, truth, relative, whole)
}

/// What is wrong with a loss under one reduction.
fn check(stored: &Stored, name: &str, json: &Json, reduction_name: &str, dtype: DType) -> Result<(), String> {
    let tensor = |of: &str| stored.tensor(&format!("{name}.{of}")).map(|tensor| floats(&tensor, dtype));
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
    let session = session(&Model::from_graph(graph), dtype).map_err(|e| e.to_string())?;
    let views: Vec<(&str, TensorView<'_>)> = given.iter().map(|(name, tensor)| (name.as_str(), tensor.view())).collect();
    let found = session.run_blocking(&views).map_err(|e| e.to_string())?;
    for (part, of) in [("loss", "y"), ("grad", "gradient.input")] {
        if let (Some(truth), Some(found)) = (stored.tensor(&format!("{name}.{part}.{reduction_name}")), found.get(of))
            && let Some(wrong) = differs(found, &truth, dtype)
        {
            return Err(format!("{of}: {wrong}"));
        }
    }
    Ok(())
}

fn losses(dtype: DType, loss: &str) {
    let stored = Stored::open("losses.safetensors");
    let wanted = std::env::var("TRAINING_CASES").unwrap_or_default();
    let cases = stored.json["cases"].as_object().expect("cases");
    let is_chosen = |json: &Json| json["loss"].as_str().is_some_and(|own| own != "ctc" && own.contains(loss));
    let (mut failures, mut passed) = (Vec::new(), 0);
    for (name, json) in cases.iter().filter(|(name, json)| name.contains(&wanted) && is_chosen(json)) {
        for reduction in names(&json["reductions"]) {
            match check(&stored, name, json, &reduction, dtype) {
                Ok(()) => passed += 1,
                Err(message) => failures.push(format!("{name} {reduction}: {message}")),
            }
        }
    }
    assert!(failures.is_empty(), "{passed} passed, {} failures:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn training_losses_by_references() {
    losses(DType::F64, "");
}

#[test]
fn training_losses_with_kernels_on_the_device() {
    losses(DType::F32, "cross_entropy");
}

#[test]
fn training_losses_refuse_labels_that_name_no_class() {
    for ignore_index in [None, Some(-1)] {
        let mut b = Builder::new("labels");
        let x = b.input("x", DType::F32, &[Dim::Named("n".into()), Dim::Known(5)]);
        let labels = b.input("labels", DType::I64, &[Dim::Named("n".into())]);
        let options = ClassLoss { ignore_index, ..ClassLoss::default() };
        let loss = train::cross_entropy(&mut b, "loss", x, labels, &options).expect("a loss");
        b.output("y", loss).expect("the name is free");
        let graph = train::with_gradients(&b.finish().expect("a valid graph"), &["y"], &[], &["x"]).expect("a graph");
        let model = Model::from_graph(graph);
        let x = Tensor::new([3, 5], &[0.5f32; 15]).expect("as many elements");
        for session in [Session::cpu(&model, Options::default()), Session::new_blocking(gpu(), &model, Options::default())] {
            let session = session.expect("a session");
            let run = |labels: [i64; 3]| session.run_blocking(&[("x", x.view()), ("labels", Tensor::vector(&labels).view())]);
            for wrong in [[0, 5, 1], [-2, 0, 0], [1, 2, 1 << 20]] {
                let error = run(wrong).expect_err("a label that names no class");
                assert!(error.to_string().contains("none of 5 classes"), "{error}");
                assert!(error.node().is_some_and(|node| node.contains("loss")), "{error:?}");
            }
            assert_eq!(run([0, -1, 4]).is_ok(), ignore_index.is_some());
            run([0, 4, 2]).expect("all labels name classes");
        }
    }
}
