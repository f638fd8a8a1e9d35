//! What a file of the training fixtures says of a network.

use crate::training::optimizers::Optimizer;
use crate::training::safetensors::Stored;
use crate::training::{floats, names};
use gristmill::{DType, Tensor};
use serde_json::Value as Json;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// A file that describes a network, and what its parameters and buffers hold.
#[derive(Clone)]
pub struct ModelFile {
    /// Its name without the ending.
    pub name: String,
    stored: Arc<Stored>,
    held: HashMap<String, Tensor>,
}

impl ModelFile {
    /// All files of the folder that describe networks, by their names.
    pub fn all() -> Vec<ModelFile> {
        let files = Stored::all().into_iter().filter(|(_, stored)| stored.json["kind"] == "model");
        files.map(|(name, stored)| ModelFile { name, stored: Arc::new(stored), held: HashMap::new() }).collect()
    }

    /// Its description.
    pub fn json(&self) -> &Json {
        &self.stored.json
    }

    /// A tensor by its whole name.
    pub fn tensor(&self, name: &str) -> Option<Tensor> {
        self.stored.tensor(name)
    }

    /// A tensor that has to be there.
    pub fn need(&self, name: &str) -> Tensor {
        self.tensor(name).unwrap_or_else(|| panic!("{} has no tensor {name}", self.name))
    }

    /// What a parameter or buffer holds: what it was set to, else what the file says of the start.
    pub fn held(&self, name: &str) -> Option<Tensor> {
        self.held.get(name).cloned().or_else(|| self.tensor(&format!("init.{name}")))
    }

    /// Makes a parameter or buffer hold something else than at the start.
    pub fn set(&mut self, name: &str, tensor: Tensor) {
        self.held.insert(name.to_string(), tensor);
    }

    /// The extents of a parameter or buffer.
    pub fn shape(&self, name: &str) -> Vec<usize> {
        self.held(name).unwrap_or_else(|| panic!("{} has no parameter {name}", self.name)).shape().to_vec()
    }

    pub fn parameters(&self) -> Vec<String> {
        names(&self.json()["parameters"])
    }

    pub fn buffers(&self) -> Vec<String> {
        names(&self.json()["buffers"])
    }

    /// How many steps of training its truth is about.
    pub fn steps(&self) -> usize {
        self.json()["steps"].as_u64().expect("a number of steps") as usize
    }

    /// The optimizers that it was trained by, by their names.
    pub fn optimizers(&self) -> Vec<(String, Optimizer)> {
        let optimizers = self.json()["optimizers"].as_object().expect("optimizers");
        optimizers.iter().map(|(name, json)| (name.clone(), Optimizer::of(json))).collect()
    }

    /// Elements of a parameter that its loss does not depend on.
    pub fn undetermined(&self, parameter: &str) -> Vec<Range<usize>> {
        let ranges = self.json()["undetermined"][parameter].as_array().cloned().unwrap_or_default();
        let end = |range: &Json, k: usize| range[k].as_u64().expect("an element") as usize;
        ranges.iter().map(|range| end(range, 0)..end(range, 1)).collect()
    }

    /// The data of a step that are inputs of its graph, floats in this dtype.
    pub fn data(&self, dtype: DType) -> Vec<(String, Tensor)> {
        let own = self.stored.names().into_iter().filter_map(|name| name.strip_prefix("data.").map(String::from));
        let inputs = own.filter(|name| name != HEADS);
        inputs.map(|name| (name.clone(), floats(&self.need(&format!("data.{name}")), dtype))).collect()
    }

    /// The number of heads of its attention.
    pub fn heads(&self) -> usize {
        self.need(&format!("data.{HEADS}")).to_i64()[0] as usize
    }

    /// A number among the sizes that are no extents of tensors.
    pub fn number(&self, name: &str) -> f64 {
        self.json()["sizes"][name].as_f64().unwrap_or_else(|| panic!("{} has no size {name}", self.name))
    }

    /// A list of integers among them.
    pub fn list(&self, name: &str) -> Vec<i64> {
        let list = self.json()["sizes"][name].as_array().unwrap_or_else(|| panic!("{} has no list {name}", self.name));
        list.iter().map(|item| item.as_i64().expect("an integer")).collect()
    }
}

/// Stands among the data, and is an attribute of the network.
const HEADS: &str = "heads";
