//! Graphs as ONNX files, and back: what a file computes is what the graph computed, bit by bit, unless a table says why not.

mod cases;
mod models;
mod states;
mod suite;
mod training;

use crate::onnx::Value;
use crate::onnx::values_by_references;
use gristmill::{Error, Form, Model, Structure, Tensor};

/// The model that the file of a model holds.
fn again(model: &Model) -> Result<Model, Error> {
    let bytes = model.to_onnx()?;
    assert!(bytes == model.to_onnx()?, "equal graphs make equal bytes");
    Model::from_bytes(&bytes, None)
}

/// Values for the inputs of a model, by the names that inputs of another have.
fn given(model: &Model, named: &[(String, Value)]) -> Vec<Value> {
    let graph = model.graph();
    let value = |name: &str| named.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    let names = graph.inputs().iter().map(|input| graph.value(input.value).name.as_str());
    names.map(|name| value(name).unwrap_or_else(|| panic!("there is no input `{name}`"))).collect()
}

/// Inputs of a model with their names.
fn named(model: &Model, inputs: &[Value]) -> Vec<(String, Value)> {
    let graph = model.graph();
    let names = graph.inputs().iter().map(|input| graph.value(input.value).name.clone());
    names.zip(inputs.iter().cloned()).collect()
}

/// The first difference between two tensors, bit by bit.
fn tensors_differ(found: &Tensor, expected: &Tensor) -> Option<String> {
    if found.ty() == expected.ty() && found.bytes() == expected.bytes() {
        return None;
    }
    let differing = found.to_f64().iter().zip(expected.to_f64()).position(|(f, e)| f.to_bits() != e.to_bits());
    let at = differing.map(|k| format!("element {k}: {} for {}", found.to_f64()[k], expected.to_f64()[k]));
    Some(format!("{} for {}, {}", found.ty(), expected.ty(), at.unwrap_or_default()))
}

/// The first difference between values.
fn differ(found: &[Value], expected: &[Value]) -> Option<String> {
    if found.len() != expected.len() {
        return Some(format!("{} outputs for {}", found.len(), expected.len()));
    }
    found.iter().zip(expected).enumerate().find_map(|(k, (found, expected))| match (found, expected) {
        (Structure::Absent, Structure::Absent) => None,
        (found, expected) if found.tensors().len() == expected.tensors().len() => {
            let mut pairs = found.tensors().iter().zip(expected.tensors());
            pairs.find_map(|(f, e)| tensors_differ(f, e)).map(|difference| format!("output {k}: {difference}"))
        }
        _ => Some(format!("output {k}: {found:?} for {expected:?}")),
    })
}

/// Whether a file computes what its model does, by references.
fn keeps(model: &Model, inputs: &[Value]) -> Result<Option<String>, Error> {
    let expected = values_by_references(model, inputs)?;
    let again = again(model)?;
    let found = values_by_references(&again, &given(&again, &named(model, inputs)))?;
    Ok(differ(&found, &expected))
}

/// The forms of the inputs of a model, in their order.
fn forms(model: &Model) -> Vec<Form> {
    model.graph().declared().iter().map(|input| input.form).collect()
}
