//! Losses against PyTorch in double precision: their values and gradients under every reduction, by the references and by the device.

use super::safetensors::Stored;
use super::{bounds, difference, floats, names, session};
use gristmill::graph::{Builder, Dim, ValueId};
use gristmill::train::{ClassLoss, CtcInputs, CtcOptions, LossReduction, Target};
use gristmill::{DType, Tensor, TensorView, train};
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

/// A loss of a file, under one reduction, in floats of a dtype.
struct Loss<'a> {
    stored: &'a Stored,
    name: &'a str,
    json: &'a Json,
    reduction: &'a str,
    dtype: DType,
}

impl Loss<'_> {
    fn tensor(&self, of: &str) -> Option<Tensor> {
        self.stored.tensor(&format!("{}.{of}", self.name)).map(|tensor| floats(&tensor, self.dtype))
    }

    /// Writes the loss of the inputs, which are there by their names.
    fn write(&self, b: &mut Builder, input: &dyn Fn(&str) -> Option<ValueId>) -> gristmill::Result<ValueId> {
        let needed = |of: &str| input(of).expect("an input");
        let attributes = &self.json["attributes"];
        let number = |name: &str| attributes[name].as_f64().unwrap_or_default();
        let reduction = reduction(self.reduction);
        let is_class = self.tensor("target").is_some_and(|target| target.dtype() == DType::I64);
        let options = ClassLoss {
            weight: input("weight"),
            ignore_index: attributes["ignore_index"].as_i64(),
            label_smoothing: number("label_smoothing"),
            target: if is_class { Target::Classes } else { Target::Probabilities },
            reduction,
        };
        let [x, target] = ["input", "target"].map(needed);
        let pair = [x, target];
        match self.json["loss"].as_str().expect("a loss") {
            "cross_entropy" => train::cross_entropy(b, "loss", x, target, &options),
            "nll" => train::negative_log_likelihood(b, "loss", x, target, &options),
            "bce_with_logits" => {
                train::binary_cross_entropy_with_logits(b, "loss", pair, ["weight", "pos_weight"].map(input), reduction)
            }
            "mse" => train::mean_squared_error(b, "loss", pair, reduction),
            "l1" => train::l1_loss(b, "loss", pair, reduction),
            "huber" => train::huber_loss(b, "loss", pair, number("delta"), reduction),
            "kl_div" => train::kl_divergence(b, "loss", pair, attributes["log_target"] == true, reduction),
            "ctc" => {
                let [input_lengths, target_lengths] = ["input_lengths", "target_lengths"].map(needed);
                let options =
                    CtcOptions { blank: number("blank") as usize, zero_infinity: attributes["zero_infinity"] == true, reduction };
                train::ctc_loss(b, "loss", CtcInputs { logits: x, target, input_lengths, target_lengths }, &options)
            }
            other => panic!("a loss {other}"),
        }
    }

    /// What is wrong with its value and its gradient.
    fn check(&self) -> Result<(), String> {
        let mut b = Builder::new("loss");
        let mut given: Vec<(String, Tensor)> = Vec::new();
        let mut inputs: Vec<(String, ValueId)> = Vec::new();
        for of in names(&self.json["inputs"]) {
            let tensor = self.tensor(&of).expect("an input");
            let dims: Vec<Dim> = tensor.shape().iter().map(|_| Dim::Unknown).collect();
            inputs.push((of.clone(), b.input(&of, tensor.dtype(), &dims)));
            given.push((of, tensor));
        }
        let find = |of: &str| inputs.iter().find(|(name, _)| name == of).map(|(_, id)| *id);
        let text = |e: gristmill::Error| e.to_string();
        let loss = self.write(&mut b, &find).map_err(text)?;
        b.output("y", loss).map_err(text)?;
        let mut graph = b.finish().map_err(text)?;
        let upstream: &[&str] = if self.reduction == "none" { &["y"] } else { &[] };
        if self.json["gradient"] == true {
            graph = train::with_gradients(&graph, &["y"], upstream, &["input"]).map_err(text)?;
            if !upstream.is_empty() {
                given.push(("upstream.y".to_string(), self.tensor("upstream.none").expect("what it is worth")));
            }
        }
        let views: Vec<(&str, TensorView<'_>)> = given.iter().map(|(name, tensor)| (name.as_str(), tensor.view())).collect();
        let found = session(graph, self.dtype).and_then(|session| session.run_blocking(&views)).map_err(text)?;
        let (relative, whole) = bounds(self.dtype);
        for (part, of) in [("loss", "y"), ("grad", "gradient.input")] {
            let truth = self.stored.tensor(&format!("{}.{part}.{}", self.name, self.reduction));
            if let (Some(truth), Some(found)) = (truth, found.get(of))
                && let Some(wrong) = difference(found, &truth, relative, whole)
            {
                return Err(format!("{of}: {wrong}"));
            }
        }
        Ok(())
    }
}

fn losses(dtype: DType) {
    let stored = Stored::open("losses.safetensors");
    let wanted = std::env::var("TRAINING_CASES").unwrap_or_default();
    let cases = stored.json["cases"].as_object().expect("cases");
    let (mut failures, mut passed) = (Vec::new(), 0);
    for (name, json) in cases.iter().filter(|(name, _)| name.contains(&wanted)) {
        for reduction in &names(&json["reductions"]) {
            match (Loss { stored: &stored, name, json, reduction, dtype }).check() {
                Ok(()) => passed += 1,
                Err(message) => failures.push(format!("{name} {reduction}: {message}")),
            }
        }
    }
    assert!(failures.is_empty(), "{passed} passed, {} failures:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn training_losses_by_references() {
    losses(DType::F64);
}

#[test]
fn training_losses_on_the_device() {
    losses(DType::F32);
}
