//! Gradients against PyTorch in double precision (tests/training, whose README names the source): single operators, losses and whole networks, by
//! the references in double precision and by the device. `GRISTMILL_TRAINING_FIXTURES` names another folder of files of the same form;
//! `TRAINING_CASES` selects cases by a part of their names.

mod attention;
mod cases;
mod corners;
mod ctc;
mod curves;
mod datasets;
mod differences;
mod diverging;
mod dropout;
mod example_data;
mod files;
mod first_step;
mod fitting;
mod killed;
mod loading;
mod logs;
mod losses;
mod models;
mod modes;
mod normalization;
mod optimizers;
mod places;
mod recurrent;
mod rule_check;
pub mod rules;
mod safetensors;
mod saving;
mod schedules;
mod sets;
mod step;
mod windows;

use crate::properties::idioms::network::{Attribute, Network, Node};
use crate::support::gpu;
use gristmill::graph::Graph;
use gristmill::{DType, Model, Options, Session, Tensor, TensorView, train};
use safetensors::Stored;
use serde_json::Value as Json;
use std::collections::HashMap;

/// Rule B: all elements, infinite and undefined ones alike.
fn difference(found: &Tensor, truth: &Tensor, relative: f64, whole: f64) -> Option<String> {
    let (found, truth) = (found.to_f64(), truth.to_f64());
    if found.len() != truth.len() {
        return Some(format!("expected {} elements, found {}", truth.len(), found.len()));
    }
    let most = truth.iter().copied().filter(|x| x.is_finite()).map(f64::abs).fold(0.0, f64::max);
    let bound = |t: f64| 1e-7 + relative * t.abs() + whole * most;
    let wrong = |(f, t): (&f64, &f64)| !(f == t || f.is_nan() && t.is_nan() || (f - t).abs() <= bound(*t));
    let all: Vec<usize> = (0..truth.len()).filter(|k| wrong((&found[*k], &truth[*k]))).collect();
    let first = *all.first()?;
    Some(format!("{} of {} elements; at {first}: expected {}, found {}", all.len(), truth.len(), truth[first], found[first]))
}

/// An attribute as an ONNX file holds it.
fn attribute(json: &Json) -> Attribute {
    let integer = |json: &Json| json.as_i64().expect("an integer");
    match json {
        Json::Number(n) if n.is_i64() => Attribute::Int(integer(json)),
        Json::Number(n) => Attribute::Float(n.as_f64().expect("a float") as f32),
        Json::String(text) => Attribute::Text(text.clone()),
        Json::Bool(flag) => Attribute::Int(i64::from(*flag)),
        Json::Array(items) if items.iter().all(|item| item.is_i64()) => Attribute::Ints(items.iter().map(integer).collect()),
        Json::Array(items) if items.iter().all(Json::is_string) => {
            Attribute::Texts(items.iter().map(|item| item.as_str().expect("a text").to_string()).collect())
        }
        Json::Array(items) => Attribute::Floats(items.iter().map(|item| item.as_f64().expect("a float") as f32).collect()),
        other => panic!("an attribute {other}"),
    }
}

fn names(json: &Json) -> Vec<String> {
    json.as_array().expect("a list").iter().map(|name| name.as_str().expect("a name").to_string()).collect()
}

/// Stands before the names of outputs: an input may have the same.
const MADE: &str = "made.";

fn made(name: &str) -> String {
    format!("{MADE}{name}")
}

/// One case: a node, and what is known of it.
struct Case<'a> {
    name: &'a str,
    json: &'a Json,
    stored: &'a Stored,
}

impl Case<'_> {
    fn tensor(&self, part: &str, name: &str) -> Option<Tensor> {
        self.stored.tensor(&format!("{}.{part}.{name}", self.name))
    }

    /// The node as a network whose floats are of this dtype, with its inputs.
    fn network(&self, opset: i64, dtype: DType) -> Network {
        let (inputs, outputs) = (names(&self.json["inputs"]), names(&self.json["outputs"]));
        let mut network = Network { version: opset, ..Network::default() };
        for name in inputs.iter().filter(|name| !name.is_empty()) {
            if network.inputs.iter().all(|(known, _)| known != name) {
                network.inputs.push((name.clone(), floats(&self.tensor("input", name).expect("an input"), dtype)));
            }
        }
        for name in &outputs {
            if let Some(tensor) = self.tensor("output", name) {
                network.types.insert(made(name), floats(&tensor, dtype).ty().clone());
                network.outputs.push(made(name));
            }
        }
        let attributes = self.json["attributes"].as_object().expect("attributes");
        network.nodes.push(Node {
            operator: self.json["op"].as_str().expect("an operator").to_string(),
            domain: String::new(),
            inputs,
            outputs: outputs.iter().map(|name| if name.is_empty() { String::new() } else { made(name) }).collect(),
            attributes: attributes.iter().map(|(name, value)| (name.clone(), attribute(value))).collect(),
        });
        network
    }

    /// What is wrong with a run in floats of this dtype.
    fn check(&self, opset: i64, dtype: DType) -> Result<(), String> {
        let network = self.network(opset, dtype);
        let model = Model::from_bytes(&network.encode(), None).map_err(|e| e.to_string())?;
        let own = |name: &str| name.trim_start_matches(MADE).to_string();
        let upstream: Vec<&str> =
            network.outputs.iter().map(String::as_str).filter(|name| self.tensor("upstream", &own(name)).is_some()).collect();
        let subjects = names(&self.json["wrt"]);
        let subjects: Vec<&str> = subjects.iter().map(String::as_str).collect();
        let graph = train::with_gradients(model.graph(), &upstream, &upstream, &subjects).map_err(|e| e.to_string())?;
        let mut inputs = network.inputs.clone();
        for name in &upstream {
            inputs.push((format!("upstream.{name}"), floats(&self.tensor("upstream", &own(name)).expect("it is there"), dtype)));
        }
        let given: Vec<(&str, TensorView<'_>)> = inputs.iter().map(|(name, tensor)| (name.as_str(), tensor.view())).collect();
        let found = session(graph, dtype).and_then(|session| session.run_blocking(&given)).map_err(|e| e.to_string())?;
        let (relative, whole) = bounds(dtype);
        let mut wrong = Vec::new();
        let mut compare = |part: &str, name: &str, of: &str| {
            if let (Some(truth), Some(found)) = (self.tensor(part, name), found.get(of)) {
                wrong.extend(difference(found, &truth, relative, whole).map(|text| format!("{of}: {text}")));
            }
        };
        network.outputs.iter().for_each(|name| compare("output", &own(name), name));
        subjects.iter().for_each(|name| compare("grad", name, &format!("gradient.{name}")));
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
    }
}

/// A session that computes in floats of this dtype: the references in double precision, the device in single.
fn session(graph: Graph, dtype: DType) -> gristmill::Result<Session> {
    let model = Model::from_graph(graph);
    match dtype {
        DType::F64 => Session::cpu(&model, Options::default()),
        _ => Session::new_blocking(gpu(), &model, Options::default()),
    }
}

/// What of an element, and of the greatest, a result may be off by.
fn bounds(dtype: DType) -> (f64, f64) {
    if dtype == DType::F64 { (0.0, 1e-7) } else { (1e-4, 2e-5) }
}

/// A tensor whose elements, where they are floats, are of this dtype.
fn floats(tensor: &Tensor, dtype: DType) -> Tensor {
    if !tensor.dtype().is_float() {
        return tensor.clone();
    }
    Tensor::from_f64(gristmill::TensorType::new(dtype, tensor.shape().clone()), &tensor.to_f64()).expect("as many elements")
}

fn operators(dtype: DType) {
    let stored = Stored::open("grads.safetensors");
    let wanted = std::env::var("TRAINING_CASES").unwrap_or_default();
    let opset = stored.json["opset"].as_i64().expect("an operator set");
    let cases = stored.json["cases"].as_object().expect("cases");
    let (mut failures, mut passed) = (Vec::new(), 0);
    for (name, json) in cases.iter().filter(|(name, _)| name.contains(&wanted)) {
        match (Case { name, json, stored: &stored }).check(opset, dtype) {
            Ok(()) => passed += 1,
            Err(message) => failures.push(format!("{name} ({}): {message}", json["op"])),
        }
    }
    let mut kinds: HashMap<&str, usize> = HashMap::new();
    failures.iter().for_each(|f| *kinds.entry(f.split(['(', ')']).nth(1).unwrap_or("?")).or_default() += 1);
    assert!(failures.is_empty(), "{passed} passed, {} failures {kinds:?}:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn training_operators_by_references() {
    operators(DType::F64);
}

#[test]
fn training_operators_on_the_device() {
    operators(DType::F32);
}
