//! The layers that networks are made of. A layer's parameters are named after it, `NAME.weight` and `NAME.bias`, and have PyTorch's layouts.

use super::initial::Initial;
use crate::error::Result;
use crate::graph::{Builder, Dim, Graph, ValueId};
use crate::operators::{self, Operator, SlidingWindow};
use crate::tensor::{DType, Tensor};
use std::collections::HashMap;

/// A network that is being written.
pub(super) struct Layers {
    pub(super) builder: Builder,
    seed: u32,
    /// Parameters that are there.
    known: HashMap<String, ValueId>,
    /// Within a loop, the parameters that it reads, in the order of its inputs.
    captured: Option<Vec<Captured>>,
    /// Decides what is dropped.
    key: Option<ValueId>,
    /// Layers that drop elements, of which each has a stream of its own.
    streams: u32,
}

/// A parameter that a loop reads of the graph around it.
pub(super) struct Captured {
    name: String,
    shape: Vec<usize>,
    initial: Initial,
}

impl Layers {
    pub(super) fn new(name: &str, seed: u32) -> Self {
        Layers { builder: Builder::new(name), seed, known: HashMap::new(), captured: None, key: None, streams: 0 }
    }

    /// A turn of a loop: what it is given is declared before it asks for parameters.
    pub(super) fn of_turn(name: &str) -> Self {
        Layers { captured: Some(Vec::new()), ..Layers::new(name, 0) }
    }

    /// The graph of a turn, and the parameters that it reads.
    pub(super) fn finish_turn(mut self, outputs: &[(&str, ValueId)]) -> Result<(Graph, Vec<Captured>)> {
        let captured = self.captured.take().unwrap_or_default();
        Ok((self.finish(outputs)?, captured))
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

    /// A parameter, which is drawn where it is first asked for; within a loop it is that of the graph around.
    pub(super) fn parameter(&mut self, name: &str, shape: &[usize], initial: Initial) -> Result<ValueId> {
        if let Some(known) = self.known.get(name) {
            return Ok(*known);
        }
        let value = match &mut self.captured {
            Some(captured) => {
                captured.push(Captured { name: name.to_string(), shape: shape.to_vec(), initial });
                let dims: Vec<Dim> = shape.iter().map(|extent| Dim::Known(*extent)).collect();
                self.builder.input(name, DType::F32, &dims)
            }
            None => self.builder.constant(name, initial.draw(shape, name, self.seed)?),
        };
        self.known.insert(name.to_string(), value);
        Ok(value)
    }

    /// A parameter that a loop reads.
    pub(super) fn given(&mut self, captured: &Captured) -> Result<ValueId> {
        self.parameter(&captured.name, &captured.shape, captured.initial)
    }

    /// Integers that are the same in all runs.
    pub(super) fn integers(&mut self, name: &str, numbers: &[i64]) -> ValueId {
        self.builder.constant(name, Tensor::vector(numbers))
    }

    /// A small integer of 32 bits.
    pub(super) fn number(&mut self, name: &str, number: i32) -> ValueId {
        self.builder.constant(name, Tensor::scalar(number))
    }

    /// The same elements under other extents: 0 stands for what was there, -1 for what is left.
    pub(super) fn reshaped(&mut self, name: &str, x: ValueId, extents: &[i64]) -> ValueId {
        let extents = self.integers(&format!("{name}.extents"), extents);
        self.node(name, operators::reshape(false), &[x, extents])
    }

    pub(super) fn transposed(&mut self, name: &str, x: ValueId, permutation: &[i64]) -> ValueId {
        self.node(name, operators::transpose(Some(permutation.to_vec())), &[x])
    }

    pub(super) fn cast(&mut self, name: &str, x: ValueId, to: DType) -> Result<ValueId> {
        Ok(self.node(name, operators::cast(to)?, &[x]))
    }

    /// A fully connected layer as PyTorch starts it.
    pub(super) fn linear(&mut self, name: &str, x: ValueId, widths: [usize; 2]) -> Result<ValueId> {
        let initial = Initial::of_inputs(widths[0]);
        self.linear_from(name, x, widths, initial, Some(initial))
    }

    /// A fully connected layer, without a bias where that starts as nothing.
    pub(super) fn linear_from(
        &mut self,
        name: &str,
        x: ValueId,
        [inputs, outputs]: [usize; 2],
        weight: Initial,
        bias: Option<Initial>,
    ) -> Result<ValueId> {
        let weight = self.parameter(&format!("{name}.weight"), &[outputs, inputs], weight)?;
        let Some(bias) = bias else { return Ok(self.product(name, x, weight)) };
        let bias = self.parameter(&format!("{name}.bias"), &[outputs], bias)?;
        let product = self.product(&format!("{name}.product"), x, weight);
        self.function(name, "Add", &[product, bias])
    }

    /// A product with weights `[outputs, inputs]`.
    pub(super) fn product(&mut self, name: &str, x: ValueId, weight: ValueId) -> ValueId {
        let weight = self.transposed(&format!("{name}.turned"), weight, &[1, 0]);
        self.node(name, operators::matmul(), &[x, weight])
    }

    /// Rows of a table, which ids name.
    pub(super) fn embedding(&mut self, name: &str, ids: ValueId, extents: [usize; 2], initial: Initial) -> Result<ValueId> {
        let table = self.parameter(&format!("{name}.weight"), &extents, initial)?;
        Ok(self.node(name, operators::gather(0), &[table, ids]))
    }

    /// Layer normalization over the last axis.
    pub(super) fn normalized(&mut self, name: &str, x: ValueId, width: usize, bias: bool) -> Result<ValueId> {
        let mut inputs = vec![x, self.parameter(&format!("{name}.weight"), &[width], Initial::Constant(1.0))?];
        if bias {
            inputs.push(self.parameter(&format!("{name}.bias"), &[width], Initial::Constant(0.0))?);
        }
        Ok(self.node(name, operators::layer_normalization(-1, 1e-5), &inputs))
    }

    /// Drops a part of the elements of what learns. Which ones, `dropout_key` decides, an input that steps give themselves.
    pub(super) fn dropout(&mut self, name: &str, x: ValueId, ratio: f64) -> Result<ValueId> {
        if ratio == 0.0 {
            return Ok(x);
        }
        let key = match self.key {
            Some(key) => key,
            None => self.input("dropout_key", DType::I32, [&2usize]),
        };
        self.key = Some(key);
        self.streams += 1;
        Ok(self.node(name, operators::dropout(ratio, self.streams)?, &[x, key]))
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

/// The largest size of a network: sums and products of a few of them are numbers still.
const LARGEST: usize = 1 << 20;

/// Whether a network can have these sizes.
pub(super) fn are_sizes(extents: &[usize]) -> bool {
    extents.iter().all(|extent| (1..=LARGEST).contains(extent))
}

/// Windows of two by two that do not overlap; a row or column that is left over is left out.
pub(super) fn halving() -> SlidingWindow {
    SlidingWindow { kernel_shape: vec![2, 2], strides: vec![2, 2], ..SlidingWindow::default() }
}
