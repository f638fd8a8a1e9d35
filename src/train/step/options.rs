//! What a training step is told.

use crate::graph::{Graph, ValueId};
use crate::session::Options;
use crate::train::optimizer::Optimizer;

/// Parameters that one optimizer changes.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterGroup {
    /// Names of constants of the graph.
    pub parameters: Vec<String>,
    /// What changes them.
    pub optimizer: Optimizer,
}

/// What must be finite for a batch to be learned from. Where it is not, nothing is learned from that batch, nor from any after it, until the step
/// [goes back](crate::train::Step::go_back): parameters, what optimizers remember, sums of gradients and states of the network stay as they were before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Guard {
    /// Nothing: a loss that is no number ends in parameters that are none.
    Nothing,
    /// The loss.
    Loss,
    /// The loss, and the squares of all gradients; where [`clip_norm`](StepOptions::clip_norm) skips updates of such gradients, the loss alone. Gradients of
    /// all parameters are held until the last is known.
    #[default]
    Gradients,
}

/// What a step does beside the network.
#[derive(Clone, Debug)]
pub struct StepOptions {
    /// The name of the value that is to become small: one number.
    pub loss: String,
    /// Which parameters change, and how.
    pub groups: Vec<ParameterGroup>,
    /// The norm of all gradients together that they are scaled down to where they exceed it. An update whose norm is infinite or no number is
    /// skipped then, and training goes on, unless the loss is so, too.
    pub clip_norm: Option<f64>,
    /// What must be finite for a batch to be learned from.
    pub guard: Guard,
    /// Names of values of the network that are kept for the backward pass, which computes anew what it needs of all that comes before the last of
    /// them: less memory, for about one more forward pass (Chen et al. 2016).
    pub checkpoints: Vec<String>,
    /// How many batches one update takes the mean gradient of.
    pub accumulate: u32,
    /// Names of values of the network that a step returns. Each is read back from the device.
    pub outputs: Vec<String>,
    /// What random numbers are drawn from.
    pub seed: u32,
    /// How the step runs.
    pub session: Options,
}

impl StepOptions {
    /// Steps that make a loss small by one optimizer for these parameters.
    pub fn new(loss: impl Into<String>, parameters: Vec<String>, optimizer: impl Into<Optimizer>) -> Self {
        StepOptions {
            loss: loss.into(),
            groups: vec![ParameterGroup { parameters, optimizer: optimizer.into() }],
            clip_norm: None,
            guard: Guard::default(),
            checkpoints: vec![],
            accumulate: 1,
            outputs: vec![],
            seed: 0,
            session: Options::default(),
        }
    }
}

/// Names of the float constants of one axis or more that a value of a graph is computed from: what models have as parameters.
pub fn parameters(graph: &Graph, value: &str) -> Vec<String> {
    let Some(value) = graph.find(value) else { return Vec::new() };
    let values = graph.values().iter().zip(computed_from(graph, value)).filter(|(_, needed)| *needed);
    let is_parameter = |constant: &crate::tensor::Tensor| constant.dtype().is_float() && constant.shape().rank() > 0;
    values.filter(|(value, _)| value.constant.as_ref().is_some_and(is_parameter)).map(|(value, _)| value.name.clone()).collect()
}

/// For each value of a graph, whether a value is computed from it, or is it.
pub(super) fn computed_from(graph: &Graph, value: ValueId) -> Vec<bool> {
    let mut needed = vec![false; graph.values().len()];
    needed[value.index()] = true;
    for node in graph.nodes().iter().rev() {
        if node.outputs.iter().flatten().any(|output| needed[output.index()]) {
            node.inputs.iter().flatten().for_each(|input| needed[input.index()] = true);
        }
    }
    needed
}
