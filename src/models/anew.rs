//! Parameters of any graph drawn anew, by what reads them.

use super::initial::Initial;
use crate::error::Result;
use crate::graph::{Graph, Node, OpExt, ValueId};
use crate::ops::gather::Gather;
use crate::ops::transpose::Transpose;
use crate::tensor::Tensor;
use std::collections::HashMap;

/// The graph with new parameters from a seed, by what reads them, so that a network from a file learns from the beginning. They start as PyTorch's
/// layers do: weights and biases of convolutions, products and recurrent layers evenly within the root of what one sum has of them (for
/// recurrent ones, of the state); tables that ids pick rows of, with a standard deviation of 1; scales of normalizations from 1, their
/// biases from 0, running statistics from a mean of 0 and a variance of 1. A bias of a product is what is added to it, a number for each output.
///
/// Other constants stay as they are, as do those within branches and loops.
///
/// ```
/// use gristmill::models::{Cnn, drawn_anew};
///
/// let graph = Cnn::default().graph(1)?;
/// let other = drawn_anew(&graph, 2)?;
/// let weight = |graph: &gristmill::graph::Graph| graph.constant(graph.find("conv1.weight").expect("a parameter")).cloned();
/// assert_ne!(weight(&graph), weight(&other));
/// # Ok::<(), gristmill::Error>(())
/// ```
///
/// # Errors
/// None that a graph of the importer or of a builder has; as [`Graph::with_constants`].
pub fn drawn_anew(graph: &Graph, seed: u32) -> Result<Graph> {
    let mut uses = Uses { graph, makers: graph.producers(), found: HashMap::new() };
    graph.nodes().iter().for_each(|node| uses.look_at(node));
    let mut drawn = Vec::with_capacity(uses.found.len());
    for (name, tensor) in graph.constants() {
        let Some(initial) = uses.found.get(name) else { continue };
        let numbers = initial.draw(tensor.shape().clone(), name, seed)?;
        drawn.push((name.to_string(), Tensor::from_f64(tensor.ty().clone(), &numbers.to_f64())?));
    }
    graph.with_constants(&drawn)
}

/// What constants are for, as far as nodes were looked at. Of several uses of one the first counts.
struct Uses<'a> {
    graph: &'a Graph,
    makers: Vec<Option<usize>>,
    found: HashMap<String, Initial>,
}

impl Uses<'_> {
    fn look_at(&mut self, node: &Node) {
        match node.op.name() {
            "Conv" | "ConvTranspose" => {
                let Some(weight) = self.contents(node.input(1)) else { return };
                let initial = Initial::of_inputs(weight.shape().product(1..weight.shape().rank()));
                self.note(node.input(1), initial);
                self.note(node.input(2), initial);
            }
            "MatMul" => {
                for k in [1, 0] {
                    if let Some((value, inputs)) = self.weight(node, k) {
                        self.note(Some(value), Initial::of_inputs(inputs));
                    }
                }
            }
            "Add" => self.added(node),
            "GRU" | "LSTM" | "RNN" => {
                let Some(hidden) = self.contents(node.input(2)).and_then(|tensor| tensor.shape().last().copied()) else { return };
                (1..=3).for_each(|k| self.note(node.input(k), Initial::of_inputs(hidden)));
            }
            "Gather" if self.picks_rows(node) => self.note(node.input(0), Initial::Normal(1.0)),
            name if name.ends_with("Normalization") => {
                for (k, number) in [(1, 1.0), (2, 0.0), (3, 0.0), (4, 1.0)] {
                    self.note(node.input(k), Initial::Constant(number));
                }
            }
            _ => {}
        }
    }

    /// Whether ids pick rows of a table.
    fn picks_rows(&self, node: &Node) -> bool {
        let is_table = self.contents(node.input(0)).is_some_and(|table| table.shape().rank() == 2);
        is_table && node.op.downcast::<Gather>().is_some_and(|gather| gather.axis == 0)
    }

    /// What a constant holds, or a state before the first run.
    fn contents(&self, value: Option<ValueId>) -> Option<&Tensor> {
        let state = || self.graph.states().iter().find(|state| Some(state.input) == value)?.initial.as_ref();
        self.graph.constant(value?).or_else(state)
    }

    /// Notes what a float constant or state is for.
    fn note(&mut self, value: Option<ValueId>, initial: Initial) {
        if let (Some(id), true) = (value, self.contents(value).is_some_and(|tensor| tensor.dtype().is_float())) {
            self.found.entry(self.graph.value(id).name.clone()).or_insert(initial);
        }
    }

    fn maker(&self, value: ValueId) -> Option<&Node> {
        self.graph.nodes().get((*self.makers.get(value.index())?)?)
    }

    /// The constant that an operand of a product is, seen in some order of its axes, and how much of it one sum has.
    fn weight(&self, product: &Node, operand: usize) -> Option<(ValueId, usize)> {
        let value = product.input(operand)?;
        let (value, order) = match self.maker(value) {
            Some(maker) => (maker.input(0)?, Some(maker.op.downcast::<Transpose>()?)),
            None => (value, None),
        };
        let shape = self.contents(Some(value))?.shape();
        // The last axis of the first operand, the last but one of the second.
        let axis = shape.rank().checked_sub(1 + operand).filter(|_| shape.rank() >= 2)?;
        let axis = match order {
            Some(Transpose { permutation: Some(order), .. }) => usize::try_from(*order.get(axis)?).ok()?,
            Some(_) => shape.rank() - 1 - axis,
            None => axis,
        };
        Some((value, *shape.get(axis)?))
    }

    /// A number for each output that is added to a product.
    fn added(&mut self, node: &Node) {
        for (product, bias) in [(0, 1), (1, 0)] {
            let Some(made) = node.input(product).and_then(|value| self.maker(value)).filter(|made| made.op.name() == "MatMul")
            else {
                continue;
            };
            let is_row = |tensor: &Tensor| tensor.shape().last() == Some(&tensor.elements()) && tensor.elements() > 1;
            let weight = self.weight(made, 1).map(|(_, inputs)| inputs);
            if let (Some(inputs), true) = (weight, self.contents(node.input(bias)).is_some_and(is_row)) {
                self.note(node.input(bias), Initial::of_inputs(inputs));
            }
        }
    }
}
