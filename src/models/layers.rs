//! The layers that networks are made of. A layer's parameters are named after it, `NAME.weight` and `NAME.bias`, and have PyTorch's layouts.

use super::initial::Initial;
use crate::error::Result;
use crate::graph::{Builder, Dim, Graph, ValueId};
use crate::operators::{self, Operator, SlidingWindow};
use crate::tensor::DType;
use std::collections::HashMap;

/// A network that is being written.
pub(super) struct Layers {
    pub(super) builder: Builder,
    seed: u32,
    /// Parameters that are there.
    known: HashMap<String, ValueId>,
}

impl Layers {
    pub(super) fn new(name: &str, seed: u32) -> Self {
        Layers { builder: Builder::new(name), seed, known: HashMap::new() }
    }

    /// An input; a text stands for an open extent.
    pub(super) fn input<const N: usize>(&mut self, name: &str, dtype: DType, dims: [&dyn Extent; N]) -> ValueId {
        self.builder.input(name, dtype, &dims.map(Extent::dim))
    }

    /// The graph, which ends in these values.
    pub(super) fn finish(mut self, outputs: &[(&str, ValueId)]) -> Result<Graph> {
        for (name, value) in outputs {
            self.builder.output(name, *value)?;
        }
        self.builder.finish()
    }

    /// A node, whose output is named like it.
    pub(super) fn node(&mut self, name: &str, operator: Operator, inputs: &[ValueId]) -> ValueId {
        let inputs: Vec<Option<ValueId>> = inputs.iter().copied().map(Some).collect();
        self.builder.node(name, operator, &inputs)
    }

    /// A scalar function of one or two values.
    pub(super) fn function(&mut self, name: &str, function: &str, inputs: &[ValueId]) -> Result<ValueId> {
        let operator = if inputs.len() == 1 { operators::unary(function)? } else { operators::binary(function)? };
        Ok(self.node(name, operator, inputs))
    }

    /// A parameter, which is drawn where it is first asked for.
    pub(super) fn parameter(&mut self, name: &str, shape: &[usize], initial: Initial) -> Result<ValueId> {
        if let Some(known) = self.known.get(name) {
            return Ok(*known);
        }
        let value = self.builder.constant(name, initial.draw(shape, name, self.seed)?);
        self.known.insert(name.to_string(), value);
        Ok(value)
    }

    /// A fully connected layer with a bias.
    pub(super) fn linear(&mut self, name: &str, x: ValueId, [inputs, outputs]: [usize; 2]) -> Result<ValueId> {
        let initial = Initial::of_inputs(inputs);
        let weight = self.parameter(&format!("{name}.weight"), &[outputs, inputs], initial)?;
        let bias = self.parameter(&format!("{name}.bias"), &[outputs], initial)?;
        let weight = self.node(&format!("{name}.turned"), operators::transpose(Some(vec![1, 0])), &[weight]);
        let product = self.node(&format!("{name}.product"), operators::matmul(), &[x, weight]);
        self.function(name, "Add", &[product, bias])
    }

    /// A convolution of images by square kernels, with so many zeros around the images.
    pub(super) fn convolution(
        &mut self,
        name: &str,
        x: ValueId,
        [inputs, outputs]: [usize; 2],
        kernel: usize,
        pad: i64,
    ) -> Result<ValueId> {
        let initial = Initial::of_inputs(inputs * kernel * kernel);
        let weight = self.parameter(&format!("{name}.weight"), &[outputs, inputs, kernel, kernel], initial)?;
        let bias = self.parameter(&format!("{name}.bias"), &[outputs], initial)?;
        let window = SlidingWindow { pads: vec![pad; 4], ..SlidingWindow::default() };
        Ok(self.node(name, operators::conv(window, 1), &[x, weight, bias]))
    }
}

/// What an input may be along an axis.
pub(super) trait Extent {
    fn dim(&self) -> Dim;
}

impl Extent for usize {
    fn dim(&self) -> Dim {
        Dim::Known(*self)
    }
}

impl Extent for &str {
    fn dim(&self) -> Dim {
        Dim::Named((*self).to_string())
    }
}

/// Windows of two by two that do not overlap; a row or column that is left over is left out.
pub(super) fn halving() -> SlidingWindow {
    SlidingWindow { kernel_shape: vec![2, 2], strides: vec![2, 2], ..SlidingWindow::default() }
}
