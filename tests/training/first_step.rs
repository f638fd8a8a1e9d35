//! Networks at their initial parameters: what they predict, and the gradients of their losses with respect to all parameters, by rule B.

use super::models::{Mode, ModelFile, build};
use super::rules::rule_b;
use crate::support::gpu;
use gristmill::{DType, Model, Options, Session, TensorView, train};

/// The largest error of a file's network by its bound, and of which tensor.
fn worst(file: &ModelFile, dtype: DType, on_device: bool) -> gristmill::Result<(f64, String)> {
    let network = build(file, dtype, Mode::Training)?;
    let mut wanted = vec![(network.prediction, "pred0".to_string())];
    let parameters: Vec<&str> = network.parameters.iter().map(String::as_str).collect();
    let graph = train::with_gradients(&network.graph, &[&network.loss], &[], &parameters)?;
    wanted.extend(parameters.iter().map(|name| (format!("gradient.{name}"), format!("grad0.{name}"))));
    let model = Model::from_graph(graph);
    let session = match on_device {
        true => Session::new_blocking(gpu(), &model, Options::default())?,
        false => Session::cpu(&model, Options::default())?,
    };
    let data = file.data(dtype);
    let given: Vec<(&str, TensorView<'_>)> = data.iter().map(|(name, tensor)| (name.as_str(), tensor.view())).collect();
    let found = match network.buffers.is_empty() {
        true => session.run_blocking(&given)?,
        false => session.run_with_blocking(&mut session.state()?, &given)?,
    };
    let mut worst = (0.0, String::new());
    for (output, truth) in wanted {
        let (found, truth_of) = (found.get(&output).expect("it is an output"), file.need(&truth));
        let ratio = if found.shape() == truth_of.shape() { rule_b(found, &truth_of) } else { f64::INFINITY };
        if ratio > worst.0 {
            worst = (ratio, truth);
        }
    }
    Ok(worst)
}

fn networks(dtype: DType, on_device: bool) {
    let selected = std::env::var("TRAINING_CASES").unwrap_or_default();
    let mut failures = Vec::new();
    for file in ModelFile::all().iter().filter(|file| file.name.contains(&selected)) {
        match worst(file, dtype, on_device) {
            Ok((ratio, of)) => {
                println!("{} {dtype:?}: {ratio:.4} of its bound at {of}", file.name);
                if ratio > 1.0 {
                    failures.push(format!("{}: {ratio} times its bound at {of}", file.name));
                }
            }
            Err(error) => failures.push(format!("{}: {error}", file.name)),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn training_networks_by_references_in_double_precision() {
    networks(DType::F64, false);
}

#[test]
fn training_networks_by_references() {
    networks(DType::F32, false);
}

#[test]
fn training_networks_on_the_device() {
    networks(DType::F32, true);
}
