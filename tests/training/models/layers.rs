//! Words for the layers that networks are made of. Parameters have the names and layouts of their file; what operators want otherwise, nodes
//! of the graph make of them, so that gradients are with respect to what the file holds.

use super::{Mode, ModelFile, ModelGraph};
use crate::training::floats;
use gristmill::graph::{Builder, Dim, ValueId};
use gristmill::operators::{self, Operator, Reduction, SlidingWindow};
use gristmill::{DType, Tensor, TensorType};
use std::collections::HashMap;

/// A network that is being written.
pub struct Layers<'a> {
    pub file: &'a ModelFile,
    pub mode: Mode,
    pub builder: Builder,
    /// Whether sequences of the prediction are [batch, time, classes], and not [time, batch, classes].
    pub batch_first: bool,
    dtype: DType,
    /// Constants for parameters, states for buffers, inputs for data.
    known: HashMap<String, ValueId>,
}

impl<'a> Layers<'a> {
    /// A graph with the file's data for inputs.
    pub fn new(file: &'a ModelFile, dtype: DType, mode: Mode) -> Self {
        let mut builder = Builder::new(file.name.clone());
        let mut known = HashMap::new();
        for (name, tensor) in file.data(dtype) {
            let dims: Vec<Dim> = tensor.shape().iter().map(|extent| Dim::Known(*extent)).collect();
            known.insert(format!("data.{name}"), builder.input(&name, tensor.dtype(), &dims));
        }
        Layers { file, mode, builder, batch_first: false, dtype, known }
    }

    /// The graph, with what it predicts and its loss for outputs.
    pub fn finish(mut self, prediction: ValueId, loss: ValueId) -> gristmill::Result<ModelGraph> {
        let (parameters, buffers) = (self.file.parameters(), self.file.buffers());
        let unused: Vec<&String> = parameters.iter().chain(&buffers).filter(|name| !self.known.contains_key(*name)).collect();
        assert!(unused.is_empty(), "{} does not use {unused:?}", self.file.name);
        self.builder.output("prediction", prediction)?;
        self.builder.output("loss", loss)?;
        Ok(ModelGraph { graph: self.builder.finish()?, prediction: "prediction".into(), loss: "loss".into(), parameters, buffers })
    }

    /// An input of the graph.
    pub fn data(&self, name: &str) -> ValueId {
        *self.known.get(&format!("data.{name}")).unwrap_or_else(|| panic!("{} has no data {name}", self.file.name))
    }

    /// The first of these inputs that the file has.
    pub fn first_data(&self, names: &[&str]) -> ValueId {
        let found = names.iter().find_map(|name| self.known.get(&format!("data.{name}")));
        *found.unwrap_or_else(|| panic!("{} has none of the data {names:?}", self.file.name))
    }

    /// The extents of an input of the graph.
    pub fn data_shape(&self, name: &str) -> Vec<usize> {
        self.file.need(&format!("data.{name}")).shape().to_vec()
    }

    pub fn has(&self, parameter: &str) -> bool {
        self.file.held(parameter).is_some()
    }

    fn held(&self, name: &str) -> Tensor {
        let tensor = self.file.held(name).unwrap_or_else(|| panic!("{} has no parameter {name}", self.file.name));
        floats(&tensor, self.dtype)
    }

    pub fn parameter(&mut self, name: &str) -> ValueId {
        if let Some(known) = self.known.get(name) {
            return *known;
        }
        let id = self.builder.constant(name, self.held(name));
        self.known.insert(name.to_string(), id);
        id
    }

    /// What a state holds; it has to be written.
    pub fn buffer(&mut self, name: &str) -> ValueId {
        let id = self.builder.state(name, self.held(name));
        self.known.insert(name.to_string(), id);
        id
    }

    pub fn apply(&mut self, operator: Operator, inputs: &[ValueId]) -> ValueId {
        let inputs: Vec<Option<ValueId>> = inputs.iter().copied().map(Some).collect();
        self.builder.node(operator.clone().name(), operator, &inputs)
    }

    /// Several outputs of an operator whose inputs may be left out; of outputs those that are wanted.
    pub fn apply_all(&mut self, operator: Operator, inputs: &[Option<ValueId>], wanted: &[bool]) -> Vec<ValueId> {
        let outputs: Vec<Option<ValueId>> =
            wanted.iter().map(|wanted| wanted.then(|| self.builder.value(operator.name(), None))).collect();
        self.builder.push(operator.clone().name(), operator, inputs.to_vec(), outputs.clone());
        outputs.into_iter().flatten().collect()
    }

    /// A scalar function of one or two values.
    pub fn function(&mut self, name: &str, inputs: &[ValueId]) -> ValueId {
        let operator = if inputs.len() == 1 { operators::unary(name) } else { operators::binary(name) };
        self.apply(operator.expect("a function"), inputs)
    }

    pub fn number(&mut self, value: f64) -> ValueId {
        let tensor = Tensor::from_f64(TensorType::new(self.dtype, []), &[value]).expect("one element");
        self.builder.constant("number", tensor)
    }

    pub fn with_number(&mut self, name: &str, value: ValueId, number: f64) -> ValueId {
        let number = self.number(number);
        self.function(name, &[value, number])
    }

    pub fn integers(&mut self, values: &[i64]) -> ValueId {
        self.builder.constant("integers", Tensor::vector(values))
    }

    /// Under other extents: 0 stands for what was there, -1 for what is left.
    pub fn reshaped(&mut self, value: ValueId, extents: &[i64]) -> ValueId {
        let extents = self.integers(extents);
        self.apply(operators::reshape(false), &[value, extents])
    }

    pub fn transposed(&mut self, value: ValueId, permutation: &[i64]) -> ValueId {
        self.apply(operators::transpose(Some(permutation.to_vec())), &[value])
    }

    /// A mean over axes.
    pub fn mean(&mut self, value: ValueId, axes: &[i64], kept: bool) -> ValueId {
        self.apply(operators::reduce(Reduction::Mean, Some(axes.to_vec()), kept, false), &[value])
    }

    /// A fully connected layer; without a bias where the file has none.
    pub fn linear(&mut self, name: &str, value: ValueId) -> ValueId {
        let weight = self.parameter(&format!("{name}.weight"));
        let weight = self.transposed(weight, &[1, 0]);
        let product = self.apply(operators::matmul(), &[value, weight]);
        if !self.has(&format!("{name}.bias")) {
            return product;
        }
        let bias = self.parameter(&format!("{name}.bias"));
        self.function("Add", &[product, bias])
    }

    /// The rows that ids name.
    pub fn embedding(&mut self, name: &str, ids: ValueId) -> ValueId {
        let weight = self.parameter(&format!("{name}.weight"));
        self.apply(operators::gather(0), &[weight, ids])
    }

    /// A convolution; its bias is left out where the file has none. Padding is half the kernel, rounded down, on either side, or none.
    pub fn convolution(&mut self, name: &str, value: ValueId, padded: bool, strides: Option<usize>) -> ValueId {
        let weight = format!("{name}.weight");
        let kernel = self.file.shape(&weight)[2..].to_vec();
        let pads: Vec<i64> = kernel.iter().map(|extent| if padded { *extent as i64 / 2 } else { 0 }).collect();
        let strides = strides.map_or(vec![], |stride| vec![stride as i64; kernel.len()]);
        let window = SlidingWindow { pads: [pads.clone(), pads].concat(), strides, ..SlidingWindow::default() };
        let mut inputs = vec![value, self.parameter(&weight)];
        if self.has(&format!("{name}.bias")) {
            inputs.push(self.parameter(&format!("{name}.bias")));
        }
        self.apply(operators::conv(window, 1), &inputs)
    }
}
