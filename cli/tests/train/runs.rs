//! Runs that end well.

use super::{Folder, configuration, digits, some_digits};
use crate::support::{command, gristmill, root, text};
use gristmill::train::{LossCurve, Safetensors};
use std::process::Output;

/// Trains and expects success; the text on stdout.
fn trains(arguments: &[&str]) -> String {
    let output = gristmill(&[&["train"], arguments].concat());
    assert!(output.status.success(), "{arguments:?}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// A folder with some digits and a configuration.
fn small(name: &str) -> (Folder, String) {
    let folder = Folder::new(name);
    folder.write("train.safetensors", some_digits(40));
    folder.write("held_out.safetensors", some_digits(16));
    let config = folder.write("config.toml", configuration(".".as_ref()));
    (folder, config)
}

#[test]
fn digits_are_learned() {
    let folder = Folder::new("digits");
    let config = root().join("examples/training/digits_lenet.toml").to_string_lossy().into_owned();
    let (data, output) = (digits().to_string_lossy().into_owned(), folder.at("out"));
    let told = trains(&[&config, "--data", &data, "--output", &output, "--steps", "60"]);
    let log = String::from_utf8(folder.read("out/log.jsonl")).expect("a log is text");
    let curve = LossCurve::from_json_lines(&log).expect("a log can be read");
    let last = |name: &str| {
        let of = curve.metrics().iter().find(|(known, _)| known == name);
        of.and_then(|(_, points)| points.last()).map(|(_, value)| *value)
    };
    // Of 500 digits that were not learned from; a guess is right one time in ten.
    assert!(last("accuracy").is_some_and(|accuracy| accuracy > 0.8), "{told}");
    assert!(told.contains("held out: loss ") && told.contains("step 60/60"), "{told}");
    // What was learned is a model like any other.
    let image = format!("image={}", root().join("tests/images/digits/7_0.png").display());
    let model = folder.at("out/model.onnx");
    let run = gristmill(&["run", &model, "--inputs", &image, "--mean", "0.1307", "--std", "0.3081"]);
    assert!(run.status.success() && text(&run.stdout).contains("logits"), "{}", text(&run.stderr));
    assert!(folder.has("out/curve.svg") && folder.has("out/checkpoints"));
}

/// A step of an example on the small part of its data, with every metric on some of what is held out.
fn begins(name: &str, data: &str) {
    let folder = Folder::new(name);
    let examples = root().join("examples/training");
    let place = |part: &str| examples.join(part).to_string_lossy().into_owned();
    let (config, data, output) = (place(&format!("{name}.toml")), place(&format!("data/{data}")), folder.at("out"));
    let told = trains(&[&config, "--data", &data, "--output", &output, "--steps", "1"]);
    assert!(told.contains("1 steps") && folder.has("out/log.jsonl"), "{told}");
}

#[test]
fn phonemes_begin() {
    begins("phonemes", "phonemes");
}

#[test]
fn shakespeare_begins() {
    begins("shakespeare", "shakespeare");
}

#[test]
fn spoken_digits_begin() {
    begins("spoken_digits", "spoken_digits");
}

#[test]
fn fine_tuning_begins() {
    begins("digits_fine_tuned", "digits");
}

#[test]
fn a_run_goes_on_to_the_same_bytes() {
    let (folder, config) = small("resume");
    let (whole, parts) = (folder.at("whole"), folder.at("parts"));
    trains(&[&config, "--output", &whole]);
    // In the middle of an epoch, and off the steps at which checkpoints are saved.
    trains(&[&config, "--output", &parts, "--steps", "3"]);
    let told = trains(&[&config, "--output", &parts, "--resume"]);
    assert!(told.contains("goes on from step 3"), "{told}");
    for file in ["weights.safetensors", "model.onnx", "checkpoints/step-000000000006.safetensors"] {
        assert_eq!(folder.read(&format!("whole/{file}")), folder.read(&format!("parts/{file}")), "{file}");
    }
    let curve = |part: &str| {
        let log = String::from_utf8(folder.read(&format!("{part}/log.jsonl"))).expect("a log is text");
        LossCurve::from_json_lines(&log).expect("a log can be read").losses().to_vec()
    };
    assert_eq!(curve("whole").len(), 6);
    assert_eq!(curve("whole"), curve("parts"));
    // At its end there is nothing left to do, and what was written stays.
    let weights = folder.read("parts/weights.safetensors");
    trains(&[&config, "--output", &parts, "--resume"]);
    assert_eq!(folder.read("parts/weights.safetensors"), weights);
    // A run that starts anew learns the same.
    trains(&[&config, "--output", &parts, "--fresh"]);
    assert_eq!(folder.read("parts/weights.safetensors"), weights);
}

#[test]
fn what_was_learned_is_where_another_run_starts() {
    let (folder, config) = small("initial");
    trains(&[&config, "--output", &folder.at("first")]);
    let text = String::from_utf8(folder.read("config.toml")).expect("a configuration is text");
    let text = text.replace("seed = 1", "seed = 2\ninitial = \"first/weights.safetensors\"\nfrozen = [\"conv*\"]");
    let second = folder.write("second.toml", text);
    let told = trains(&[&second, "--output", &folder.at("second"), "--steps", "2"]);
    assert!(told.contains("4 more stay as they are"), "{told}");
    let load = |part: &str| Safetensors::load(folder.at(&format!("{part}/weights.safetensors"))).expect("weights");
    let (first, second) = (load("first"), load("second"));
    assert!(second.get("conv1.weight").is_none_or(|weight| Some(weight) == first.get("conv1.weight")));
    assert!(second.get("fc1.weight").is_some() && second.get("fc1.weight") != first.get("fc1.weight"));
}

#[test]
fn a_dry_run_writes_nothing() {
    let (folder, config) = small("dry");
    let output = folder.at("out");
    let told = trains(&[&config, "--output", &output, "--dry-run"]);
    for part in ["dispatches", "of the forward pass alone", "memory", "activations and gradients", "a step", "the run"] {
        assert!(told.contains(part), "`{part}` in {told}");
    }
    assert!(told.contains("61,706 parameters"), "{told}");
    assert!(!folder.has("out"));
}

/// Sends the signal that Ctrl-C sends.
#[cfg(unix)]
#[test]
fn an_end_that_is_asked_for_saves() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    let (folder, config) = small("interrupt");
    let output = folder.at("out");
    let arguments = ["train", &config, "--output", &output, "--steps", "1000000"];
    let mut child = command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary was built");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.starts_with("step 2/")), "no step was told");
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("a program that sends signals");
    assert!(sent.success());
    let rest: Vec<String> = lines.collect();
    let Output { status, stderr, .. } = child.wait_with_output().expect("it ends");
    assert_eq!(status.code(), Some(130), "{}", text(&stderr));
    assert!(rest.iter().any(|line| line.contains("--resume") && line.contains("as was asked")), "{rest:?}");
    assert!(folder.has("out/checkpoints") && folder.has("out/weights.safetensors"));
}
