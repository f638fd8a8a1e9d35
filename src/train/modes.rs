//! Networks as they learn and as they are used. They differ in two operators: Dropout, and BatchNormalization.

use crate::error::Result;
use crate::graph::{Body, Builder, Graph, Node, NodeId, OpExt, ValueId, Writer};
use crate::ops::dropout::Dropout;
use crate::ops::norm::BatchNormalization;
use crate::ops::reshape::identity;
use crate::ops::shape::{constant_of_shape, shape};
use crate::tensor::{Tensor, TensorType};
use std::collections::HashSet;
use std::sync::Arc;

/// The form of a network that learns: BatchNormalization takes mean and variance from the batch, where it was given constants. They become
/// states of the graph, named as the constants were, and hold the running statistics as PyTorch has them: `momentum` of the old ones (0.9
/// stands for PyTorch's 0.1), and the rest of those of the batch, whose variance is the unbiased one.
///
/// Dropout stays what it is: at inference it is nothing, and a file that was written for training holds it. Nodes within branches and
/// loops stay as they are, since these have no states.
///
/// # Errors
/// What [`Builder::finish`] reports.
pub fn training(graph: &Graph) -> Result<Graph> {
    let mut writer = Writer::rewriting(graph);
    let mut states: Vec<[ValueId; 2]> = Vec::new();
    for id in writer.nodes() {
        let Some(node) = writer.node(id).cloned() else { continue };
        let Some(op) = node.op.downcast::<BatchNormalization>().filter(|op| !op.training_mode) else { continue };
        let found = [3, 4].map(|index| Statistic::find(graph, &writer, &node, index));
        let [Some(mean), Some(variance)] = found else { continue };
        let mut node = Node { op: op.over_batches(), ..node };
        node.outputs.resize(3, None);
        for (index, statistic) in [(3, mean), (4, variance)] {
            node.outputs[index - 2] = Some(match statistic {
                Statistic::Constant(contents) => {
                    let held = held(&mut writer, &node, index, contents)?;
                    let next = writer.value(&format!("{}.next", writer.get(held).name), None);
                    node.inputs[index] = Some(held);
                    states.push([held, next]);
                    next
                }
                Statistic::Kept { by, next } => {
                    writer.remove(by);
                    next
                }
            });
        }
        writer.replace(id, node);
    }
    for [held, next] in states {
        let name = writer.get(held).name.clone();
        writer.write_state(&name, next)?;
    }
    writer.finish()
}

/// What a BatchNormalization at inference takes for mean or variance.
enum Statistic {
    /// A constant of these contents.
    Constant(Tensor),
    /// What a state holds, which a node leaves as it is by writing `next`.
    Kept { by: NodeId, next: ValueId },
}

impl Statistic {
    fn find(graph: &Graph, writer: &Writer, node: &Node, index: usize) -> Option<Statistic> {
        let input = node.input(index)?;
        if let Some(contents) = graph.constant(input) {
            return Some(Statistic::Constant(contents.clone()));
        }
        let next = graph.states().iter().find(|state| state.input == input)?.output;
        let by = writer.producer(next)?;
        let keeps = writer.node(by).is_some_and(|node| node.op.name() == "Identity" && node.inputs == [Some(input)]);
        keeps.then_some(Statistic::Kept { by, next })
    }
}

/// The state that a constant becomes which a node reads. Nodes that read one constant have states of their own: exporters store equal ones
/// once.
fn held(writer: &mut Writer, node: &Node, index: usize, contents: Tensor) -> Result<ValueId> {
    let constant = node.needed(index)?;
    let is_shared = writer.contents(constant).is_none() || node.inputs.iter().filter(|input| **input == Some(constant)).count() > 1;
    let own = if is_shared { writer.constant(&writer.get(constant).name.clone(), contents) } else { constant };
    writer.remember(own)?;
    Ok(own)
}

/// The form of a network that is used: Dropout is its input, BatchNormalization has the running statistics for mean and variance, and
/// leaves them as they are. An input that decided which elements are dropped is there no more, unless other nodes read it.
///
/// # Errors
/// What [`Builder::finish`] reports.
pub fn evaluation(graph: &Graph) -> Result<Graph> {
    let (mut writer, keys) = without_training(graph)?;
    for key in keys {
        let input = graph.inputs().iter().find(|input| input.value == key);
        // Branches and loops that captured it read it no more.
        let is_read = writer.consumers(key).any(|id| writer.node(id).is_some_and(|node| node.op.flow().is_none()));
        if let Some(input) = input.filter(|_| !is_read && !writer.is_output(key)) {
            writer.fold_input(key, Tensor::zeros(TensorType::new(input.dtype, [2])));
        }
    }
    writer.finish()
}

/// The graph without what only learning asks for, and the values that decided which elements are dropped.
fn without_training(graph: &Graph) -> Result<(Writer, HashSet<ValueId>)> {
    let (mut writer, mut keys) = (Writer::rewriting(graph), HashSet::new());
    for id in writer.nodes() {
        let Some(node) = writer.node(id).cloned() else { continue };
        if node.op.downcast::<Dropout>().is_some() {
            keys.extend(node.input(1));
            keep_all(&mut writer, id, &node);
        } else if let Some(op) = node.op.downcast::<BatchNormalization>().filter(|op| op.training_mode) {
            keep_statistics(&mut writer, id, &node, op);
        } else if let Some(flow) = node.op.flow() {
            let op = flow.with_bodies(&mut |body| {
                let (within, inner) = without_training(&body.graph)?;
                let places = body.graph.inputs().iter().skip(body.given()).zip(&body.inputs);
                keys.extend(places.filter(|(input, _)| inner.contains(&input.value)).filter_map(|(_, index)| node.input(*index)));
                Ok(Body { graph: Arc::new(within.finish()?), inputs: body.inputs.clone() })
            })?;
            if let Some(op) = op {
                writer.replace(id, Node { op, ..node.clone() });
            }
        }
    }
    Ok((writer, keys))
}

/// A Dropout that drops nothing.
fn keep_all(writer: &mut Writer, id: NodeId, node: &Node) {
    let output = |index: usize| vec![node.outputs.get(index).copied().flatten()];
    writer.replace(id, Node::new(node.name(), identity(), vec![node.input(0)], output(0)));
    if let [Some(mask)] = output(1)[..] {
        let name = format!("{}.shape", node.name());
        let extents = writer.add(&name, shape(0, None), &[node.input(0)]);
        let all = constant_of_shape(Some(Tensor::vector(&[true])));
        writer.push(Node::new(node.name(), all, vec![Some(extents)], vec![Some(mask)]));
    }
}

/// A BatchNormalization that learns nothing: the statistics from it on are those before it.
fn keep_statistics(writer: &mut Writer, id: NodeId, node: &Node, op: &BatchNormalization) {
    let outputs = node.outputs.first().copied().into_iter().collect();
    let op = BatchNormalization { training_mode: false, ..op.clone() };
    writer.replace(id, Node { op: Arc::new(op), outputs, ..node.clone() });
    for (input, output) in [(3, 1), (4, 2)] {
        let (Some(old), Some(new)) = (node.input(input), node.outputs.get(output).copied().flatten()) else { continue };
        writer.redirect(new, old);
        if writer.is_output(new) {
            writer.push(Node::new(node.name(), identity(), vec![Some(old)], vec![Some(new)]));
        }
    }
}

/// What a [`batch_normalization`] starts from.
#[derive(Clone, Debug)]
pub struct BatchNormalizationStart {
    /// The running mean at first.
    pub mean: Tensor,
    /// The running variance at first.
    pub variance: Tensor,
    /// Added to variances.
    pub epsilon: f32,
    /// How much of a batch's statistics goes into the running ones, as PyTorch counts it.
    pub momentum: f64,
}

impl BatchNormalizationStart {
    /// As PyTorch starts one of so many channels: a mean of 0 and a variance of 1, an epsilon of 1e-5 and a momentum of 0.1.
    pub fn new(channels: usize) -> Self {
        let [mean, variance] = [0.0f32, 1.0].map(|value| Tensor::vector(&vec![value; channels]));
        BatchNormalizationStart { mean, variance, epsilon: 1e-5, momentum: 0.1 }
    }
}

/// BatchNormalization of a network that learns, over input, scale and bias. Its running statistics are the states `NAME.running_mean` and
/// `NAME.running_var`; [`evaluation`] makes it read them.
///
/// # Errors
/// [`InvalidModel`](crate::ErrorKind::InvalidModel) when there are states of these names. A batch of one value per channel is an error of
/// the run, which names the node.
pub fn batch_normalization(
    builder: &mut Builder,
    name: &str,
    [input, scale, bias]: [ValueId; 3],
    start: BatchNormalizationStart,
) -> Result<ValueId> {
    let op = BatchNormalization { epsilon: start.epsilon, momentum: 1.0 - start.momentum, ..BatchNormalization::default() };
    let names = ["running_mean", "running_var"].map(|part| format!("{name}.{part}"));
    let mean = builder.state(&names[0], start.mean);
    let variance = builder.state(&names[1], start.variance);
    let output = builder.value(name, None);
    let next = [&names[0], &names[1]].map(|name| builder.value(&format!("{name}.next"), None));
    let inputs = [input, scale, bias, mean, variance].map(Some).to_vec();
    builder.push(name, op.over_batches(), inputs, vec![Some(output), Some(next[0]), Some(next[1])]);
    for (name, next) in names.iter().zip(next) {
        builder.write_state(name, next)?;
    }
    Ok(output)
}
