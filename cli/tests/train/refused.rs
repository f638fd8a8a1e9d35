//! What a run cannot begin with, and what is said of it.

use super::{Folder, configuration, some_digits, tensors};
use crate::support::{gristmill, text};
use gristmill::graph::{Builder, Dim};
use gristmill::{DType, Tensor, TensorType, operators};
use std::process::Output;

/// Trains and expects exit status 2 with one line; that line.
fn refused(arguments: &[&str]) -> String {
    let Output { status, stderr, .. } = gristmill(&[&["train"], arguments].concat());
    let stderr = text(&stderr);
    assert_eq!(status.code(), Some(2), "{arguments:?}: {stderr}");
    let lines: Vec<&str> = stderr.lines().collect();
    assert!(matches!(lines.as_slice(), [line] if line.starts_with("error: ")), "one line, found: {stderr}");
    assert!(!stderr.contains("internal error"), "{stderr}");
    lines[0].to_string()
}

/// A folder with digits, and what a configuration in it is refused with where one part is another.
struct Refusal {
    folder: Folder,
    config: String,
}

impl Refusal {
    fn new(name: &str) -> Self {
        let folder = Folder::new(name);
        folder.write("train.safetensors", some_digits(20));
        folder.write("held_out.safetensors", some_digits(10));
        Refusal { folder, config: configuration(".".as_ref()) }
    }

    fn of(&self, part: &str, other: &str) -> String {
        assert!(self.config.contains(part), "{part}");
        refused(&[&self.folder.write("config.toml", self.config.replacen(part, other, 1))])
    }

    fn says(&self, part: &str, other: &str, expected: &[&str]) {
        let line = self.of(part, other);
        for expected in expected {
            assert!(line.contains(expected), "`{other}`: expected `{expected}` in {line}");
        }
        assert!(line.contains("config.toml"), "{line}");
    }
}

#[test]
fn keys_are_named_with_their_lines() {
    let refusal = Refusal::new("keys");
    let line = |key: &str| {
        let place = refusal.config.find(key).expect("a key of the configuration");
        format!("line {}", refusal.config[..place].matches('\n').count() + 1)
    };
    let rate = line("learning_rate");
    let cases: &[(&str, &str, &[&str])] = &[
        ("learning_rate = 1e-3", "learning_rat = 1e-3", &["`optimizer.learning_rat`", "did you mean `learning_rate`", &rate]),
        ("learning_rate = 1e-3", "learning_rate = \"fast\"", &["`optimizer.learning_rate`", "\"fast\"", "a number", &rate]),
        ("learning_rate = 1e-3", "learning_rate = -1", &["learning rate is -1", "at least 0"]),
        ("learning_rate = 1e-3", "momentum = 0.9", &["`optimizer.momentum`", "`adam`", "`betas`", &rate]),
        ("learning_rate = 1e-3", "without_decay = [\"*.bia\"]", &["`*.bia`", "`conv1.bias`"]),
        ("kind = \"adam\"", "kind = \"adan\"", &["`optimizer.kind`", "did you mean `adam`"]),
        ("[optimizer]", "[optimiser]", &["`optimiser`", "did you mean `optimizer`"]),
        ("prediction = \"logits\"\n", "", &["`loss.prediction`", "missing"]),
        ("prediction = \"logits\"", "prediction = \"logit\"", &["`loss.prediction`", "did you mean `logits`"]),
        ("batch_size = 8", "batch_size = -8", &["`data.batch_size`", "-8", "whole number of at least 0"]),
        ("batch_size = 8", "batch_size = 0", &["`data.batch_size`", "found 0"]),
        ("log_every = 1", "log_every = 0", &["`training.log_every`", "found 0"]),
        (
            "[checkpoints]",
            "early_stop = { metric = \"perplexity\", patience = 1 }\n[checkpoints]",
            &["`training.early_stop.metric`"],
        ),
        ("held_out = \"held_out.safetensors\"", "held_out = 1.5", &["`data.held_out`", "between 0 and 1"]),
        ("held_out = \"held_out.safetensors\"", "", &["`training.metrics`", "`data.held_out`"]),
        ("conversions.image", "conversions.picture", &["`data.conversions.picture`", "`image`"]),
        ("\"accuracy\"", "\"token_error_rate\"", &["`training.metrics`", "scores of three axes"]),
        ("steps = 6", "steps = 6\nepochs = 1", &["`training.epochs`", "one of them"]),
        ("steps = 6", "", &["`steps` or `epochs`"]),
        ("steps = 6", "steps = 6\nrecompute = [\"no_value\"]", &["`training.recompute`", "`no_value`"]),
        ("network = \"lenet\"", "network = \"lenett\"", &["`model.network`", "did you mean `lenet`"]),
        ("network = \"lenet\"", "file = \"no.onnx\"", &["`model.file`", "no.onnx"]),
        ("network = \"lenet\"", "network = \"lenet\"\nfrozen = [\"convolution*\"]", &["`model.frozen`", "`conv1.weight`"]),
        ("network = \"lenet\"", "network = \"lenet\"\nfrozen = [\"*\"]", &["no parameter is left"]),
        ("network = \"lenet\"", "network = \"lenet\"\nheads = 3", &["`model.heads`", "of no use"]),
        ("metrics = [\"loss\", ", "metrics = [\"los\", ", &["`training.metrics", "did you mean `loss`"]),
        ("[training]", "[schedule]\nkind = \"step\"\n[training]", &["`schedule.every`", "missing"]),
        ("[training]", "[training", &["line "]),
    ];
    for (part, other, expected) in cases {
        refusal.says(part, other, expected);
    }
    assert!(refused(&["no/such/config.toml"]).contains("no/such/config.toml"));
}

#[test]
fn data_that_cannot_be_learned_from_are_named() {
    let refusal = Refusal::new("data");
    let images = |count: usize, side: usize| Tensor::zeros(TensorType::new(DType::U8, [count, 1, side, side]));
    let labels = |count: usize| Tensor::zeros(TensorType::new(DType::U8, [count]));
    let digits = some_digits(20);
    let files: [(&str, Vec<u8>, &[&str]); 8] = [
        ("text", b"these are no tensors".to_vec(), &["text"]),
        ("short", digits[..digits.len() / 2].to_vec(), &["short", "ends at byte"]),
        ("header", digits[..20].to_vec(), &["header", "ends within its header"]),
        ("empty", vec![], &["empty", "ends before its header"]),
        ("none", tensors(vec![("image", images(0, 28)), ("label", labels(0))]), &["none", "no examples"]),
        ("small", tensors(vec![("image", images(4, 14)), ("label", labels(4))]), &["`image`", "14", "[batch,1,28,28]"]),
        ("uneven", tensors(vec![("image", images(4, 28)), ("label", labels(3))]), &["`label`", "4 examples"]),
        ("unnamed", tensors(vec![("image", images(4, 28)), ("labels", labels(4))]), &["`label`", "is it `labels`?"]),
    ];
    for (name, bytes, expected) in files {
        refusal.folder.write(name, bytes);
        refusal.says("training = \"train.safetensors\"", &format!("training = {name:?}"), expected);
    }
    refusal.says("training = \"train", "training = \"trains", &["`data.training`", "trains.safetensors", "--data"]);
    // Ten classes have no eleventh.
    refusal.folder.write("eleven", tensors(vec![("image", images(8, 28)), ("label", Tensor::vector(&[10u8; 8]))]));
    assert!(refusal.of("training = \"train.safetensors\"", "training = \"eleven\"").contains("10"));
}

#[test]
fn losses_that_a_graph_cannot_have_are_refused() {
    let refusal = Refusal::new("loss");
    let kind = "kind = \"cross_entropy\"";
    refusal.says(kind, "kind = \"ctc\"\ninput_lengths = \"a\"\ntarget_lengths = \"b\"", &["`accuracy` needs a loss of classes"]);
    refusal.says(kind, "kind = \"huber\"\ndelta = -1.0", &["`loss`", "a delta of -1", "above 0"]);
    refusal.says(kind, &format!("{kind}\naxis = 5"), &["`loss`", "5"]);
    refusal.says(kind, &format!("{kind}\nlabel_smoothing = 2"), &["`loss`", "from 0 to 1"]);
    refusal.says(kind, &format!("{kind}\ndelta = 2"), &["`loss.delta`", "`label_smoothing`"]);
    // A label for each image has not as many elements as ten logits.
    let without = refusal.config.replace("metrics = [\"loss\", \"accuracy\"]", "metrics = [\"loss\"]");
    let config = refusal.folder.write("squares.toml", without.replace(kind, "kind = \"mean_squared_error\""));
    let line = refused(&[&config]);
    assert!(line.contains("`loss`") && line.contains("squares.toml"), "{line}");
}

#[test]
fn all_nodes_without_a_gradient_are_listed() {
    let refusal = Refusal::new("gradients");
    let mut b = Builder::new("determinants");
    let image = b.input("image", DType::F32, &[Dim::Named("batch".into()), Dim::Known(1), Dim::Known(28), Dim::Known(28)]);
    let scale = b.constant("scale", Tensor::vector(&[0.5f32; 28]));
    let scaled = b.node("scaled", operators::binary("Mul").expect("a function"), &[Some(image), Some(scale)]);
    let first = b.node("first", operators::det(), &[Some(scaled)]);
    let shifted = b.node("shifted", operators::binary("Add").expect("a function"), &[Some(image), Some(scale)]);
    let second = b.node("second", operators::det(), &[Some(shifted)]);
    let logits = b.node("logits", operators::concat(1), &[Some(first), Some(second)]);
    b.output("logits", logits).expect("an output");
    let bytes = b.finish().and_then(|graph| graph.to_onnx()).expect("a graph that can be written");
    refusal.folder.write("determinants.onnx", bytes);
    let model = "network = \"lenet\"";
    refusal.says(model, "file = \"determinants.onnx\"", &["2 nodes", "have no gradient", "`Det:first`", "`Det:second`"]);
}

#[test]
fn checkpoints_of_other_runs_are_refused() {
    let refusal = Refusal::new("checkpoints");
    let config = refusal.folder.write("config.toml", &refusal.config);
    let first = gristmill(&["train", &config, "--steps", "2"]);
    assert!(first.status.success(), "{}", text(&first.stderr));
    let line = refused(&[&config]);
    assert!(line.contains("--resume") && line.contains("--fresh") && line.contains("checkpoints"), "{line}");
    let resumed = |part: &str, other: &str| {
        assert!(refusal.config.contains(part), "{part}");
        refused(&[&refusal.folder.write("other.toml", refusal.config.replacen(part, other, 1)), "--resume"])
    };
    let cases = [
        ("batch_size = 8", "batch_size = 4", "batch_size"),
        ("kind = \"adam\"", "kind = \"sgd\"", "sgd"),
        ("network = \"lenet\"", "network = \"cnn\"", "`fc2.bias`"),
        ("training = \"train.safetensors\"", "training = \"held_out.safetensors\"", "data"),
    ];
    for (part, other, expected) in cases {
        let line = resumed(part, other);
        assert!(line.contains(expected) && line.contains("step-000000000002"), "{other}: expected `{expected}` in {line}");
    }
    // What was there still is.
    let whole = gristmill(&["train", &config, "--resume", "--steps", "3"]);
    assert!(whole.status.success(), "{}", text(&whole.stderr));
}
